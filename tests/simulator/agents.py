"""The registries of a run, an agent beside each, those who use them, and their faults.

Such a world has no publishers that make facts up: what is where follows from what the
registries hold, as their agents tell it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from placement.agent.registry.client import Registry
from placement.agent.replicator.evicting import Evictor
from placement.core.topology import Region
from placement.faults import FaultPoint
from tests.simulator.cluster import Actor
from tests.simulator.deciders import Planners
from tests.simulator.follower import Follower
from tests.simulator.mouths import has_routers
from tests.simulator.notifier import Notifier
from tests.simulator.pullers import Puller
from tests.simulator.readers import Client, Watcher
from tests.simulator.registries import SimulatedRegistry
from tests.simulator.shelf import Shelf
from tests.simulator.site import Site
from tests.simulator.steering import KEEPING, POLICIES, Operator, Scheduler
from tests.simulator.stock import DIGESTS
from tests.simulator.traffic import Starter, User
from tests.simulator.workload import REGIONS
from tests.simulator.world import World

CHANCES: Final = [0.0, 0.0, 0.02, 0.1]
POINTS: Final = (
    FaultPoint.BEFORE_SPOOLED,
    FaultPoint.AFTER_SPOOLED,
    FaultPoint.BEFORE_SENT,
    FaultPoint.AFTER_SENT,
)
STEPS_MAX: Final = 60
POINT_SECONDS: Final = 8.0
Fault = Callable[[], Awaitable[None]]


class Regions:
    """All that stands in the regions of a run."""

    def __init__(self, world: World) -> None:
        """Build registries that are empty, and agents that are down."""
        self._world = world
        random = world.random
        self.shelves: dict[Region, Shelf] = {}
        for region in REGIONS:
            shelf = Shelf(world, region, verifies=random.random() < 0.5)
            shelf.seconds_max = random.choice([0.005, 0.05, 0.4])
            shelf.failing = random.choice(CHANCES)
            shelf.damaging = random.choice(CHANCES)
            self.shelves[region] = shelf
        self.sites = [Site(world, region, self.shelves) for region in REGIONS]
        self.notifiers = [Notifier(world, site) for site in self.sites]
        world.mending.append(self._mend)

    def actors(self) -> list[Actor]:
        """Return all who act in such a world."""
        world, random = self._world, self._world.random
        keeping = [KEEPING for _ in POLICIES]
        policies = random.choice([[*POLICIES, *keeping], keeping])
        routed = self.sites if has_routers(world.seed) else []
        count = random.randint(0, 6) if routed else 0
        puller = Puller(world, self.shelves, routed, count)
        return [
            *self.sites,
            *self.notifiers,
            puller,
            User(world, self.shelves, self.sites, puller, random.randint(3, 14)),
            Starter(world, "starter", random.randint(0, 3)),
            Client(world, "client-1", DIGESTS),
            Watcher("watcher-1") if world.seed % 2 else Follower(world, "follower-1"),
            Operator(world, "operator", random.randint(0, 4), DIGESTS, policies),
            Scheduler(world, "scheduler", random.randint(1, 4), DIGESTS),
            Planners(),
        ]

    def crash(self, name: str, why: str) -> None:
        """Let an agent die, if it is one of ours."""
        for site in self.sites:
            if site.name == name:
                site.crash(why)

    def faults(self) -> list[Fault]:
        """Return what may go wrong here."""
        return [
            self._crash,
            self._crash,
            self._crash_at_point,
            self._crash_at_point,
            self._restart,
            self._restart,
            self._cut_off,
            self._fill_disk,
            self._pause,
        ]

    def _mend(self) -> None:
        for shelf, notifier in zip(self.shelves.values(), self.notifiers, strict=True):
            shelf.failing = shelf.damaging = 0.0
            notifier.faults.end()

    def _some_site(self) -> Site:
        return self._world.random.choice(self.sites)

    async def _crash(self) -> None:
        site, steps = self._some_site(), self._world.random.randrange(STEPS_MAX)
        self._world.loop.after_steps(steps, lambda: site.crash(f"killed, {steps} on"))

    async def _crash_at_point(self) -> None:
        site, point = self._some_site(), self._world.random.choice(POINTS)
        self._world.points.crash_at(point, site.name)
        await asyncio.sleep(POINT_SECONDS)
        self._world.points.forget(point, site.name)

    async def _restart(self) -> None:
        """Let a registry be away, and forget what it has not told yet."""
        number = self._world.random.randrange(len(self.sites))
        shelf, seconds = self.sites[number].shelf, self._world.random.random() * 8
        self._world.note(f"the registry of {shelf.region} is away for {seconds:.1f} s")
        shelf.down = True
        self.notifiers[number].forget()
        await asyncio.sleep(seconds)
        shelf.down = False

    async def _cut_off(self) -> None:
        site, seconds = self._some_site(), self._world.random.random() * 12
        self._world.note(f"{site.name} cannot reach the log for {seconds:.1f} s")
        site.cut(off=True)
        await asyncio.sleep(seconds)
        site.cut(off=False)

    async def _fill_disk(self) -> None:
        site, seconds = self._some_site(), self._world.random.random() * 8
        self._world.note(f"the disk of {site.name} is full for {seconds:.1f} s")
        site.spool.memory.writable = False
        await asyncio.sleep(seconds)
        site.spool.memory.writable = True

    async def _pause(self) -> None:
        site, seconds = self._some_site(), self._world.random.random() * 15
        process = site.life
        if process is None:
            return
        self._world.note(f"{process.name} stands still for {seconds:.1f} s")
        self._world.loop.pause(process)
        await asyncio.sleep(seconds)
        self._world.loop.resume(process)


@contextmanager
def collecting() -> Iterator[None]:
    """Let an operator's command be what a simulated registry does by itself."""

    async def run(evictor: Evictor) -> bool:
        own: Registry = evictor._own  # noqa: SLF001 - the seam: it starts no process
        assert isinstance(own, SimulatedRegistry), "all are simulated"
        return await own.collect()

    with patch.object(Evictor, "_run_command", run):
        yield
