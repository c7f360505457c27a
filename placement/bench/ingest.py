"""Events stored durably a second, beside what the disk can sync in the same minute.

The broker syncs each message before it says that it is stored. The ceiling is a file in
the same directory, to which as many bytes are written and synced, one after another;
with ENVELOPE_EVENTS events each that is what nobody could store faster one by one.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from placement.bench.measured import Measured
from placement.bench.pulls import ENVELOPE_EVENTS, pulls
from placement.bench.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    in_turn_async,
    own_core,
    pinned,
    server_core,
)
from placement.bench.settings import Settings
from placement.core.event import Event
from placement.core.state import State
from placement.core.topology import Region
from placement.ports import EventLog
from placement.runtime.publisher import Publisher
from placement.runtime.view import View
from placement.wire.events import BATCH_EVENTS_MAX, Encoded, encode_message

INGEST: Final = "ingest"
ENVELOPES: Final = 200
"""In each turn."""
SENDERS: Final = 16
"""Who send envelopes at the same time, each waiting for its answer."""
CALLERS: Final = 64
"""Who send single events at the same time."""
SINGLES: Final = 2_000
RATE: Final = "events/s"


def measure(settings: Settings) -> list[Measured]:
    """Measure envelopes, by the log alone and by a publisher, and single events."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    async with AsyncExitStack() as stack:
        with pinned([server_core()]):
            log, _ = await stack.enter_async_context(
                settings.open_log(settings.scratch)
            )
        stack.enter_context(pinned([own_core()]))
        sending = await _Sending.on(log, settings)
        rounds = settings.pick(ROUNDS, QUICK_ROUNDS)
        found = await in_turn_async(
            {
                "synced": sending.synced,
                "appended": sending.appended,
                "full": sending.full,
                "published": sending.published,
                "alone": sending.alone,
                "gathered": sending.gathered,
            },
            rounds,
        )
    synced = found["synced"]
    return [
        synced.measured(INGEST, "synced_by_the_disk", RATE),
        found["appended"].measured(INGEST, "envelopes_appended", RATE, synced),
        found["full"].measured(INGEST, "full_envelopes_appended", RATE, synced),
        found["published"].measured(INGEST, "envelopes_published", RATE, synced),
        found["alone"].measured(INGEST, "single_events_alone", RATE),
        found["gathered"].measured(
            INGEST, "single_events_gathered", RATE, found["alone"]
        ),
    ]


@dataclass(slots=True)
class _Sending:
    """Events on their way into one log, each kind in its own way; all events differ."""

    log: EventLog
    publisher: Publisher
    regions: list[Region]
    directory: Path
    envelope_count: int
    single_count: int
    sent: int = 0
    """How many events there were until now."""

    @classmethod
    async def on(cls, log: EventLog, settings: Settings) -> Self:
        """Return what sends into *log*, which must be empty."""
        view = View(time.time_ns)
        view.replace(State(), (await log.status()).epoch, restored=False)
        return cls(
            log,
            Publisher(log, view),
            sorted(settings.topology.regions),
            settings.scratch,
            settings.pick(ENVELOPES, SENDERS),
            settings.pick(SINGLES, CALLERS),
        )

    async def synced(self) -> float:
        """Write and sync as many bytes as envelopes take, one after another."""
        body = self._envelopes(1)[0][1]
        file = os.open(self.directory / "synced", os.O_CREAT | os.O_WRONLY)
        try:
            began = time.perf_counter()
            for _ in range(self.envelope_count):
                os.write(file, body)
                os.fdatasync(file)
            return self._rate(ENVELOPE_EVENTS * self.envelope_count, began)
        finally:
            os.close(file)

    async def appended(self, size: int = ENVELOPE_EVENTS) -> float:
        """Append envelopes that were made before, of *size* events each."""
        made = self._envelopes(self.envelope_count, size)
        work = [partial(self.log.append, *encoded) for encoded in made]
        return await self._sent(work, SENDERS, size)

    async def full(self) -> float:
        """Append as many envelopes, of as many events as one may have."""
        return await self.appended(BATCH_EVENTS_MAX)

    async def published(self) -> float:
        """Publish the same number of events, which are made into envelopes first."""
        batches = [self._events(ENVELOPE_EVENTS) for _ in range(self.envelope_count)]
        work = [partial(self.publisher.publish, batch) for batch in batches]
        return await self._sent(work, SENDERS, ENVELOPE_EVENTS)

    async def alone(self) -> float:
        """Append single events, each as a message of its own."""
        made = [encode_message([event]) for event in self._events(self.single_count)]
        work = [partial(self.log.append, *encoded) for encoded in made]
        return await self._sent(work, CALLERS, 1)

    async def gathered(self) -> float:
        """Publish single events."""
        events = self._events(self.single_count)
        work = [partial(self.publisher.publish, [event]) for event in events]
        return await self._sent(work, CALLERS, 1)

    async def _sent(
        self, work: Sequence[Callable[[], Awaitable[object]]], callers: int, each: int
    ) -> float:
        """Do all of *work*, so many at a time; return how many events a second."""
        left = iter(work)

        async def send() -> None:
            for call in left:
                await call()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(send())
        return self._rate(each * len(work), began)

    def _events(self, number: int) -> list[Event]:
        first, self.sent = self.sent, self.sent + number
        return list(pulls(first, number, self.regions))

    def _envelopes(self, number: int, size: int = ENVELOPE_EVENTS) -> list[Encoded]:
        return [encode_message(self._events(size)) for _ in range(number)]

    @staticmethod
    def _rate(number: int, began: float) -> float:
        return number / (time.perf_counter() - began)
