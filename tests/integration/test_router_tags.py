"""Tags through the router: never an old digest, wherever they were pushed."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from placement.core.oci import Digest
from placement.core.topology import Region
from placement.runtime.view import ServingState
from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_registry
from tests.routing import World, digest_of, put_image, world_of

pytestmark = [
    needs_registry,
    # A connection that was being made when its deadline came is left to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions without login."""
    async with world_of(tmp_path) as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client as any other."""
    async with httpx.AsyncClient(timeout=10) as found:
        yield found


async def got(client: httpx.AsyncClient, address: str, tag: str = "v1") -> Digest:
    """Return the digest of what a pull by tag gets."""
    answer = await client.get(f"http://{address}/v2/{WEB}/manifests/{tag}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Docker-Content-Digest"] == digest_of(answer.content)
    return digest_of(answer.content)


def know(world: World, digest: Digest, region: Region) -> None:
    """Let the event of a push arrive."""
    world.known.tags[WEB, "v1"] = (digest, region)
    world.known.held.setdefault((WEB, digest), []).append(region)


@pytest.mark.parametrize(
    ("owner", "repeats"),
    [
        (IAD, 20),
        (FRA, 40),
        (SYD, 20),
        pytest.param(FRA, 200, marks=pytest.mark.long),
    ],
)
async def test_tag_pushed_again_and_pulled_at_once_is_never_old(
    world: World, client: httpx.AsyncClient, owner: Region, repeats: int
) -> None:
    """The events of the last pushes are still on their way, up to five of them."""
    chance = random.Random(7)
    pushes: list[Digest] = []
    old = 0
    async with world.router() as (_, address):
        for number in range(repeats):
            base = world.servers[owner].url
            pushes.append(await put_image(client, base, "v1", f"word {number}"))
            old += await got(client, address) != pushes[-1]
            arrived = len(pushes) - 1 - chance.randrange(6)
            if arrived >= 0:
                know(world, pushes[arrived], owner)

    assert old == 0


async def test_tag_pushed_now_here_and_now_there_is_never_old(
    world: World, client: httpx.AsyncClient
) -> None:
    """Two registries in turn, the events three pushes late: both sides are asked."""
    sides = (SYD, IAD)
    pushes: list[tuple[Digest, Region]] = []
    async with world.router(FRA) as (_, address):
        for number in range(20):
            region = sides[number % 2]
            base = world.servers[region].url
            digest = await put_image(client, base, "v1", f"word {number}")
            pushes.append((digest, region))
            if number < 2:
                know(world, digest, region)
            elif number > 4:
                know(world, *pushes[number - 3])
            if number >= 2:
                assert await got(client, address) == digest, number
            else:
                await got(client, address)

        for digest, _ in pushes:
            answer = await client.get(f"http://{address}/v2/{WEB}/manifests/{digest}")
            assert answer.status_code == 200


async def test_tags_of_both_registries_are_pullable_and_listed(
    world: World, client: httpx.AsyncClient
) -> None:
    """Alternating pushes to the default registry and to another lose nothing."""
    pushed = {}
    async with world.router() as (_, address):
        for number in range(20):
            tag, base = f"v{number}", world.servers[(IAD, FRA)[number % 2]].url
            pushed[tag] = await put_image(client, base, tag, tag)
            assert await got(client, address, tag) == pushed[tag]

        url = f"http://{address}/v2/{WEB}/tags/list"
        listed = (await client.get(url)).json()["tags"]
        first = await client.get(url, params={"n": "12"})
        then = await client.get(httpx.URL(url).join(first.links["next"]["url"]))
    assert listed == sorted(pushed)
    assert first.json()["tags"] + then.json()["tags"] == listed
    assert "next" not in then.links


async def test_head_by_tag_says_what_get_gives(
    world: World, client: httpx.AsyncClient
) -> None:
    """Containerd asks HEAD first, and then for the digest."""
    digest = await put_image(client, world.servers[FRA].url, "v1", "word")
    know(world, digest, FRA)

    async with world.router() as (_, address):
        head = await client.head(f"http://{address}/v2/{WEB}/manifests/v1?ns=docker.io")
        body = await client.get(f"http://{address}/v2/{WEB}/manifests/{digest}")

    assert head.headers["Docker-Content-Digest"] == digest
    assert head.headers["Content-Length"] == body.headers["Content-Length"]
    assert head.headers["Docker-Distribution-API-Version"] == "registry/2.0"


async def test_stale_state_does_not_hide_what_was_pushed_since(
    world: World, client: httpx.AsyncClient
) -> None:
    """STALE: pushed again at the owner and then in our own region, both are seen."""
    know(world, await put_image(client, world.servers[FRA].url, "v1", "one"), FRA)
    world.known.state = ServingState.STALE

    async with world.router() as (_, address):
        two = await put_image(client, world.servers[FRA].url, "v1", "two")
        assert await got(client, address) == two
        know(world, two, FRA)
        three = await put_image(client, world.servers[SYD].url, "v1", "three")
        assert await got(client, address) == three


async def test_unknown_tag_is_told_so_soon(
    world: World, client: httpx.AsyncClient
) -> None:
    """A tag that nobody has is 404, in the specification's words."""
    async with world.router() as (_, address), asyncio.timeout(2):
        answer = await client.get(f"http://{address}/v2/{WEB}/manifests/none")

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "MANIFEST_UNKNOWN"
