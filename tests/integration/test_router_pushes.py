"""Pushes through the router: to the best registry, and back out of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_registry
from tests.oci_layout import write_image
from tests.routing import SKOPEO, World, copy, put_image, world_of

pytestmark = [
    needs_registry,
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions without login."""
    async with world_of(tmp_path) as found:
        yield found


async def test_what_is_pushed_through_is_in_the_own_region_and_comes_back(
    world: World, tmp_path: Path
) -> None:
    """Skopeo pushes to the router and pulls the same bytes from it."""
    digest = write_image(tmp_path / "app", "v1", (3_000_000, 20_000), seed=1)

    async with world.router() as (router, address), httpx.AsyncClient() as client:
        image = f"docker://{address}/{WEB}:v1"
        await copy(f"oci:{tmp_path}/app:v1", image)
        await copy(image, f"oci:{tmp_path}/got:v1")

        own = world.servers[SYD].url
        head = await client.head(f"{own}/v2/{WEB}/manifests/v1", headers=ACCEPT)
    assert head.headers["Docker-Content-Digest"] == digest
    assert router.counts["streamed"] == 0


ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


async def test_push_goes_to_the_next_registry_while_the_own_is_down(
    world: World,
) -> None:
    """The upload stays with the registry that began it, and the tag is found there."""
    async with world.router(IAD) as (_, address), httpx.AsyncClient() as client:
        world.links[IAD].close()
        digest = await put_image(client, f"http://{address}", "v1", "word")
        got = await client.get(f"http://{address}/v2/{WEB}/manifests/v1")

        assert got.headers["Docker-Content-Digest"] == digest
    assert world.links[FRA].asked["PUT", f"/v2/{WEB}/manifests/v1"] == 1


async def test_push_uploads_what_only_another_region_has(
    world: World, tmp_path: Path
) -> None:
    """A layer that is far away must not be left out, or its manifest is refused."""
    write_image(tmp_path / "app", "v1", (3_000_000, 20_000), seed=1)
    await world.push(FRA, tmp_path / "app")

    async with world.router() as (_, address):
        await copy(f"oci:{tmp_path}/app:v1", f"docker://{address}/{WEB}:v2")

    held = list(world.servers[SYD].directory.glob("store/**/data"))
    assert len(held) == 4


async def test_mount_and_chunks_and_cancel_are_passed_on(world: World) -> None:
    """What a registry's API offers to pushers works through the router."""
    body = b"x" * 100_000
    async with world.router() as (_, address), httpx.AsyncClient() as client:
        base = f"http://{address}"
        await put_image(client, base, "v1", "word")
        held = await client.get(f"{base}/v2/{WEB}/manifests/v1", headers=ACCEPT)
        config = held.json()["config"]["digest"]

        mounted = await client.post(
            f"{base}/v2/acme/api/blobs/uploads/?mount={config}&from={WEB}"
        )
        begun = await client.post(f"{base}/v2/{WEB}/blobs/uploads/")
        part = await client.patch(
            begun.headers["Location"],
            content=body,
            headers={"Content-Type": "application/octet-stream"},
        )
        asked = await client.get(part.headers["Location"])
        gone = await client.delete(part.headers["Location"])

    assert mounted.status_code == 201
    assert mounted.headers["Location"].startswith(base)
    assert (begun.status_code, part.status_code) == (202, 202)
    assert asked.status_code == 204
    assert asked.headers["Range"] == f"0-{len(body) - 1}"
    assert gone.status_code == 204
