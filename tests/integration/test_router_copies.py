"""A mirror and a replicator of one region: nothing crosses an ocean twice at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.agent.router import copies
from placement.core.oci import Digest
from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_registry
from tests.oci_layout import write_image
from tests.routing import AUTH, HTPASSWD, SKOPEO, World, copy, world_of

pytestmark = [
    needs_registry,
    # A connection that was being made when its deadline came is left to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
]
LOGIN = ("--src-creds", "alice:wonder")
DELAY_S = 0.02


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions that ask for a password."""
    users = tmp_path / "htpasswd"
    users.write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(users)}}
    async with world_of(tmp_path, auth, {"user": "alice", "password": "wonder"}) as w:
        yield w


def replicator_of(world: World) -> Replicator:
    """Return what copies into syd beside its mirror."""
    return Replicator(
        ReplicatorSettings(region=SYD),
        world.registries,
        world.report,
        underway=world.underway,
    )


async def test_pull_waits_for_the_copy_that_is_on_its_way(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is large and on its way is not fetched again for who pulls it."""
    monkeypatch.setattr(copies, "LARGE_BYTES", 1_000_000)
    write_image(tmp_path / "app", "v1", (4_000_000, 2_000_000), seed=1)
    manifest = await world.push(IAD, tmp_path / "app")
    layers = [layer["digest"] for layer in manifest["layers"]]
    world.links[IAD].delay_s = DELAY_S
    replicator = replicator_of(world)

    async with (
        world.router() as (router, address),
        httpx.AsyncClient(auth=AUTH, timeout=60) as client,
    ):
        copying = asyncio.create_task(
            replicator.fetch_now(WEB, Digest(manifest["digest"]))
        )
        while not all(map(world.underway.has, layers)):  # noqa: ASYNC110 - by polling
            await asyncio.sleep(0.01)
        urls = [f"http://{address}/v2/{WEB}/blobs/{layer}" for layer in layers]
        answers = await asyncio.gather(*map(client.get, urls))
        await copying

    assert [len(a.content) for a in answers] == [
        layer["size"] for layer in manifest["layers"]
    ]
    assert router.counts["awaited"] == 2
    gets = world.links[IAD].gets("/blobs/")
    assert {path: count for path, count in gets.items() if count > 1} == {}


async def test_copy_waits_for_the_pull_that_is_on_its_way(
    world: World, tmp_path: Path
) -> None:
    """What a client's pull brings is there when the copy comes to it."""
    write_image(tmp_path / "app", "v1", (4_000_000,), seed=1)
    manifest = await world.push(IAD, tmp_path / "app")
    layer = manifest["layers"][0]["digest"]
    world.links[IAD].delay_s = DELAY_S
    replicator = replicator_of(world)

    async with world.router() as (router, address):
        pulling = asyncio.create_task(
            copy(f"docker://{address}/{WEB}:v1", f"oci:{tmp_path}/got:v1", *LOGIN)
        )
        while not world.underway.has(layer):  # noqa: ASYNC110 - by polling
            await asyncio.sleep(0.01)
        await replicator.fetch_now(WEB, Digest(manifest["digest"]))
        await pulling

        assert router.counts["filled"] >= 1
    gets = world.links[IAD].gets("/blobs/")
    assert gets[f"/v2/{WEB}/blobs/{layer}"] == 1


async def test_small_layer_is_waited_for_once_half_of_it_has_come(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that a client is as soon by itself."""
    monkeypatch.setattr(copies, "LARGE_BYTES", 16 << 20)
    write_image(tmp_path / "app", "v1", (4_000_000,), seed=1)
    manifest = await world.push(IAD, tmp_path / "app")
    layer = manifest["layers"][0]
    come = [0.4]
    assert world.underway.take(layer["digest"], come=lambda: come[0])

    async with (
        world.router() as (router, address),
        httpx.AsyncClient(auth=AUTH, timeout=60) as client,
    ):
        url = f"http://{address}/v2/{WEB}/blobs/{layer['digest']}"
        alone = await client.get(url)
        asked = router.counts["awaited"]
        come[0] = 0.6
        waiting = asyncio.create_task(client.get(url))
        while not router.counts["awaited"]:  # noqa: ASYNC110 - by polling
            await asyncio.sleep(0.01)
        world.underway.leave(layer["digest"])
        waited = await waiting

    assert asked == 0
    assert len(alone.content) == len(waited.content) == layer["size"]


async def test_pull_goes_on_elsewhere_when_the_copy_breaks(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is given up costs whoever waited for it no more than that time."""
    monkeypatch.setattr(copies, "LARGE_BYTES", 1_000_000)
    write_image(tmp_path / "app", "v1", (4_000_000,), seed=1)
    manifest = await world.push(IAD, tmp_path / "app")
    await world.push(FRA, tmp_path / "app")
    layer = manifest["layers"][0]
    world.links[IAD].delay_s = world.links[FRA].delay_s = DELAY_S
    replicator = replicator_of(world)

    async with (
        world.router() as (router, address),
        httpx.AsyncClient(auth=AUTH, timeout=60) as client,
    ):
        copying = asyncio.create_task(
            replicator.fetch_now(WEB, Digest(manifest["digest"]))
        )
        while not world.underway.has(layer["digest"]):  # noqa: ASYNC110 - by polling
            await asyncio.sleep(0.01)
        url = f"http://{address}/v2/{WEB}/blobs/{layer['digest']}"
        pulling = asyncio.create_task(client.get(url))
        while not router.counts["awaited"]:  # noqa: ASYNC110 - by polling
            await asyncio.sleep(0.01)
        world.underway.leave(layer["digest"])  # as if whoever brought it were gone
        answer = await pulling
        world.underway.take(layer["digest"])
        with suppress(Exception):
            await copying

    assert len(answer.content) == layer["size"]
