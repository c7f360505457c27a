"""A spool on a simulated disk: what it took outlives the agent that was given it."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

from placement.adapters.memory_spool import MemorySpool
from placement.agent.receiver import DISTRIBUTION
from placement.faults import FaultPoint, reach
from placement.ports import Clock
from placement.spooling import Entry, Note, Position, Settled, SpoolFigures, SpoolLimits
from tests.simulator.process import require_alive

SMALL_BYTES: Final = 12_000
"""So little that it is full as soon as the log is away."""
LARGE_BYTES: Final = 1 << 20


class DiskSpool:
    """The twin in memory, behind a disk that is slow, full at times, and outlives us.

    Each change is one transaction: a process that dies at it has made it or has not.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        """Be empty, and small in some runs."""
        most = random.choice([SMALL_BYTES, LARGE_BYTES, LARGE_BYTES])
        self.memory = MemorySpool(clock, SpoolLimits(waiting_bytes_max=most))
        self.told_ns = 0
        """When a registry's notification was last known to be in the log."""
        self._clock = clock
        self._notifications: set[int] = set()
        self._random = random
        self._seconds_max = random.choice([0.001, 0.05])

    @property
    def figures(self) -> SpoolFigures:
        """How it is now."""
        return self.memory.figures

    async def _work(self) -> None:
        require_alive()
        await asyncio.sleep(self._random.random() * self._seconds_max)
        require_alive()

    async def put(self, notes: Sequence[Note]) -> None:
        """Take *notes*, and be slow about it."""
        await self._work()
        reach(FaultPoint.BEFORE_SPOOLED)
        await self.memory.put(notes)
        await self._work()

    async def waiting(
        self, count_max: int, patience_s: float, after: int = 0
    ) -> Sequence[Entry]:
        """Return the oldest entries that wait."""
        found = await self.memory.waiting(count_max, patience_s, after)
        told = (entry for entry in found if entry.note.feed == DISTRIBUTION)
        self._notifications |= {entry.number for entry in told}
        await self._work()
        return found

    async def settle(self, settled: Settled) -> None:
        """Send these no more."""
        await self._work()
        reach(FaultPoint.BEFORE_SPOOLED)
        await self.memory.settle(settled)
        if self._notifications.intersection(settled.sent):
            self.told_ns = self._clock()
        await self._work()

    async def resend(self, position: Position) -> int:
        """Let all wait again that is not in the log before *position*."""
        await self._work()
        reach(FaultPoint.BEFORE_SPOOLED)
        return await self.memory.resend(position)

    async def close(self) -> None:
        """Keep everything."""
