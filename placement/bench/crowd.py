"""How long an answer takes while events come in, beside a time when none do.

Calls are made at a steady pace, whether or not the one before was answered, and each is
timed from when it was due: whoever is late is not asked less. Each asks for something
else, and is computed.
"""

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from placement.bench.contents import REPOSITORY, digest_of
from placement.bench.measured import quantile
from placement.bench.pulls import ENVELOPE_EVENTS, envelopes
from placement.bench.rounds import Samples
from placement.client import PlacementClient
from placement.core.topology import Region
from placement.ports import EventLog
from placement.wire.events import Encoded

EVENTS_PER_SECOND: Final = 100_000
CALLS_PER_SECOND: Final = 200
LEAD_SECONDS: Final = 0.2
"""Events come in for so long before the first call."""
UNDER_WAY_MAX: Final = 64
"""Envelopes that wait for the log at once; a log that is slower gets fewer."""
CALL_SECONDS_MAX: Final = 30.0
CATCH_UP_SECONDS_MAX: Final = 120.0


@dataclass(slots=True)
class Latencies:
    """What the turns of one kind found."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    events_per_second: list[float] = field(default_factory=list)
    """Folded by the service while it was asked."""

    def samples(self) -> tuple[Samples, Samples, Samples]:
        """Return the medians and p99s of the turns, and what was folded meanwhile."""
        lists = (self.p50_ms, self.p99_ms, self.events_per_second)
        p50, p99, folded = (Samples(tuple(each)) for each in lists)
        return p50, p99, folded


@dataclass(slots=True)
class Crowd:
    """A service that is asked, and the log that events come in by."""

    log: EventLog
    client: PlacementClient
    asker: Region
    layers: int
    regions: list[Region]
    seconds: float
    """Of each turn."""
    sent: int = 0

    async def turn(self, found: Latencies, *, crowded: bool) -> None:
        """Ask for a while, with events coming in if it is *crowded*."""
        messages: list[Encoded] = []
        if crowded:
            seconds = self.seconds + LEAD_SECONDS
            count = round(seconds * EVENTS_PER_SECOND / ENVELOPE_EVENTS)
            messages = envelopes(self.sent, count, self.regions)
            self.sent += count * ENVELOPE_EVENTS
        sending = asyncio.create_task(self._send(messages))
        await asyncio.sleep(LEAD_SECONDS)
        began, before = perf_counter(), await self._folded()
        gc.disable()  # who asks looks through what it sends, and would time itself
        try:
            took_ms = sorted([1_000 * took for took in await self._ask()])
        finally:
            gc.enable()
        found.p50_ms.append(quantile(took_ms, 0.5))
        found.p99_ms.append(quantile(took_ms, 0.99))
        folded = (await self._folded() - before) / (perf_counter() - began)
        found.events_per_second.append(folded * ENVELOPE_EVENTS)
        await sending
        await self._caught_up()

    async def _send(self, messages: list[Encoded]) -> None:
        room = asyncio.Semaphore(UNDER_WAY_MAX)

        async def stored(message: Encoded) -> None:
            async with room:
                await self.log.append(*message)

        pace = _paced(EVENTS_PER_SECOND / ENVELOPE_EVENTS)
        async with asyncio.TaskGroup() as tasks:
            for message in messages:
                await _until(next(pace))
                async with room:
                    tasks.create_task(stored(message))

    async def _ask(self) -> list[float]:
        pace, calls = _paced(CALLS_PER_SECOND), []
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(self.seconds * CALLS_PER_SECOND)):
                due = next(pace)
                await _until(due)
                calls.append(tasks.create_task(self._call(number, due)))
        return [call.result() for call in calls]

    async def _call(self, number: int, due: float) -> float:
        digest = digest_of(number * 7 % self.layers)
        await self.client.rank_sources(
            REPOSITORY, digest, self.asker, max_staleness_s=3_600
        )
        return perf_counter() - due

    async def _caught_up(self) -> None:
        """Wait until all is folded: the next turn is not to pay for this one."""
        last = (await self.log.status()).last_sequence
        async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
            while await self._folded() < last:  # noqa: ASYNC110 - another process folds
                await asyncio.sleep(LEAD_SECONDS)

    async def _folded(self) -> int:
        return int((await self.client.get_service_info()).basis.sequence)


def _paced(per_second: float) -> Iterator[float]:
    """Yield the moments of a steady pace, beginning now."""
    began, number = perf_counter(), 0
    while True:
        yield began + number / per_second
        number += 1


async def _until(moment: float) -> None:
    wait = moment - perf_counter()
    if wait > 0:
        await asyncio.sleep(wait)
