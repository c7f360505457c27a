"""A simulated log, and the connections over which others reach it.

The log is the memory twin, which keeps the port's promises by itself. What is added is
what a network and a machine do: each connection has delays, loses requests and answers,
delivers some twice or late, and can be cut off. The ledger remembers every message that
the log ever held, so that whatever was answered can be checked afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from random import Random

from placement.adapters.memory import MemoryEventLog
from placement.core.event import TickPassed
from placement.ports import (
    Appended,
    Clock,
    Expected,
    LogMovedError,
    LogStatus,
    LogUnavailableError,
    Message,
)
from placement.wire.events import fact_name
from tests.simulator.process import require_alive

DUPLICATE_WINDOW_NS = 15_000_000_000
APPEND_SECONDS_MAX = 2.0
"""An append that was not answered in this time is not known to be stored."""
DOUBT_SECONDS = 15.0
"""A log errs about its end at most once in so long, as a cluster's new leader may."""


@dataclass
class LogFaults:
    """How often the way to the log fails; each a chance from 0 to 1 per call."""

    seconds_max: float = 0.0
    """A way to the log or back takes up to so long."""
    lose_request: float = 0.0
    lose_answer: float = 0.0
    deliver_twice: float = 0.0
    deliver_late: float = 0.0
    """The append is stored, long after its caller gave up."""
    hold_read: float = 0.0
    """A batch is on its way for some seconds."""
    err_about_end: float = 0.0

    def end(self) -> None:
        """Let nothing go wrong any more; delays stay."""
        self.lose_request = self.lose_answer = self.deliver_twice = 0.0
        self.deliver_late = self.hold_read = self.err_about_end = 0.0


@dataclass
class Life:
    """The log between two losses: its epoch, and every message that it held."""

    epoch: str
    messages: list[Message]
    began_ns: int = 0
    kept_count: int = 0
    """How many of its messages are those of the log before."""


class SimulatedLog:
    """The log's own side: what is stored, and what happens to it."""

    def __init__(self, clock: Clock, random: Random, faults: LogFaults) -> None:
        """Be empty and in order."""
        self.memory = MemoryEventLog(clock, duplicate_window_ns=DUPLICATE_WINDOW_NS)
        self.random = random
        self.faults = faults
        self._clock = clock
        self.lives: list[Life] = []
        self.reachable = True
        self.late: list[asyncio.Task[None]] = []
        self._doubt_seconds = 0.0

    @property
    def life(self) -> Life:
        """What the log is now."""
        return self.lives[-1]

    @property
    def last_news(self) -> int:
        """Where the last message is that is more than a tick."""
        news = (m.sequence for m in reversed(self.life.messages) if not _is_tick(m))
        return next(news, 0)

    async def begin(self) -> None:
        """Begin the ledger."""
        await self._begin_life([])

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store a message, and note it."""
        appended = await self.memory.append(subject, body, message_id, expected)
        if not appended.duplicate:
            message = await self.memory.message(appended.sequence)
            assert message is not None, "it was stored just now"
            assert message.sequence == len(self.life.messages) + 1
            self.life.messages.append(message)
        return appended

    def stop(self) -> None:
        """Become unreachable for everybody."""
        self.reachable = False
        self.memory.stop()

    def resume(self) -> None:
        """Be reachable again."""
        self.reachable = True
        self.memory.resume()

    async def rewind(self, last_sequence: int) -> None:
        """Lose what came after *last_sequence*, as a store put back from a backup."""
        kept = self.life.messages[:last_sequence]
        self.memory.rewind(last_sequence)
        await self._begin_life(kept)

    async def replace(self) -> None:
        """Become another, empty log."""
        self.memory.replace()
        await self._begin_life([])

    async def _begin_life(self, messages: list[Message]) -> None:
        stopped = not self.reachable
        if stopped:
            self.memory.resume()
        status = await self.memory.status()
        if stopped:
            self.memory.stop()
        life = Life(status.epoch, messages, self._clock(), len(messages))
        self.lives.append(life)

    def errs_now(self, now: float) -> bool:
        """Say whether an answer about the log's end is wrong this time."""
        if now < self._doubt_seconds or not self.faults.err_about_end:
            return False
        if self.random.random() >= self.faults.err_about_end:
            return False
        self._doubt_seconds = now + DOUBT_SECONDS
        return True


def _is_tick(message: Message) -> bool:
    return message.subject.endswith(f".{fact_name(TickPassed)}")


@dataclass(eq=False)
class LogConnection:
    """An EventLog over a network that loses, doubles, delays and reorders."""

    log: SimulatedLog
    cut_off: bool = False
    _closed: bool = field(default=False, init=False)

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store a message; LogUnavailableError also when the answer is lost."""
        faults, random = self.log.faults, self.log.random
        await self._travel()
        if random.random() < faults.lose_request:
            await self._give_up("the request was lost")
        if random.random() < faults.deliver_late:
            late = self._deliver_late(subject, body, message_id, expected)
            loop = asyncio.get_running_loop()
            self.log.late.append(loop.create_task(late, context=Context()))
            await self._give_up("the request is still on its way")
        try:
            appended = await self.log.append(subject, body, message_id, expected)
            if random.random() < faults.deliver_twice:
                await self.log.append(subject, body, message_id, expected)
        except LogMovedError:
            await self._answer_travels()
            raise
        await self._answer_travels()
        return appended

    async def _answer_travels(self) -> None:
        """Take the way back, on which an answer or a refusal may be lost."""
        if self.log.random.random() < self.log.faults.lose_answer:
            await self._give_up("the answer was lost")
        await self._travel()

    async def _deliver_late(
        self, subject: str, body: bytes, message_id: str, expected: Expected | None
    ) -> None:
        """Store what is still on its way, whoever sent it and whether he lives.

        What it expected may not hold any more: then it is refused, and nobody hears.
        """
        await asyncio.sleep(APPEND_SECONDS_MAX + self.log.random.random() * 30)
        if self.log.reachable:
            with suppress(LogMovedError):
                await self.log.append(subject, body, message_id, expected)

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield as the port says, in pieces and with pauses of the network's making."""
        random, faults = self.log.random, self.log.faults
        async for whole in self.log.memory.read(after_sequence, epoch):
            require_alive()
            rest = list(whole)
            while True:
                count = random.randint(1, len(rest)) if rest else 0
                piece, rest = rest[:count], rest[count:]
                if random.random() < faults.hold_read:
                    await asyncio.sleep(random.random() * 6)
                if await self._waited_for_network() and not piece:
                    break  # nobody has reached the log just now
                self._require_open()
                yield piece
                if not rest:
                    break

    async def _waited_for_network(self) -> bool:
        """Wait until the log can be reached; say whether that took any time."""
        waited = False
        while self.cut_off:
            waited = True
            await asyncio.sleep(0.2)
        return waited

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Return one message, or None when the log does not hold it."""
        await self._travel()
        found = await self.log.memory.message(sequence, subject)
        await self._travel()
        return found

    async def last(self, subject: str) -> Message | None:
        """Return the last message of *subject*, or None."""
        await self._travel()
        found = await self.log.memory.last(subject)
        await self._travel()
        return found

    async def status(self) -> LogStatus:
        """Say what log this is and how far it reaches."""
        await self._travel()
        status = await self.log.memory.status()
        if self.log.errs_now(asyncio.get_running_loop().time()):
            status = LogStatus(status.epoch, 1, 0)
        await self._travel()
        return status

    async def close(self) -> None:
        """Make every later call raise LogUnavailableError."""
        self._closed = True

    def _require_open(self) -> None:
        require_alive()
        if self._closed:
            message = "the connection was closed by its owner"
            raise LogUnavailableError(message)

    async def _travel(self) -> None:
        """Take the way to the log or back; raises LogUnavailableError."""
        self._require_open()
        if self.log.faults.seconds_max:
            await asyncio.sleep(self.log.random.random() * self.log.faults.seconds_max)
            self._require_open()
        if self.cut_off or not self.log.reachable:
            message = "the simulated log cannot be reached"
            raise LogUnavailableError(message)

    async def _give_up(self, why: str) -> None:
        await asyncio.sleep(APPEND_SECONDS_MAX)
        self._require_open()
        raise LogUnavailableError(why)
