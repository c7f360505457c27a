"""How fast a registry is asked: so many requests a second, and none while it rests.

A fifth of them while clients are served, for a part of the time that a scan has: it is
in no hurry, and they are.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from placement.agent.serving import Serving

BURST_SECONDS: Final = 0.1
"""What was not asked for so long may be made up for at once."""
SLOWER_TIMES: Final = 5


class Pace:
    """Gives each request its turn.

    Source: the generic cell rate algorithm, ITU-T I.371, which is a token bucket that
    remembers one number.
    """

    def __init__(
        self,
        requests_per_second: float,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        serving: Serving | None = None,
    ) -> None:
        """Let *requests_per_second* > 0 go; *clock_s* never goes back.

        A fifth of that while *serving* anybody, as long as it gives way.
        """
        self._apart_s = 1.0 / requests_per_second
        self._clock_s = clock_s
        self._sleep = sleep
        self._serving = serving or Serving()
        self._due_s = clock_s()
        """When the next request would go if none came early."""
        self._rests_s = clock_s()
        self._gives_way_s = clock_s()
        """Until when it is slower while clients are served."""

    async def turn(self) -> None:
        """Return when the next request may go."""
        now_s = self._clock_s()
        due_s = max(self._due_s, now_s)
        slower = self._serving.active and now_s < self._gives_way_s
        self._due_s = due_s + self._apart_s * (SLOWER_TIMES if slower else 1)
        await self._until(due_s - BURST_SECONDS)
        while self._clock_s() < self._rests_s:  # it may have been told so meanwhile
            await self._until(self._rests_s)

    def give_way(self, seconds: float) -> None:
        """Be slower while clients are served, for so long from now on and no longer."""
        self._gives_way_s = self._clock_s() + seconds

    def rest(self, seconds: float) -> None:
        """Let nobody ask for so long from now on."""
        self._rests_s = max(self._rests_s, self._clock_s() + seconds)

    async def _until(self, moment_s: float) -> None:
        wait_s = moment_s - self._clock_s()
        if wait_s > 0:
            await self._sleep(wait_s)
