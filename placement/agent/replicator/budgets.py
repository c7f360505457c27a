"""How fast copies may take bytes from each region; who is waited for goes first."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from placement.core.topology import Region

BURST_SECONDS: Final = 0.25
"""What was not taken is kept for so long: a link that was quiet may burst a little."""


class Bucket:
    """A token bucket that may be overdrawn by one taking; it never waits itself."""

    def __init__(self, bytes_per_second: float, now_s: float) -> None:
        """Begin full."""
        assert bytes_per_second > 0, "no limit is no bucket"
        self.rate = bytes_per_second
        self._held = bytes_per_second * BURST_SECONDS
        self._filled_s = now_s

    def take(self, size_bytes: int, now_s: float) -> None:
        """Take *size_bytes*; what is owed then delays whoever comes next."""
        self._fill(now_s)
        self._held -= size_bytes

    def wait_s(self, now_s: float) -> float:
        """Return how long until something may be taken; 0: now."""
        self._fill(now_s)
        return max(0.0, -self._held / self.rate)

    def _fill(self, now_s: float) -> None:
        grown = self._held + (now_s - self._filled_s) * self.rate
        self._held = min(grown, self.rate * BURST_SECONDS)
        self._filled_s = now_s


class Ranked(Protocol):
    """Whoever waits: *rank* may be lowered as they wait, 0 is the first."""

    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    who: Ranked
    order: int
    size_bytes: int
    admitted: asyncio.Future[None]

    @property
    def place(self) -> tuple[int, int]:
        """By what they are let in now: the least is the first."""
        return self.who.rank, self.order


class Gate:
    """One region's bucket and who waits for it: lowest rank first, then first come.

    There are no more waiters than blobs on their way.
    """

    def __init__(self, bucket: Bucket, clock: Callable[[], float]) -> None:
        """Admit by *bucket*; *clock* is the event loop's, in seconds."""
        self._bucket = bucket
        self._clock = clock
        self._waiters: list[_Waiter] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    async def admitted(self, size_bytes: int, who: Ranked) -> bool:
        """Return once *size_bytes* may move; whether that had to be waited for."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(who, next(self._order), size_bytes, loop.create_future())
        self._waiters.append(waiter)
        self._admit()
        waited = not waiter.admitted.done()
        await waiter.admitted
        return waited

    def _admit(self) -> None:
        """Let go on who may, and come back when the next one may."""
        while self._waiters:
            wait_s = self._bucket.wait_s(self._clock())
            if wait_s > 0:
                self._come_back(wait_s)
                return
            waiter = min(self._waiters, key=lambda one: one.place)
            self._waiters.remove(waiter)
            if not waiter.admitted.done():  # it was cancelled
                self._bucket.take(waiter.size_bytes, self._clock())
                waiter.admitted.set_result(None)

    def _come_back(self, wait_s: float) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait_s, self._came_back)

    def _came_back(self) -> None:
        self._timer = None
        self._admit()


class Budgets:
    """The gates of all regions that have a limit."""

    def __init__(
        self, bytes_per_second: Mapping[Region, int], clock: Callable[[], float]
    ) -> None:
        """Limit the regions of *bytes_per_second*; others, and 0, have no limit."""
        self._gates = {
            region: Gate(Bucket(rate, clock()), clock)
            for region, rate in bytes_per_second.items()
            if rate > 0
        }

    async def admitted(self, region: Region, size_bytes: int, who: Ranked) -> bool:
        """Return once *size_bytes* may come from *region*; whether it had to wait."""
        gate = self._gates.get(region)
        return await gate.admitted(size_bytes, who) if gate else False
