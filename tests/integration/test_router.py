"""The router between real registries and real clients, while all is well."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from placement.agent.router.asks import Client
from placement.agent.router.blobs import Blobs
from placement.agent.router.filling import Filling
from placement.agent.router.flights import Flight, Landed
from placement.agent.router.places import Wanted
from placement.core.event import ContentPulled, ContentReplicated, TransferMeasured
from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_registry
from tests.oci_layout import write_image
from tests.routing import AUTH, HTPASSWD, SKOPEO, World, copy, until, world_of

pytestmark = [
    needs_registry,
    # A connection that was being made when its deadline came is left to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
]
LOGIN = ("--src-creds", "alice:wonder")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions that ask for a password."""
    users = tmp_path / "htpasswd"
    users.write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(users)}}
    async with world_of(tmp_path, auth, {"user": "alice", "password": "wonder"}) as w:
        yield w


async def test_content_of_its_own_region_is_served_from_there(
    world: World, tmp_path: Path
) -> None:
    """Nothing crosses to another region, and nothing is reported: the feed counts."""
    write_image(tmp_path / "app", "v1", (300_000, 20_000), seed=1)
    await world.push(SYD, tmp_path / "app")

    async with world.router() as (router, address):
        await copy(f"docker://{address}/{WEB}:v1", f"oci:{tmp_path}/got:v1", *LOGIN)

    assert router.counts["local"] == 4
    assert not world.links[IAD].gets("/blobs/")
    assert world.events == []


async def test_first_far_pull_fills_the_region_and_the_second_is_local(
    world: World, tmp_path: Path
) -> None:
    """Layers, then the manifest, are in the own registry afterwards, and reported."""
    write_image(tmp_path / "app", "v1", (3_000_000, 20_000), seed=1)
    manifest = await world.push(IAD, tmp_path / "app")

    async with world.router() as (router, address):
        await copy(f"docker://{address}/{WEB}:v1", f"oci:{tmp_path}/one:v1", *LOGIN)
        await until(lambda: router.counts["image_filled"] == 1)
        crossed = world.links[IAD].gets("/blobs/") + world.links[IAD].gets("sha256")
        await copy(f"docker://{address}/{WEB}:v1", f"oci:{tmp_path}/two:v1", *LOGIN)

        assert router.counts["local"] == 4
        assert router.counts["filled"] == 3
        await until(lambda: len(world.facts(ContentPulled)) == 4)

    now = world.links[IAD].gets("/blobs/") + world.links[IAD].gets("sha256")
    assert now == crossed
    arrived = [c.digest for f in world.facts(ContentReplicated) for c in f.contents]
    assert arrived[-1] == manifest["digest"]
    assert len(arrived) == 4
    assert {f.source_region for f in world.facts(ContentReplicated)} == {IAD}
    assert all(f.verified for f in world.facts(ContentReplicated))
    assert {f.client_region for f in world.facts(ContentPulled)} == {SYD}
    assert max(f.transferred_bytes for f in world.facts(TransferMeasured)) > 2_999_000


async def test_flight_that_is_over_is_found_by_nobody(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by who looks in the same turn: its file is closed by then."""
    write_image(tmp_path / "app", "v1", (300_000,), seed=1)
    manifest = await world.push(FRA, tmp_path / "app")
    land = Filling.land
    found: list[Flight | None] = []

    async def landing(filling: Filling, landed: Landed) -> None:
        await land(filling, landed)
        loop, flights = asyncio.get_running_loop(), router._flights  # noqa: SLF001 - no client can time its question so
        loop.call_soon(lambda: found.append(flights.find(landed.wanted)))

    monkeypatch.setattr(Filling, "land", landing)
    async with (
        world.router() as (router, address),
        httpx.AsyncClient(auth=AUTH, timeout=30) as client,
    ):
        layer = manifest["layers"][0]["digest"]
        answer = await client.get(f"http://{address}/v2/{WEB}/blobs/{layer}")
        await until(lambda: bool(found))

    assert answer.status_code == 200
    assert found == [None]


async def test_who_looked_just_before_a_flight_landed_looks_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The own registry had nothing then; that is no reason to fetch it once more."""
    write_image(tmp_path / "app", "v1", (300_000,), seed=1)
    manifest = await world.push(FRA, tmp_path / "app")
    layer = manifest["layers"][0]["digest"]
    from_here, looked = Blobs._from_here, asyncio.Event()  # noqa: SLF001 - no client can time its question so

    async def slowly(blobs: Blobs, client: Client, wanted: Wanted) -> Response | None:
        found = await from_here(blobs, client, wanted)
        if found is None and client.user_agent == "slow":
            looked.set()
            flights = blobs._flights  # noqa: SLF001 - as above
            await until(lambda: router.counts["filled"] == 1)
            await until(lambda: flights.find(wanted) is None)
        return found

    monkeypatch.setattr(Blobs, "_from_here", slowly)
    async with (
        world.router() as (router, address),
        httpx.AsyncClient(auth=AUTH, timeout=30) as client,
    ):
        url = f"http://{address}/v2/{WEB}/blobs/{layer}"
        slow = asyncio.create_task(client.get(url, headers={"User-Agent": "slow"}))
        await looked.wait()
        quick = await client.get(url)

        assert (await slow).content == quick.content
    assert router.counts["local"] == 1
    assert world.links[FRA].received_bytes < 2 * 300_000


async def test_fifty_at_once_move_each_layer_once(world: World, tmp_path: Path) -> None:
    """Fifty starts in a region without the image cost one crossing of each layer."""
    write_image(tmp_path / "app", "v1", (3_000_000, 1_000_000), seed=1)
    manifest = await world.push(FRA, tmp_path / "app")
    layers = [layer["digest"] for layer in manifest["layers"]]

    async with (
        world.router() as (_, address),
        httpx.AsyncClient(auth=AUTH, timeout=30, limits=httpx.Limits()) as client,
    ):

        async def pulled(layer: str) -> int:
            url = f"http://{address}/v2/{WEB}/blobs/{layer}"
            answer = await client.get(url)
            assert answer.status_code == 200
            assert int(answer.headers["Content-Length"]) == len(answer.content)
            return len(answer.content)

        before = world.links[FRA].received_bytes
        sizes = await asyncio.gather(*(pulled(layers[i % 2]) for i in range(100)))

    own = [layer["size"] for layer in manifest["layers"]]
    assert sizes == own * 50
    # A source that stands still on a busy machine is asked for the rest once more.
    assert len(world.links[FRA].gets("/blobs/")) == len(own)
    assert world.links[FRA].received_bytes - before < 1.2 * sum(own)


async def test_client_that_leaves_stops_nothing(world: World, tmp_path: Path) -> None:
    """What it began is fetched to its end, and is here for the next one."""
    write_image(tmp_path / "app", "v1", (3_000_000,), seed=1)
    manifest = await world.push(FRA, tmp_path / "app")
    path = f"/v2/{WEB}/blobs/{manifest['layers'][0]['digest']}"
    world.links[FRA].delay_s = 0.02

    async with world.router() as (router, address), httpx.AsyncClient(auth=AUTH) as one:
        async with one.stream("GET", f"http://{address}{path}") as answer:
            async for chunk in answer.aiter_raw():
                assert chunk
                break
        await until(lambda: router.counts["filled"] == 1)
        whole = await one.get(f"http://{address}{path}")

    assert len(whole.content) == manifest["layers"][0]["size"]
    assert router.counts["local"] == 1
    assert world.links[FRA].gets("/blobs/") == {path: 1}


async def test_region_that_stores_nothing_fetches_once_and_keeps_nothing(
    world: World, tmp_path: Path
) -> None:
    """Without a registry of its own, a region's clients still share one fetch."""
    write_image(tmp_path / "app", "v1", (3_000_000,), seed=1)
    manifest = await world.push(FRA, tmp_path / "app")
    path = f"/v2/{WEB}/blobs/{manifest['layers'][0]['digest']}"
    world.links[FRA].delay_s = 0.01
    del world.registries[SYD]

    async with world.router() as (router, address), httpx.AsyncClient(auth=AUTH) as one:
        gets = [one.get(f"http://{address}{path}") for _ in range(5)]
        sizes = {len(answer.content) for answer in await asyncio.gather(*gets)}

    assert sizes == {manifest["layers"][0]["size"]}
    assert world.links[FRA].gets("/blobs/") == {path: 1}
    assert router.counts["filled"] == 0


async def test_small_answers_do_not_wait_for_acknowledgements(world: World) -> None:
    """Each would take 40 ms more if the router's sockets gathered small writes."""
    async with world.router() as (_, address), httpx.AsyncClient(auth=AUTH) as client:
        took = []
        for _ in range(20):
            began = time.monotonic()
            answer = await client.get(f"http://{address}/v2/")
            took.append(time.monotonic() - began)
            assert answer.status_code == 200

    assert min(took) < 0.035
