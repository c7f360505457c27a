"""Every event log under one face, with the means to make it fail."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Protocol

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.memory import MemoryEventLog
from placement.ports import Appended, EventLog, LogUnavailableError, Message
from tests.nats_server import NatsServer, jetstream
from tests.simulator.log import LogConnection, LogFaults, SimulatedLog

SUBJECT = "placement.events.v1.ams.content_pushed"
DEADLINE_SECONDS = 20.0
REPLACED_SECONDS_MAX = 5.0
WINDOW_COUNT = 200


class Subject(Protocol):
    """An event log under test, and the store behind it."""

    log: EventLog
    atomic: bool
    """Whether it looks at what an append expects in the step in which it stores it."""

    async def stop(self) -> None:
        """Make the log unreachable, as by a kill of its server."""

    async def start(self) -> None:
        """Make it reachable again, with the store as it is."""

    async def keep(self) -> None:
        """Remember what is stored now."""

    async def put_back(self) -> None:
        """Set the stored back to what was remembered."""

    async def replace(self) -> None:
        """Delete the log and make a new one of the same name."""


class MemorySubject:
    """The memory twin."""

    def __init__(self) -> None:
        """Begin empty, on the real clock."""
        self._memory = MemoryEventLog(time.time_ns)
        self.log: EventLog = self._memory
        self.atomic = True
        self._kept_sequence = 0

    async def stop(self) -> None:
        """Make the log unreachable."""
        self._memory.stop()

    async def start(self) -> None:
        """Make it reachable again."""
        self._memory.resume()

    async def keep(self) -> None:
        """Remember the last sequence."""
        self._kept_sequence = (await self._memory.status()).last_sequence

    async def put_back(self) -> None:
        """Lose what came later."""
        self._memory.rewind(self._kept_sequence)

    async def replace(self) -> None:
        """Become another log."""
        self._memory.replace()


class SimulatedSubject:
    """The simulator's log, over a connection on which nothing goes wrong."""

    def __init__(self, store: SimulatedLog) -> None:
        """Keep *store*, which has begun."""
        self._store = store
        self.log: EventLog = LogConnection(store)
        self.atomic = True
        self._kept_sequence = 0

    @classmethod
    async def empty(cls) -> "SimulatedSubject":
        """Return one without messages, on the real clock."""
        store = SimulatedLog(time.time_ns, Random(1), LogFaults())
        await store.begin()
        return cls(store)

    async def stop(self) -> None:
        """Make the log unreachable."""
        self._store.stop()

    async def start(self) -> None:
        """Make it reachable again."""
        self._store.resume()

    async def keep(self) -> None:
        """Remember the last sequence."""
        self._kept_sequence = len(self._store.life.messages)

    async def put_back(self) -> None:
        """Lose what came later."""
        await self._store.rewind(self._kept_sequence)

    async def replace(self) -> None:
        """Become another log."""
        await self._store.replace()


class NatsSubject:
    """A log in a real nats-server."""

    def __init__(self, server: NatsServer, log: JetStreamLog, *, atomic: bool) -> None:
        """Keep all."""
        self._server = server
        self.log: EventLog = log
        self.atomic = atomic

    async def stop(self) -> None:
        """Kill the server."""
        await asyncio.to_thread(self._server.kill)

    async def start(self) -> None:
        """Run it again on the same port and store."""
        await asyncio.to_thread(self._server.start)

    async def keep(self) -> None:
        """Copy the store while the server is away."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.keep_store)
        await asyncio.to_thread(self._server.start)

    async def put_back(self) -> None:
        """Put the copy in the store's place while the server is away."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.put_store_back)
        await asyncio.to_thread(self._server.start)

    async def replace(self) -> None:
        """Delete the stream and create it anew, as an operator might."""
        async with jetstream(self._server) as manager:
            await manager.delete_stream(self._server.settings.stream)
        again = await JetStreamLog.connect(self._server.settings)
        await again.close()


@asynccontextmanager
async def reading(
    log: EventLog, after_sequence: int, epoch: str = ""
) -> AsyncIterator["Reader"]:
    """Read *log* within the block."""
    batches = log.read(after_sequence, epoch)
    assert isinstance(batches, AsyncGenerator)
    try:
        yield Reader(batches)
    finally:
        await batches.aclose()


class Reader:
    """Takes from a log with deadlines, so that a test fails and never hangs."""

    def __init__(self, batches: AsyncGenerator[Sequence[Message], None]) -> None:
        """Take from *batches*."""
        self._batches = batches
        self.sizes: list[int] = []

    async def batch(self, deadline_seconds: float) -> Sequence[Message]:
        """Return the next batch; TimeoutError after *deadline_seconds*."""
        async with asyncio.timeout(deadline_seconds):
            batch = await anext(self._batches)
        self.sizes.append(len(batch))
        return batch

    async def take(
        self, count: int, deadline_seconds: float = DEADLINE_SECONDS
    ) -> list[Message]:
        """Return *count* messages; TimeoutError after *deadline_seconds* in all."""
        taken: list[Message] = []
        async with asyncio.timeout(deadline_seconds):
            while len(taken) < count:
                taken += await self.batch(deadline_seconds)
        assert len(taken) == count
        return taken

    async def take_some(self) -> Sequence[Message]:
        """Return the next batch that is not empty."""
        while True:
            batch = await self.batch(DEADLINE_SECONDS)
            if batch:
                return batch

    async def until_up_to_date(self) -> None:
        """Read until the log says that it has nothing newer."""
        while await self.batch(DEADLINE_SECONDS):
            pass

    async def until_it_fails(self) -> None:
        """Read until the log raises; TimeoutError after REPLACED_SECONDS_MAX."""
        async with asyncio.timeout(REPLACED_SECONDS_MAX):
            while True:
                await self.batch(REPLACED_SECONDS_MAX)


async def fill(log: EventLog, count: int, prefix: str = "m", size: int = 8) -> None:
    """Append *count* messages of *size* bytes, one after another."""
    for number in range(count):
        body = f"{prefix}{number}".encode().ljust(size, b".")
        await log.append(SUBJECT, body, f"{prefix}{number}")


async def fill_fast(log: EventLog, count: int) -> None:
    """Append *count* messages, WINDOW_COUNT at a time; their order is open."""
    for first in range(0, count, WINDOW_COUNT):
        numbers = range(first, min(first + WINDOW_COUNT, count))
        bodies = {f"fast{number}": str(number).encode() for number in numbers}
        await asyncio.gather(
            *(log.append(SUBJECT, body, name) for name, body in bodies.items())
        )


async def append_until_stored(log: EventLog, message_id: str) -> Appended:
    """Append one message, as often as the log says that it is away."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                return await log.append(SUBJECT, b"again", message_id)
            except LogUnavailableError:
                await asyncio.sleep(0.05)
