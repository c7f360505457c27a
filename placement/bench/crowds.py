"""What crowds of watchers cost everybody else: those who stand still, and newcomers.

In turn with and without the crowd: the slowest hundredth of unary calls, and of the
times from a change to where a replica knows it. Those who stand still read nothing at
all; newcomers read whole snapshots, one after another, in a process of their own, which
shares a core with whoever asks.
"""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass
from functools import partial
from typing import Final

import grpc

from placement.bench.measured import Measured, quantile
from placement.bench.rounds import QUICK_ROUNDS, in_turn_async
from placement.bench.settings import Settings
from placement.bench.watched import (
    WATCH,
    WATCH_SUITE,
    open_stream,
    place,
)
from placement.client import LocalPlacements, PlacementClient
from placement.core.errors import ManifestUnknownError
from placement.core.event import Event, Identifier, TagMoved
from placement.core.oci import Digest, Repository, Tag
from placement.wire.events import encode_event

STALLED: Final = 100
CONNECTIONS: Final = 10
NEWCOMERS: Final = 16
SETTLED_SECONDS: Final = 1.0
"""So long after it came a crowd stands still."""
CALLS: Final = 1_500
CHANGES: Final = 150
CROWD_ROUNDS: Final = 3
KNOWN_SECONDS_MAX: Final = 10.0
STOP_SECONDS_MAX: Final = 5.0
NARROW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16))
"""A connection that takes little ahead of what is read."""
MOVED: Final = Tag("moved")

Crowd = Callable[[], AbstractAsyncContextManager[None]]
"""Gives a while in which the crowd is there."""


async def crowd_figures(
    settings: Settings, target: str, client: PlacementClient, local: LocalPlacements
) -> list[Measured]:
    """Return the slowest hundredth of calls and changes, beside what it was alone."""
    asking = _Asking(settings, client, local)

    stalled = partial(_stalled, target, settings.pick(STALLED, 3))
    newcomers = partial(_newcomers, target, settings.pick(NEWCOMERS, 2))
    found = await in_turn_async(
        {
            "calls": asking.calls,
            "changes": asking.changes,
            "calls, stalled": partial(_amid, stalled, asking.calls),
            "changes, stalled": partial(_amid, stalled, asking.changes),
            "calls, newcomers": partial(_amid, newcomers, asking.calls),
        },
        settings.pick(CROWD_ROUNDS, QUICK_ROUNDS),
    )
    calls, changes = found["calls"], found["changes"]
    return [
        calls.measured(WATCH_SUITE, "call_p99", "ms"),
        found["calls, stalled"].measured(
            WATCH_SUITE, "call_p99_100_stalled", "ms", calls
        ),
        found["calls, newcomers"].measured(
            WATCH_SUITE, "call_p99_16_snapshots", "ms", calls
        ),
        changes.measured(WATCH_SUITE, "change_known_p99", "ms"),
        found["changes, stalled"].measured(
            WATCH_SUITE, "change_known_p99_100_stalled", "ms", changes
        ),
    ]


async def _amid(crowd: Crowd, ask: Callable[[], Awaitable[float]]) -> float:
    async with crowd():
        await asyncio.sleep(SETTLED_SECONDS)
        return await ask()


@dataclass(slots=True)
class _Asking:
    """Asks and changes, and tells the slowest hundredth, in milliseconds."""

    settings: Settings
    client: PlacementClient
    local: LocalPlacements
    moves: int = 0
    """How often the tag was moved by now."""

    async def calls(self) -> float:
        """Return of RankSources, one after another."""
        region = min(self.settings.topology.regions)
        took = []
        for number in range(self.settings.pick(CALLS, 20)):
            owner, digest = place(number)
            began = time.perf_counter()
            await self.client.rank_sources(owner, digest, region)
            took.append(1_000 * (time.perf_counter() - began))
        return quantile(took, 0.99)

    async def changes(self) -> float:
        """Return from when a tag's move was published to when a replica knew it."""
        region = min(self.settings.topology.regions)
        took = []
        for _ in range(self.settings.pick(CHANGES, 5)):
            self.moves += 1
            owner, digest = place(self.moves)
            move = Event(
                Identifier(f"move-{self.moves}"), region, TagMoved(owner, MOVED, digest)
            )
            began = time.perf_counter()
            await self.client.publish_events([encode_event(move)])
            async with asyncio.timeout(KNOWN_SECONDS_MAX):
                await self._known(owner, digest)
            took.append(1_000 * (time.perf_counter() - began))
        return quantile(took, 0.99)

    async def _known(self, owner: Repository, digest: Digest) -> None:
        while True:
            with suppress(ManifestUnknownError):
                found = self.local.resolve(owner, MOVED, accept_stale=True)
                if found.digest == digest:
                    return
            await self.local.changed()


@asynccontextmanager
async def _stalled(target: str, count: int) -> AsyncIterator[None]:
    """Give a while in which *count* watchers take nothing of what they are told."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(target, (*NARROW, ("pool", number)))
            )
            for number in range(min(CONNECTIONS, count))
        ]
        calls = [
            open_stream(channels[number % len(channels)], WATCH)
            for number in range(count)
        ]
        yield
        for call in calls:
            call.cancel()


@asynccontextmanager
async def _newcomers(target: str, count: int) -> AsyncIterator[None]:
    """Give a while in which *count* watchers read snapshots, one after another."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_read_on, args=(target, count), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.join, STOP_SECONDS_MAX)


def _read_on(target: str, count: int) -> None:
    asyncio.run(_reading_on(target, count))


async def _reading_on(target: str, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(_snapshots(target))


async def _snapshots(target: str) -> None:
    """Read one snapshot after another, each until nothing more comes."""
    while True:
        local = await LocalPlacements.start(target)
        await local.close()
