"""The router when sources hang, die, lie, or nobody tells it anything any more."""

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from placement.agent.registry.opening import opened
from placement.agent.registry.settings import RegistrySettings
from placement.agent.router.asking import SEARCH_SECONDS_MAX
from placement.core.oci import Digest
from placement.core.topology import Region
from placement.runtime.view import ServingState
from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_registry
from tests.oci_layout import MANIFEST, write_image
from tests.routing import SKOPEO, World, copy, digest_of, until, world_of
from tests.watched_link import WatchedLink

pytestmark = [
    pytest.mark.alone,
    needs_registry,
    # A connection that was being made when its deadline came is left to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
]
OVERHEAD_SECONDS_MAX = 1.0 if os.environ.get("PLACEMENT_LONG") else 3.0
"""In the gate others run beside; the lab measures it, too."""
BIG_BYTES = 8_000_000
CONTAINERD = {"User-Agent": "containerd/1.6.20"}
VERIFYING = {"User-Agent": "skopeo/1.9.3"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions without login; an image is in fra, which is best, and in iad."""
    async with world_of(tmp_path) as found:
        write_image(tmp_path / "app", "v1", (BIG_BYTES, 20_000), seed=1)
        await found.push(FRA, tmp_path / "app")
        await found.push(IAD, tmp_path / "app")
        found.known.tags[WEB, "v1"] = (found.known.tags[WEB, "v1"][0], FRA)
        yield found


async def pulled(world: World, address: str, name: str = "got") -> float:
    """Pull the image; returns the seconds that it took."""
    return await copy(
        f"docker://{address}/{WEB}:v1", f"oci:{world.directory}/{name}:v1"
    )


async def big_blob(
    world: World, address: str, headers: dict[str, str] | None = None
) -> bytes:
    """Return the bytes of the image's big layer, as the router gives them."""
    async with httpx.AsyncClient(timeout=30, headers=headers) as client:
        answer = await client.get(f"http://{address}/v2/{WEB}/blobs/{big(world)}")
        answer.raise_for_status()
        return answer.content


def big(world: World) -> Digest:
    """Return the digest of the big layer."""
    held = world.known.held
    found = [d for (_, d) in held if world.servers[IAD].blob_path(d).exists()]
    return Digest(
        max(found, key=lambda d: world.servers[IAD].blob_path(d).stat().st_size)
    )


def spoiled(world: World, region: Region) -> Digest:
    """Let a region's big layer end with another byte; return its digest."""
    layer = big(world)
    path = world.servers[region].blob_path(layer)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    return layer


@pytest.fixture
async def seconds(world: World) -> float:
    """How long a far pull takes while all is well."""
    async with world.router(fills=False) as (_, address):
        return await pulled(world, address, "well")


@pytest.mark.parametrize("fault", ["hung", "killed"])
async def test_pull_outlives_its_best_source(
    world: World, seconds: float, fault: str
) -> None:
    """The tag's owner and best source is gone; the pull costs less than 1 s more."""
    link = world.links[FRA]
    async with world.router() as (router, address):
        if fault == "hung":
            link.hangs = True
        else:
            link.close()

        took = await pulled(world, address)

        link.hangs = False  # so that it can be closed
    assert took < seconds + OVERHEAD_SECONDS_MAX
    assert router.counts["tag_known"] == 1
    assert router.counts["source_slow"] + router.counts["source_unreachable"] >= 1


async def test_pull_outlives_a_moment_without_any_source(world: World) -> None:
    """Both that have it refuse connections for a third of a second: it comes anyway.

    Clients such as skopeo take a 503 for the last word.
    """
    sources = [world.links[FRA], world.links[IAD]]
    async with world.router() as (router, address):
        for link in sources:
            link.close()
        coming_back = asyncio.get_running_loop().create_task(reopened(sources, 0.3))

        body = await big_blob(world, address)

        await coming_back
    assert "sha256:" + hashlib.sha256(body).hexdigest() == big(world)
    assert router.counts["source_unreachable"] >= 2


async def reopened(links: list[WatchedLink], after_seconds: float) -> None:
    """Let connections through again."""
    await asyncio.sleep(after_seconds)
    for link in links:
        await link.open()


async def test_own_registry_that_hangs_is_passed_by(
    world: World, seconds: float
) -> None:
    """A region whose own registry is ill pulls from elsewhere."""
    async with world.router(IAD) as (_, address):
        world.links[IAD].hangs = True

        took = await pulled(world, address)

        world.links[IAD].hangs = False
    assert took < seconds + OVERHEAD_SECONDS_MAX


async def test_own_registry_that_hangs_costs_containerd_no_more(world: World) -> None:
    """Whoever may be redirected waits for it once, as everybody does: half a second.

    It was waited for as if nobody else had the blob, which takes ten.
    """
    async with world.router(IAD) as (_, address):
        world.links[IAD].hangs = True
        began = time.monotonic()
        async with httpx.AsyncClient(timeout=30, headers=CONTAINERD) as client:
            got = await client.get(f"http://{address}/v2/{WEB}/blobs/{big(world)}")
        took = time.monotonic() - began

        world.links[IAD].hangs = False
    assert (got.status_code, len(got.content) > BIG_BYTES) == (200, True)
    assert took < SEARCH_SECONDS_MAX / 2


async def test_body_goes_on_from_another_source_where_the_first_died(
    world: World,
) -> None:
    """The client sees one unbroken body, the second source gives only the rest."""
    link = world.links[FRA]
    link.cut_bytes = BIG_BYTES // 2

    async with world.router() as (router, address):
        body = await big_blob(world, address)

        await until(lambda: router.counts["filled"] == 1)
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == big(world)
    assert router.counts["source_broke"] == 1
    assert world.links[IAD].received_bytes < BIG_BYTES * 0.6


async def test_body_that_stands_still_goes_on_from_another_source(
    world: World,
) -> None:
    """A second without a byte in the middle is as good as a broken connection."""
    link = world.links[FRA]
    link.hang_bytes = BIG_BYTES // 2

    async with world.router() as (router, address):
        began = time.monotonic()
        body = await big_blob(world, address)
        took = time.monotonic() - began

        link.hangs = False
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == big(world)
    assert router.counts["source_broke"] == 1
    assert took < 2.0


async def test_local_body_goes_on_from_elsewhere(world: World) -> None:
    """The own registry's death in the middle of a blob breaks no pull either."""
    world.links[IAD].cut_bytes = BIG_BYTES // 2

    async with world.router(IAD) as (router, address):
        body = await big_blob(world, address)

    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == big(world)
    assert router.counts["source_broke"] == 1


async def test_damaged_bytes_are_never_stored_nor_a_whole_answer(
    world: World,
) -> None:
    """The connection breaks before the last byte; then another source is asked."""
    layer = big(world)
    path = world.servers[FRA].blob_path(layer)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)

    async with world.router() as (router, address):
        with pytest.raises(httpx.RemoteProtocolError):
            await big_blob(world, address)
        assert not world.servers[SYD].blob_path(layer).exists()
        assert router.counts["filled"] == 0

        body = await big_blob(world, address)

        await until(world.servers[SYD].blob_path(layer).exists)
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == layer
    assert router.counts["corrupted"] == 1


async def test_damaged_bytes_break_a_stream_without_a_spool_too(world: World) -> None:
    """Where there is no room on disk, the client is protected all the same."""
    layer = spoiled(world, FRA)

    async with world.router(spool_bytes_max=1_000) as (router, address):
        with pytest.raises(httpx.RemoteProtocolError):
            await big_blob(world, address)
        body = await big_blob(world, address)

    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == layer
    assert (router.counts["corrupted"], router.counts["spool_full"]) == (1, 2)


@pytest.mark.parametrize("damaged", [FRA, IAD])
async def test_damaged_bytes_break_what_the_own_registry_began(
    world: World, damaged: Region
) -> None:
    """Also where another registry ends it; nobody is blamed, as it may be either."""
    layer = big(world)
    path = world.servers[damaged].blob_path(layer)
    body = bytearray(path.read_bytes())
    body[len(body) // 4 * (3 if damaged == FRA else 1)] ^= 1
    path.write_bytes(body)
    world.links[IAD].cut_bytes = BIG_BYTES // 2

    async with world.router(IAD) as (router, address):
        with pytest.raises(httpx.RemoteProtocolError):
            await big_blob(world, address)

    assert router.counts["source_broke"] == 1
    assert router.counts["corrupted"] == 1


async def test_what_the_own_registry_has_damaged_comes_from_elsewhere(
    world: World,
) -> None:
    """The first pull breaks before its last byte; whoever repeats it has it whole.

    Nothing is put over it, since registries keep what they have: nor is that told.
    """
    layer = spoiled(world, IAD)

    async with world.router(IAD) as (router, address):
        with pytest.raises(httpx.RemoteProtocolError):
            await big_blob(world, address)
        body = await big_blob(world, address)

    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == layer
    assert (router.counts["corrupted"], router.counts["filled"]) == (1, 0)


async def test_what_was_proven_is_verified_again_for_who_comes_again(
    world: World,
) -> None:
    """Damaged since: as it is once, to a client that verifies; then known for damaged.

    Each pull but the first has the right bytes, or a broken connection.
    """
    async with world.router(IAD) as (router, address):
        sound = await big_blob(world, address, VERIFYING)  # which proves it
        layer = spoiled(world, IAD)
        damaged = await big_blob(world, address, VERIFYING)
        assert (router.counts["spared"], router.counts["corrupted"]) == (1, 0)

        with pytest.raises(httpx.RemoteProtocolError):
            await big_blob(world, address, VERIFYING)
        assert router.counts["corrupted"] == 1
        assert not world.underway.proven.spares(WEB, layer, "somebody else")
        again = await big_blob(world, address, VERIFYING)

    assert damaged != sound
    assert again == sound
    assert router.counts["spared"] == 1


async def test_client_that_may_not_verify_is_spared_nothing(world: World) -> None:
    """However lately it was proven."""
    async with world.router(IAD) as (router, address):
        await big_blob(world, address)
        layer = spoiled(world, IAD)
        assert world.underway.proven.spares(WEB, layer, "somebody else")

        with pytest.raises(httpx.RemoteProtocolError):
            await big_blob(world, address)

    assert (router.counts["spared"], router.counts["corrupted"]) == (0, 1)


async def test_what_only_the_own_registry_has_damaged_is_never_spared(
    world: World,
) -> None:
    """Once that is known: not even where something proves it again."""
    layer = spoiled(world, IAD)
    world.servers[FRA].blob_path(layer).unlink()

    async with world.router(IAD) as (router, address):
        for _ in range(2):
            world.underway.proven.read(WEB, layer, time.monotonic())
            with pytest.raises(httpx.RemoteProtocolError):
                await big_blob(world, address, VERIFYING if router.counts else None)

    assert (router.counts["spared"], router.counts["corrupted"]) == (0, 2)


async def test_what_a_pull_brought_counts_as_proven(world: World) -> None:
    """The next client is not made to wait for its digest."""
    async with world.router(SYD) as (router, address):
        sound = await big_blob(world, address, VERIFYING)
        await until(lambda: router.counts["filled"] == 1)

        assert await big_blob(world, address, VERIFYING) == sound

    assert router.counts["spared"] == 1


async def test_damaged_bytes_that_nobody_else_has_break_each_time(world: World) -> None:
    """It is not said that nobody has it: the own registry's word is doubted alone."""
    layer = spoiled(world, IAD)
    world.servers[FRA].blob_path(layer).unlink()

    async with world.router(IAD) as (router, address):
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                await big_blob(world, address)

    assert router.counts["corrupted"] == 2


async def test_pulls_go_on_without_the_service(world: World) -> None:
    """STALE: the tag is asked at its owner, and content is where it was."""
    world.known.state = ServingState.STALE

    async with world.router() as (router, address):
        await pulled(world, address)

        assert router.counts["tag_asked"] == 1
        assert router.counts["tag_known"] == 0
        world.links[FRA].close()
        await pulled(world, address, "again")
    assert router.counts["tag_known"] == 0, "the origin's word counts"


async def test_stale_state_never_answers_a_tag(world: World) -> None:
    """With every registry that has the tag gone, the answer is 503, not a digest."""
    world.known.state = ServingState.STALE
    world.links[FRA].close()
    world.links[IAD].close()

    async with world.router() as (_, address), httpx.AsyncClient() as client:
        answer = await client.get(f"http://{address}/v2/{WEB}/manifests/v1")

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"


async def test_nothing_known_is_found_all_the_same(world: World) -> None:
    """Lost notifications cost time, never a pull: all registries are asked."""
    world.known.held.clear()
    world.known.tags.clear()
    world.links[IAD].close()

    async with world.router() as (router, address):
        await pulled(world, address)

    assert router.counts["fell_back"] == 3


async def test_hung_registry_costs_its_time_once(world: World) -> None:
    """It is left alone until it answers a probe of ours; then it is asked again."""
    link = world.links[FRA]
    async with world.router(fills=False) as (router, address):
        link.hangs = True
        digest = world.known.tags[WEB, "v1"][0]
        await copy(f"docker://{address}/{WEB}@{digest}", f"oci:{world.directory}/1:1")
        slow = router.counts["source_slow"]
        await copy(f"docker://{address}/{WEB}@{digest}", f"oci:{world.directory}/2:1")
        assert slow
        assert router.counts["source_slow"] == slow

        link.hangs = False
        async with httpx.AsyncClient() as client:
            before = link.asked["HEAD", f"/v2/{WEB}/manifests/v1"]
            async with asyncio.timeout(10):
                while link.asked["HEAD", f"/v2/{WEB}/manifests/v1"] == before:
                    with contextlib.suppress(httpx.HTTPError):
                        await client.head(f"http://{address}/v2/{WEB}/manifests/v1")
                    await asyncio.sleep(0.2)


async def test_part_of_a_manifest_is_answered_with_all_of_it(world: World) -> None:
    """A registry that gives parts of manifests is not asked for one: none is verified.

    Distribution gives no parts; the registry of this test does.
    """
    body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST}).encode()
    digest = digest_of(body)
    world.known.held[WEB, digest] = [FRA]

    async def parts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                part = b"range: bytes=0-9" in head.lower()
                content, status = (body[:10], 206) if part else (body, 200)
                writer.write(
                    f"HTTP/1.1 {status} OK\r\nContent-Type: {MANIFEST}\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
        writer.close()

    server = await asyncio.start_server(parts, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = RegistrySettings(region=FRA, url=f"http://127.0.0.1:{port}")
    async with server, opened(settings, 8) as registry, httpx.AsyncClient() as client:
        world.registries[FRA] = registry
        async with world.router() as (_, address):
            url = f"http://{address}/v2/{WEB}/manifests/{digest}"
            got = await client.get(url, headers={"Range": "bytes=0-9"})

    assert (got.status_code, got.content) == (200, body)


async def test_part_of_a_blob_is_given_as_a_part(world: World) -> None:
    """Blobs may be gone on with."""
    async with world.router() as (_, address), httpx.AsyncClient() as client:
        url = f"http://{address}/v2/{WEB}/blobs/{big(world)}"
        got = await client.get(url, headers={"Range": "bytes=10-19"})

    whole = world.servers[IAD].blob_path(big(world)).read_bytes()
    assert (got.status_code, got.content) == (206, whole[10:20])
