"""A registry's notifications on their way to its agent, as Distribution sends them.

They wait in memory, one after the other, and each is repeated until it is answered 200.
A registry that restarts forgets them; some networks double or overtake them.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tests.simulator.cluster import Cluster
from tests.simulator.site import Site
from tests.simulator.world import LostError, World

BACKOFF_SECONDS: Final = 1.0
LATE_SECONDS_MAX: Final = 6.0
TAKEN: Final = 200


@dataclass
class PostFaults:
    """What becomes of notifications; each a chance from 0 to 1."""

    lose: float = 0.0
    double: float = 0.0
    late: float = 0.0
    """It is overtaken by those after it."""

    def end(self) -> None:
        """Let all arrive, once, and in order."""
        self.lose = self.double = self.late = 0.0


class Notifier:
    """Posts what one registry tells to one agent."""

    def __init__(self, world: World, site: Site) -> None:
        """Take what the registry beside *site* tells."""
        self._world = world
        self._site = site
        chances = [0.0, 0.05, 0.3]
        random = world.random
        self.faults = PostFaults(*(random.choice(chances) for _ in range(3)))
        self._waiting: deque[dict[str, Any]] = deque()
        self._late: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        site.shelf.told = self._tell

    def _tell(self, notification: dict[str, Any]) -> None:
        random, faults = self._world.random, self.faults
        if random.random() < faults.lose:
            return
        if random.random() < faults.late:
            self._late.append(asyncio.create_task(self._later(notification)))
        else:
            self._waiting.append(notification)
        if random.random() < faults.double:
            self._waiting.append(notification)
        self._news.set()

    async def _later(self, notification: dict[str, Any]) -> None:
        await asyncio.sleep(self._world.random.random() * LATE_SECONDS_MAX)
        self._waiting.append(notification)
        self._news.set()

    def forget(self) -> None:
        """Lose all that waits: the registry restarted."""
        self._waiting.clear()

    async def run(self, cluster: Cluster) -> None:
        """Post one after the other, for ever."""
        del cluster
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            first = self._waiting[0]
            status = 0
            with suppress(LostError):
                status = await self._site.post(first)
            if status != TAKEN:
                await asyncio.sleep(BACKOFF_SECONDS)
            elif self._waiting and self._waiting[0] is first:
                self._waiting.popleft()

    def settled(self, cluster: Cluster) -> bool:
        """Say whether everything was taken."""
        del cluster
        return not self._waiting and all(task.done() for task in self._late)
