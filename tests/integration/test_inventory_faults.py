"""A scan of a real registry that fails, restarts, refuses, or forgets in the middle."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from placement.agent.inventory.known import Held
from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError
from placement.agent.registry.exchange import USER_AGENT
from placement.core.errors import PlacementError
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from tests.docker_registry import DockerRegistry, needs_openssl, needs_registry
from tests.inventories import (
    PUSHER,
    Folded,
    asked_by,
    inventory_of,
    stored,
    tag_as,
)
from tests.registry_images import push_image
from tests.token_service import TokenService, User

IAD: Final = Region("iad")
GONE: Final = Digest("sha256:" + 64 * "9")
"""Believed to be in every repository, and in none."""

pytestmark = needs_registry

Fault = Callable[[httpx.Request], httpx.Response | None]


class Faulty(httpx.AsyncHTTPTransport):
    """A way to a registry that answers by itself where *fault* says so."""

    def __init__(self, fault: Fault, hang_seconds: float = 0.0) -> None:
        """Ask *fault* about each request; None: the registry answers."""
        super().__init__()
        self.fault = fault
        self.hang_seconds = hang_seconds
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or let the registry do it."""
        self.paths.append(request.url.path)
        answer = self.fault(request)
        if answer is not None:
            await asyncio.sleep(self.hang_seconds)
            answer.request = request
            return answer
        return await super().handle_async_request(request)


async def briefly(seconds: float) -> None:
    """Wait, but not as long as a registry in trouble deserves."""
    await asyncio.sleep(min(seconds, 0.02))


@asynccontextmanager
async def through(
    registry: DockerRegistry, transport: Faulty
) -> AsyncIterator[Registry]:
    """Give a client of *registry* that goes through *transport*."""
    async with httpx.AsyncClient(transport=transport) as http:
        yield Registry(registry.settings(), http)


async def fill(
    registry: DockerRegistry, count: int, layers: int = 2, first: int = 0
) -> None:
    """Push an image with a tag into each of *count* repositories."""
    async with asked_by(registry, PUSHER) as client:
        for number in range(first, first + count):
            name = Repository(f"acme/app-{number}")
            image = await push_image(client, [500] * layers, name, number)
            await tag_as(client, name, image.descriptor.digest, "v1")


class Believing(Folded):
    """Believes more than there is: one content in each repository is long gone."""

    async def replicas(self, repository: str = "") -> Any:  # noqa: ANN401 - a generator
        """Yield what is there, and what is not."""
        async for held in super().replicas(repository):
            yield held
        if repository:
            yield Held(Repository(repository), GONE, 1)


def failing(*, within: str, status: int, **headers: str) -> Fault:
    """Return the fault of a registry that answers *status* within a repository."""
    return lambda request: (
        httpx.Response(status, headers=headers) if within in request.url.path else None
    )


@pytest.mark.parametrize("hang_seconds", [0.0, 2.0], ids=["503", "hangs"])
async def test_repository_that_fails_removes_nothing(
    tmp_path: Path, hang_seconds: float
) -> None:
    """The others are told, absences too; the failing one is left as it was believed."""
    folded = Believing(IAD)
    transport = Faulty(failing(within="app-1/manifests", status=503), hang_seconds)
    with DockerRegistry(tmp_path) as registry:
        await fill(registry, 3)
        async with through(registry, transport) as client:
            inventory = inventory_of(client, folded, sleep=briefly, request_seconds=0.3)
            found = await inventory.scan()

    failed = {place for place in stored(registry) if place[0] == "acme/app-1"}
    assert folded.present() == stored(registry) - failed
    absent = {one.repository for page in folded.pages for one in page.absences}
    assert absent == {"acme/app-0", "acme/app-2"}
    assert [page.complete for page in folded.pages] == [False]
    assert (found.position.complete, found.position.failed_count) == (False, 1)


async def test_registry_that_is_gone_stops_the_scan(tmp_path: Path) -> None:
    """Several failures in a row are no repository's own, and nothing is removed."""
    folded = Believing(IAD)
    with DockerRegistry(tmp_path) as registry:
        await fill(registry, 6)
        transport = Faulty(failing(within="/tags/list", status=502))
        async with through(registry, transport) as client:
            inventory = inventory_of(client, folded, sleep=briefly)
            with pytest.raises(RegistryError):
                await inventory.scan()
            assert folded.pages == []
            transport.fault = lambda _: None
            found = await inventory.scan()

    assert folded.present() == stored(registry)
    assert found.position.complete


async def test_scan_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What was reported is not read again, and the scan keeps its time and is whole."""
    folded = Folded(IAD)
    position_file = tmp_path / "inventory.json"
    with DockerRegistry(tmp_path / "registry") as registry:
        await fill(registry, 2, layers=64)
        await fill(registry, 3, first=2)
        down = Faulty(
            lambda request: (
                httpx.Response(500)
                if any(f"app-{number}/" in request.url.path for number in (2, 3, 4))
                else None
            )
        )
        async with through(registry, down) as client:
            inventory = inventory_of(
                client, folded, sleep=briefly, position_file=position_file
            )
            with pytest.raises(RegistryError):
                await inventory.scan()
        before = len(folded.pages)
        again = Faulty(lambda _: None)
        async with through(registry, again) as client:
            inventory = inventory_of(
                client, folded, sleep=briefly, position_file=position_file
            )
            found = await inventory.scan()

    assert 0 < before < len(folded.pages)
    assert not [path for path in again.paths if "app-0/" in path]
    assert [path for path in again.paths if "app-4/" in path]
    assert folded.present() == stored(registry)
    assert len({page.scan_time_ns for page in folded.pages}) == 1
    assert [page.complete for page in folded.pages].count(True) == 1
    assert found.position.complete
    assert found.position.repository_count == 5
    assert found.position.content_count == len(stored(registry))


async def test_scan_older_than_its_interval_begins_anew(tmp_path: Path) -> None:
    """What was seen too long ago is not what is there."""
    folded = Folded(IAD)
    position_file = tmp_path / "inventory.json"
    chosen = {"position_file": position_file, "interval_ns": 1_000_000}
    with DockerRegistry(tmp_path / "registry") as registry:
        await fill(registry, 4)
        down = Faulty(failing(within="/tags/list", status=500))
        async with through(registry, down) as client:
            with pytest.raises(RegistryError):
                await inventory_of(client, folded, sleep=briefly, **chosen).scan()
        begun_ns = time.time_ns()
        async with asked_by(registry) as client:
            found = await inventory_of(client, folded, sleep=briefly, **chosen).scan()

    assert found.position.scan_time_ns > begun_ns
    assert folded.present() == stored(registry)


async def test_registry_that_asks_to_wait_is_left_alone(tmp_path: Path) -> None:
    """429 with Retry-After stops all requests for so long, and the scan succeeds."""
    folded = Folded(IAD)
    told: list[float] = []

    def busy_once(request: httpx.Request) -> httpx.Response | None:
        if "/blobs/" in request.url.path and not told:
            told.append(time.monotonic())
            return httpx.Response(429, headers={"Retry-After": "1"})
        if told and time.monotonic() < told[0] + 0.9:
            late.append(request.url.path)
        return None

    late: list[str] = []
    with DockerRegistry(tmp_path) as registry:
        await fill(registry, 2)
        async with through(registry, Faulty(busy_once)) as client:
            found = await inventory_of(client, folded).scan()

    assert found.position.complete
    assert found.seconds >= 1
    assert len(late) <= 8, "what was on its way already"
    assert folded.present() == stored(registry)


async def test_repository_that_vanishes_is_no_error(tmp_path: Path) -> None:
    """Between the catalogue and its tags it was deleted: it is gone, not broken."""
    folded = Believing(IAD)
    transport = Faulty(failing(within="/acme/app-1/", status=404))
    with DockerRegistry(tmp_path) as registry:
        await fill(registry, 2)
        async with through(registry, transport) as client:
            found = await inventory_of(client, folded).scan()

    assert found.position.complete
    assert {name for name, _ in folded.present()} == {"acme/app-0"}


async def test_service_that_is_away_hides_no_content(tmp_path: Path) -> None:
    """What is there is told; what is not there cannot be: the scan is not complete."""

    class Deaf(Folded):
        error = PlacementError("no service")

        async def replicas(self, repository: str = "") -> Any:  # noqa: ANN401 - a generator
            raise self.error
            yield repository  # type: ignore[unreachable]  # makes it a generator

    folded = Deaf(IAD)
    with DockerRegistry(tmp_path) as registry:
        await fill(registry, 2)
        async with asked_by(registry) as client:
            found = await inventory_of(client, folded).scan()

    assert folded.present() == stored(registry)
    assert not found.position.complete
    assert [page.complete for page in folded.pages] == [False]


@needs_openssl
async def test_registry_behind_a_token_service_is_read(tmp_path: Path) -> None:
    """Catalogue and repositories each need a token of their own."""
    folded = Folded(IAD)
    users = {"pusher": User("p"), "reader": User("r", ("pull", "*"))}
    with TokenService(tmp_path / "tokens", users) as service:
        sections = {"auth": service.registry_section()}
        pusher = {"user": "pusher", "password": "p", "token_realms": (service.realm,)}
        reader = {"user": "reader", "password": "r", "token_realms": (service.realm,)}
        with DockerRegistry(tmp_path / "registry", sections=sections) as registry:
            async with asked_by(registry, PUSHER, **pusher) as client:
                image = await push_image(client, [500], Repository("acme/web"))
                await tag_as(
                    client, Repository("acme/web"), image.descriptor.digest, "v1"
                )
            async with asked_by(registry, USER_AGENT, **reader) as client:
                found = await inventory_of(client, folded).scan()

    assert found.position.complete
    assert folded.present() == stored(registry)
    assert service.counts["reader"] == 3, "for the API, the catalogue, the repository"
