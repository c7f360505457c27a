"""A durable queue of decisions, as a broker keeps it for one region's replicator.

What is not settled comes again: when its holder asked for that, when its holder died,
and from the first message on when the log is another one than before.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from placement.core.topology import Region
from placement.ports import LogUnavailableError, Message
from placement.wire.events import DECISIONS_PREFIX
from tests.simulator.log import LogConnection, SimulatedLog
from tests.simulator.loop import VirtualLoop
from tests.simulator.process import PROCESS, Process, require_alive

LOOK_SECONDS: Final = 0.7
ACK_SECONDS: Final = 10.0
"""After so long without a sign of its holder a message comes again."""


@dataclass(slots=True, eq=False)
class _Pending:
    message: Message
    attempt: int = 1
    due_seconds: float = 0.0
    holder: Process | None = None


class Consumer:
    """How far one region's decisions are carried out: the broker's own side."""

    def __init__(self, log: SimulatedLog, loop: VirtualLoop, region: Region) -> None:
        """Begin with the first message."""
        self.log = log
        self._loop = loop
        self._subjects = f"{DECISIONS_PREFIX}.{region}."
        self._read = (0, 0)
        """Which life of the log was read, and how far."""
        self._pending: list[_Pending] = []

    @property
    def idle(self) -> bool:
        """Say whether nothing is in anybody's hands, or will be soon."""
        number, position = self._read
        messages = self.log.life.messages
        news = messages[position:] if number == len(self.log.lives) else messages
        held = any(one.holder is not None for one in self._pending)
        return not held and not any(map(self._is_ours, news))

    def taken(self, process: Process | None) -> list[_Pending]:
        """Give *process* all that is to be done now."""
        now = self._loop.now_seconds
        number, position = self._read
        if number != len(self.log.lives):
            number, position, self._pending = len(self.log.lives), 0, []
        messages = self.log.life.messages
        self._read = (number, len(messages))
        for message in messages[position:]:
            if self._is_ours(message):
                self._pending.append(_Pending(message))
        found = []
        for one in self._pending:
            holder = one.holder
            if holder is not None and not holder.alive:
                one.holder, one.due_seconds = None, now + ACK_SECONDS
                one.attempt += 1
            if one.holder is None and one.due_seconds <= now:
                one.holder = process
                found.append(one)
        return found

    def _is_ours(self, message: Message) -> bool:
        return message.subject.startswith(self._subjects)

    def done(self, pending: _Pending) -> None:
        """Never give *pending* to anybody again."""
        if pending in self._pending:
            self._pending.remove(pending)

    def again(self, pending: _Pending, delay_seconds: float) -> None:
        """Give *pending* to somebody after a while."""
        pending.holder = None
        pending.attempt += 1
        pending.due_seconds = self._loop.now_seconds + delay_seconds


class _Held:
    """One message in an agent's hands."""

    def __init__(self, consumer: Consumer, pending: _Pending) -> None:
        self.message = pending.message
        self.attempt = pending.attempt
        self._consumer = consumer
        self._pending = pending

    async def done(self) -> None:
        """Say that it is done, if that arrives."""
        require_alive()
        if self._consumer.log.reachable:
            self._consumer.done(self._pending)
        else:
            self._consumer.again(self._pending, ACK_SECONDS)

    async def again(self, delay_seconds: float) -> None:
        """Let it come again."""
        require_alive()
        self._consumer.again(self._pending, delay_seconds)


class SimulatedQueue:
    """The queue, as one agent reaches it by its connection to the log."""

    def __init__(self, consumer: Consumer, connection: LogConnection) -> None:
        """Take from *consumer*."""
        self._consumer = consumer
        self._connection = connection

    async def held(self) -> AsyncGenerator[_Held, None]:
        """Yield messages as they come; raises LogUnavailableError."""
        random = self._consumer.log.random
        while True:
            require_alive()
            if not self._consumer.log.reachable or self._connection.cut_off:
                message = "the simulated queue cannot be reached"
                raise LogUnavailableError(message)
            for pending in self._consumer.taken(PROCESS.get()):
                yield _Held(self._consumer, pending)
            await asyncio.sleep(LOOK_SECONDS * (0.5 + random.random()))
