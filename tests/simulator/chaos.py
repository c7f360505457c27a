"""What goes wrong in a run: a seeded plan of faults, and an end of them.

Each seed draws which kinds of faults it has at all, since kinds that mask one another
would otherwise always come together.

Faults of all kinds come together, and at any time: a log is rewound or replaced while
some replica lags behind, or has lost what it knew to a power failure or a bad disk. One
thing is kept apart: in a run whose log may be rewound, a call publishes one message, of
new events of one region or of one event that was sent before. A rewind may cut what is
more in two, while the token that a call returns marks the last message of it only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from placement.faults import FaultPoint
from tests.simulator.cluster import Cluster
from tests.simulator.log import DUPLICATE_WINDOW_NS, LogFaults
from tests.simulator.replica import Replica
from tests.simulator.world import SECOND_NS

SAFETY_SECONDS = [8.0, 16.0, 30.0]
"""So long is a world broken: short lives are cheap, so that there can be many."""
FAULT_COUNT_MAX = 9
STEPS_MAX = 60
"""A crash comes up to so many callbacks after its time: between any two awaits."""
REWINDING = 0.4
"""The chance that the log may be rewound in a run."""
REPLACING = 0.15
POINT_SECONDS = 10.0
"""A fault point waits so long to be reached."""
Fault = Callable[[], Awaitable[None]]
CHANCES = [0.0, 0.0, 0.02, 0.1, 0.3]


def drawn_log_faults(random: Random) -> LogFaults:
    """Return how the ways to the log fail in this run."""
    return LogFaults(
        seconds_max=random.choice([0.01, 0.1, 0.5]),
        lose_request=random.choice(CHANCES),
        lose_answer=random.choice(CHANCES),
        deliver_twice=random.choice(CHANCES),
        deliver_late=random.choice(CHANCES),
        hold_read=random.choice(CHANCES) / 3,
        err_about_end=random.choice([0.0, 0.02]),
    )


class Chaos:
    """Breaks a cluster for some of SAFETY_SECONDS, then mends everything."""

    def __init__(self, cluster: Cluster, others: Sequence[Fault] = ()) -> None:
        """Draw what is to happen to *cluster*, and when; *others* may happen too."""
        self._cluster = cluster
        self._world = cluster.world
        self._random = cluster.world.random
        kinds = [
            self._crash,
            self._crash,
            self._crash_at_point,
            self._crash_at_point,
            self._pause,
            self._freeze,
            self._cut_off,
            self._outage,
            self._fill_disk,
            self._break_sync,
            self._flip_bit,
            *others,
        ]
        if self._random.random() < REWINDING:
            kinds += [self._rewind, self._rewind]
            self._world.may_rewind = True
        if self._random.random() < REPLACING:
            kinds.append(self._replace)
        chosen = self._random.sample(kinds, self._random.randint(1, len(kinds)))
        self._seconds = self._random.choice(SAFETY_SECONDS)
        times = sorted(
            self._random.random() * self._seconds
            for _ in range(self._random.randint(1, FAULT_COUNT_MAX))
        )
        self._plan = [(time, self._random.choice(chosen)) for time in times]

    async def run(self) -> None:
        """Let everything happen in its time; return when all is mended."""
        world, faults = self._world, self._world.log.faults
        world.network.loss = self._random.choice([0.0, 0.0, 0.05, 0.2])
        async with asyncio.TaskGroup() as tasks:
            for seconds, fault in self._plan:
                tasks.create_task(self._later(seconds, fault))
            tasks.create_task(asyncio.sleep(self._seconds))
        world.network.loss = 0.0
        world.loop.forget_alarms()
        faults.end()
        world.mended = True
        for mend in world.mending:
            mend()
        world.note("no more faults")

    async def _later(self, seconds: float, fault: Fault) -> None:
        await asyncio.sleep(seconds)
        await fault()

    def _some_replica(self) -> Replica:
        return self._cluster.any_replica()

    async def _crash(self) -> None:
        replica = self._some_replica()
        steps = self._random.randrange(STEPS_MAX)
        power = self._random.random() < 0.5
        why = f"{'power failure' if power else 'killed'}, {steps} steps on"
        self._world.loop.after_steps(steps, lambda: replica.crash(why, power=power))

    async def _crash_at_point(self) -> None:
        replica, point = self._some_replica(), self._random.choice(list(FaultPoint))
        self._world.points.crash_at(point, replica.name)
        await asyncio.sleep(POINT_SECONDS)
        self._world.points.forget(point, replica.name)

    async def _pause(self) -> None:
        await self._stand_still(self._random.random() * 15)

    async def _freeze(self) -> None:
        """Let a replica outlast every time-out, and the log's memory of ids."""
        longest = DUPLICATE_WINDOW_NS / SECOND_NS
        await self._stand_still(longest * (1.1 + self._random.random()))

    async def _stand_still(self, seconds: float) -> None:
        replica = self._some_replica()
        process = replica.life
        if process is None:
            return
        self._world.note(f"{process.name} stands still for {seconds:.1f} s")
        self._world.loop.pause(process)
        await asyncio.sleep(seconds)
        self._world.loop.resume(process)

    async def _cut_off(self) -> None:
        replica, seconds = self._some_replica(), self._random.random() * 12
        self._world.note(f"{replica.name} cannot reach the log for {seconds:.1f} s")
        replica.cut(off=True)
        await asyncio.sleep(seconds)
        replica.cut(off=False)

    async def _outage(self) -> None:
        seconds = self._random.random() * 10
        self._world.note(f"the log is away for {seconds:.1f} s")
        self._world.log.stop()
        await asyncio.sleep(seconds)
        self._world.log.resume()

    async def _rewind(self) -> None:
        log = self._world.log
        length = len(log.life.messages)
        kept = max(0, length - self._random.randint(1, 6))
        seconds = self._random.choice([0.0, 1.0, 4.0])
        self._world.note(f"the log loses what came after {kept}, it ended at {length}")
        log.stop()
        await log.rewind(kept)  # at once, before anything is stored that some would see
        await asyncio.sleep(seconds)
        log.resume()

    async def _replace(self) -> None:
        self._world.note("the log is replaced by an empty one")
        await self._world.log.replace()

    async def _fill_disk(self) -> None:
        replica, seconds = self._some_replica(), self._random.random() * 10
        self._world.note(f"the disk of {replica.name} is full for {seconds:.1f} s")
        replica.disk.faults.full = True
        await asyncio.sleep(seconds)
        replica.disk.faults.full = False

    async def _break_sync(self) -> None:
        replica, seconds = self._some_replica(), self._random.random() * 5
        self._world.note(f"the disk of {replica.name} fails for {seconds:.1f} s")
        replica.disk.faults.dying = True
        await asyncio.sleep(seconds)
        replica.disk.faults.dying = False

    async def _flip_bit(self) -> None:
        replica = self._some_replica()
        replica.crash("its disk goes bad")
        if replica.disk.flip_a_bit():
            self._world.note(f"a bit of {replica.name}'s disk flips")
