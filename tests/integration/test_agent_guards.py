"""What a client, a registry or a manifest could try, and does not get."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from placement.agent.registry.opening import opened
from placement.agent.registry.settings import RegistrySettings
from placement.agent.replicator.budgets import Budgets
from placement.agent.replicator.duties import Withdrawal
from placement.agent.replicator.failures import CopyFailedError
from placement.agent.replicator.moving import Mover
from placement.agent.replicator.progress import Progress
from placement.agent.underway import Underway
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from tests.copiers import IAD, copy_of, site
from tests.docker_registry import DockerRegistry, needs_registry
from tests.registry_images import WEB, push_blob, push_image
from tests.routing import World, world_of

pytestmark = needs_registry

PRIVATE = Repository("secret/api")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions without login."""
    async with world_of(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    "path",
    [
        "/v2/acme/web/blobs/uploads/../../../../../debug/vars",
        "/v2/acme/web/blobs/uploads/%2e%2e/%2e%2e/%2e%2e/other/manifests/v1",
        "/v2/a/../referrers/sha256:0",
    ],
)
async def test_path_cannot_lead_out_of_the_registry_api(
    world: World, path: str
) -> None:
    """Dot segments are refused, before any registry is asked."""
    async with world.router() as (_, address):
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status = await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert status.split()[1] == b"400"
    assert not any(link.gets("") for link in world.links.values())


class Cookies(BaseHTTPRequestHandler):
    """A registry behind a login proxy: it sets a cookie, and notes what it gets."""

    given: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        """Answer that the API is there."""
        self.given.append(self.headers.get("Cookie"))
        self.send_response(200)
        self.send_header("Set-Cookie", "session=somebody; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cookie_registry() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cookies)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_session_of_one_client_is_nobody_elses(cookie_registry: str) -> None:
    """A registry's cookie is neither kept nor sent: the next client has none of it."""
    settings = RegistrySettings(region=Region("iad"), url=cookie_registry)

    async with opened(settings) as registry:
        await registry.passing("Bearer one").reachable()
        await registry.passing("Bearer two").reachable()

    assert Cookies.given == [None, None]


class Elsewhere:
    """Knows that another repository of our registry has the blob."""

    def sources(self, _repository: Repository, _digest: Digest) -> tuple[Region, ...]:
        """Return none but those decided."""
        return ()

    def mountable(self, _digest: Digest) -> tuple[Repository, ...]:
        """Return the other tenant's repository."""
        return (PRIVATE,)


async def test_manifest_cannot_have_another_tenants_layer_mounted(
    tmp_path: Path,
) -> None:
    """It may name any digest: only what a source has under that name is lent."""
    with (
        DockerRegistry(tmp_path / "iad", "iad") as there,
        DockerRegistry(tmp_path / "syd", "syd") as here,
    ):
        async with opened(there.settings()) as source, opened(here.settings()) as own:
            secret = await push_blob(own, PRIVATE, b"private" * 100)
            budgets = Budgets({}, time.monotonic)
            mover = Mover(own, Elsewhere(), budgets, random.random, Underway())

            with pytest.raises(CopyFailedError):
                await mover.ensure(WEB, secret, [source], Progress(0))
            refused = await own.find_blob(WEB, secret.digest)
            await push_blob(source, WEB, b"private" * 100)
            await mover.ensure(WEB, secret, [source], Progress(0))

            assert refused is None
            assert await own.find_blob(WEB, secret.digest) == secret.size_bytes


async def test_copy_called_off_at_once_takes_no_place(tmp_path: Path) -> None:
    """Decided and cancelled in one batch, oftener than copies fit: the next is made."""
    with (
        DockerRegistry(tmp_path / "iad", "iad") as there,
        DockerRegistry(tmp_path / "syd", "syd") as here,
    ):
        async with (
            opened(there.settings()) as source,
            opened(here.settings()) as own,
            site(here, {IAD: there.url}, copies=2) as at,
        ):
            images = [await push_image(source, [700 + n], WEB, n) for n in range(6)]
            for number, image in enumerate(images[:5]):
                at.orders.give(copy_of(image.descriptor.digest, f"r-{number}"))
                at.orders.give(Withdrawal(f"r-{number}"))

            await at.copied(copy_of(images[5].descriptor.digest, "r-5"))

            found = await own.find_manifest(WEB, images[5].descriptor.digest)
            assert found is not None
