"""A watcher's first copy and its changes, beside raw bytes; look-ups beside calls.

The service runs on one core and whoever asks it on the other. A stream's ceiling is a
server that sends the very same messages, made before; a look-up's is the same question
as a unary call to the service. What crowds of watchers cost others comes last.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import grpc

from placement.bench.crowds import crowd_figures
from placement.bench.measured import Measured
from placement.bench.raw_stream import METHOD, raw_server, write_messages
from placement.bench.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    in_turn,
    in_turn_async,
    own_core,
    pinned,
    rate,
    server_core,
)
from placement.bench.servers import UNLIMITED
from placement.bench.settings import Settings
from placement.bench.watched import (
    LAYERS,
    PACKED,
    PACKED_ALONE,
    RESPONSE_BYTES_MAX,
    WATCH,
    WATCH_SUITE,
    fill,
    open_stream,
    place,
)
from placement.client import LocalPlacements, PlacementClient
from placement.core.topology import Region

PLACEMENTS: Final = 300_000
LOOKUPS: Final = 50_000
CALLS: Final = 500
BATCH: Final = 1_000
ESTIMATES: Final = 50
CALL_SECONDS_MAX: Final = 60.0
QUIET_SECONDS: Final = 1.0
"""A snapshot is over when nothing more comes for so long."""
END_BYTES: Final = 1_024
"""The last words of a snapshot, which hold times, differ by less."""
MEGABYTE: Final = 1e6


def measure(settings: Settings) -> list[Measured]:
    """Measure first copies, look-ups, changes, and what crowds of watchers cost."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    count = settings.pick(PLACEMENTS, 2_000)
    regions = [
        r for r in sorted(settings.topology.regions) if settings.topology.stores(r)
    ]
    async with AsyncExitStack() as stack:
        directory = settings.directory("service")
        service = await stack.enter_async_context(
            settings.run_service(directory, settings=UNLIMITED, cores=[server_core()])
        )
        stack.enter_context(pinned([own_core()]))
        patient = PlacementClient(service.target, timeout_s=CALL_SECONDS_MAX)
        client = await stack.enter_async_context(patient)
        await fill(client, regions[:2], count)
        found = await _first_copies(settings, service.target, count)
        local = await stack.enter_async_context(
            await LocalPlacements.start(service.target)
        )
        found += await _look_ups(settings, client, local, count)
        found += await crowd_figures(settings, service.target, client, local)
    return found


# First copies.


async def _first_copies(settings: Settings, target: str, count: int) -> list[Measured]:
    """Return how fast a snapshot comes: as bytes, and into a replica."""
    async with _channel(target) as channel:
        told = await _snapshot(channel)
        alone = sum(map(len, await _snapshot(channel, PACKED_ALONE)))
    size = sum(map(len, told))
    file = settings.scratch / "messages"
    write_messages(file, told)
    async with (
        raw_server(file, [server_core()]) as raw,
        _channel(raw) as ceiling,
        _channel(target) as channel,
    ):
        found = await in_turn_async(
            {
                "raw": partial(_read_rate, ceiling, METHOD, size),
                "packed": partial(_read_rate, channel, WATCH, size),
                "alone": partial(_read_rate, channel, WATCH, alone, PACKED_ALONE),
                "replica": partial(_replica_rate, target, size),
            },
            settings.pick(ROUNDS, QUICK_ROUNDS),
        )
    raw_bytes, replica = found["raw"], found["replica"]
    per_second = count / size * MEGABYTE * replica.median
    return [
        raw_bytes.measured(WATCH_SUITE, "raw_bytes", "MB/s"),
        found["packed"].measured(WATCH_SUITE, "bootstrap_stream", "MB/s", raw_bytes),
        found["alone"].measured(
            WATCH_SUITE, "bootstrap_stream_alone", "MB/s", raw_bytes
        ),
        replica.measured(WATCH_SUITE, "bootstrap_replica", "MB/s", raw_bytes),
        Measured(WATCH_SUITE, "bootstrap_placements", per_second, "placements/s"),
        Measured(WATCH_SUITE, "bytes_per_placement_sent", size / count, "bytes"),
    ]


def _channel(target: str) -> grpc.aio.Channel:
    options = (("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),)
    return grpc.aio.insecure_channel(target, options)


async def _snapshot(channel: grpc.aio.Channel, request: bytes = PACKED) -> list[bytes]:
    """Return the messages of a whole snapshot."""
    call, found = open_stream(channel, WATCH, request), []
    try:
        while True:
            async with asyncio.timeout(QUIET_SECONDS):
                found.append(await call.read())
    except TimeoutError:
        return found
    finally:
        call.cancel()


async def _read_rate(
    channel: grpc.aio.Channel, method: str, size: int, request: bytes = PACKED
) -> float:
    """Return how many megabytes a second come, until *size* is there."""
    began, left = time.perf_counter(), size - END_BYTES
    call = open_stream(channel, method, request)
    while left > 0:
        left -= len(await call.read())
    took = time.perf_counter() - began
    call.cancel()
    return size / MEGABYTE / took


async def _replica_rate(target: str, size: int) -> float:
    """Return how many megabytes a second are taken in by a replica, all told."""
    began = time.perf_counter()
    local = await LocalPlacements.start(target)
    took = time.perf_counter() - began
    await local.close()
    return size / MEGABYTE / took


# Look-ups.

Question = tuple[str, str, Region]


async def _look_ups(
    settings: Settings, client: PlacementClient, local: LocalPlacements, count: int
) -> list[Measured]:
    """Return how many look-ups a second a replica makes, beside unary calls."""
    regions = sorted(settings.topology.regions)
    look_ups = settings.pick(LOOKUPS, 200)
    chance = random.Random(1)  # noqa: S311 - the same questions each time
    blobs = _questions(chance, regions, count, look_ups, manifests=False)
    images = _questions(chance, regions, count, look_ups // 10, manifests=True)
    calls = blobs[: settings.pick(CALLS, 20)]
    image_calls = images[: len(calls) // 5]
    rounds = settings.pick(ROUNDS, QUICK_ROUNDS)
    asked = await in_turn_async(
        {
            "blob": partial(_call_rate, client, calls),
            "image": partial(_call_rate, client, image_calls),
            "estimate": partial(_estimate_call_rate, client, image_calls),
        },
        rounds,
    )
    found = in_turn(
        {
            "presence": partial(_each_rate, local.holds, blobs),
            "ranked": partial(_each_rate, local.rank_sources, blobs),
            "image": partial(_each_rate, local.rank_sources, images),
            "batch": partial(_batch_rate, local, blobs),
            "estimate": partial(_estimate_rate, local, images[:ESTIMATES]),
        },
        rounds,
    )
    blob, image, starts = asked["blob"], asked["image"], asked["estimate"]
    unit = "look-ups/s"
    return [
        blob.measured(WATCH_SUITE, "unary_rank_calls", "calls/s"),
        image.measured(WATCH_SUITE, "unary_image_calls", "calls/s"),
        starts.measured(WATCH_SUITE, "unary_estimate_calls", "calls/s"),
        found["presence"].measured(WATCH_SUITE, "replica_presence", unit, blob),
        found["ranked"].measured(WATCH_SUITE, "replica_ranked_blobs", unit, blob),
        found["batch"].measured(WATCH_SUITE, "replica_ranked_many", unit, blob),
        found["image"].measured(WATCH_SUITE, "replica_ranked_images", unit, image),
        found["estimate"].measured(
            WATCH_SUITE, "replica_estimates", "estimates/s", starts
        ),
        Measured(
            WATCH_SUITE,
            "replica_bytes_per_placement",
            local.bytes_held / local.placement_count,
            "bytes",
        ),
    ]


def _questions(
    chance: random.Random,
    regions: Sequence[Region],
    count: int,
    look_ups: int,
    *,
    manifests: bool,
) -> list[Question]:
    """Return questions about contents of one kind, wherever they are kept."""
    numbers = range(LAYERS if manifests else 0, count, LAYERS + 1)
    return [
        (*place(chance.choice(numbers)), chance.choice(regions))
        for _ in range(look_ups)
    ]


async def _call_rate(client: PlacementClient, questions: Sequence[Question]) -> float:
    return await _awaited_rate(
        [partial(client.rank_sources, *question) for question in questions]
    )


async def _estimate_call_rate(
    client: PlacementClient, questions: Sequence[Question]
) -> float:
    return await _awaited_rate(
        [
            partial(client.estimate_starts, [(repository, digest, "")], "any")
            for repository, digest, _ in questions
        ]
    )


async def _awaited_rate(calls: Sequence[Callable[[], Awaitable[object]]]) -> float:
    began = time.perf_counter()
    for call in calls:
        await call()
    return len(calls) / (time.perf_counter() - began)


def _each_rate(
    ask: Callable[[str, str, Region], object], questions: Sequence[Question]
) -> float:
    def work() -> None:
        for repository, digest, region in questions:
            ask(repository, digest, region)

    return rate(len(questions), work)


def _batch_rate(local: LocalPlacements, questions: Sequence[Question]) -> float:
    repository, _, region = questions[0]
    digests = [digest for _, digest, _ in questions[:BATCH]]
    return rate(len(digests), lambda: local.rank_many(repository, digests, region))


def _estimate_rate(local: LocalPlacements, questions: Sequence[Question]) -> float:
    def work() -> None:
        for repository, digest, _ in questions:
            local.estimate([(repository, digest, "")], "any")

    return rate(len(questions), work)
