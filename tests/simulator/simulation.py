"""One run: a world made from a seed, a phase with faults, and one that heals all."""

import asyncio
import gc
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from unittest.mock import patch

import structlog

from placement.faults import FaultPoint, armed
from placement.runtime import reader, runs
from placement.wire import columns
from tests.simulator.agents import Regions, collecting
from tests.simulator.chaos import Chaos, drawn_log_faults
from tests.simulator.cluster import Actor, Cluster
from tests.simulator.deciders import Planners, carriers
from tests.simulator.follower import Follower
from tests.simulator.history import History
from tests.simulator.loop import VirtualLoop
from tests.simulator.publishers import Agent, Poisoner, Publisher, Rogue
from tests.simulator.readers import Client, Watcher
from tests.simulator.replica import Replica
from tests.simulator.steering import Operator, Scheduler
from tests.simulator.workload import REGIONS
from tests.simulator.world import SECOND_NS, World

NEVER = 2**62
LIVENESS_SECONDS_MAX = 60.0
"""After the last fault, all must be up to date and settled within so long."""
BUSY_SECONDS_MAX = 120.0
"""The same with registries: a policy that keeps nothing goes on clearing a region each
tick, its agent scans after the garbage, and what is wanted again is copied again."""
QUIET_SECONDS = 4.0
"""So long must all be well: a publisher hears of a new epoch after a while."""
PROBE_SECONDS = 16.0
LOOK_SECONDS = 0.5
MINUTES_NS = 60 * SECOND_NS
BUGS_LOGGED = frozenset(
    {"planning_broke", "part_broke", "copy_broken", "entry_set_aside"}
)
"""What a service logs and goes on after, and what must never happen."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a seed led to."""

    seed: int
    history: History
    virtual_seconds: float
    liveness_seconds: float
    """How long it took to heal after the last fault."""
    step_count: int
    points: Counter[FaultPoint]
    """How often each of the product's fault points was reached."""

    def trace_hash(self) -> str:
        """Return what is equal for equal runs, and for no others."""
        return f"{self.history.trace_hash()}-{self.step_count}"


def has_registries(seed: int) -> bool:
    """Say whether the world of *seed* is one of registries and agents."""
    return seed % 3 == 2


def simulate(seed: int, *, poison: bool = False, registries: bool | None = None) -> Run:
    """Run the world of *seed* to its end; what is wrong is for the checker to say.

    *poison* is for runs under ``bugs.poison``: the log then holds what is fatal. With
    *registries* facts come from those; None: the seed says whether.
    """
    if registries is None:
        registries = has_registries(seed)
    random = Random(seed)
    loop = VirtualLoop.drawing_from(random, random.choice([0.0, 0.0, 0.0004]))
    world = World(seed, loop, random)
    collects = gc.isenabled()
    gc.disable()  # what is collected when must not depend on who ran before us
    try:
        with (
            _silenced(world),
            armed(world.points.reach),
            _folding(together=seed % 8 == 1 and not poison),
            patch.object(time, "monotonic", lambda: loop.now_seconds),
            patch.object(time, "monotonic_ns", loop.now_ns),
            collecting(),
        ):
            seconds = loop.run_until_complete(_live(world, poison, registries))
    finally:
        if collects:
            gc.enable()
    world.history.failures += loop.failures
    world.history.lives = world.log.lives
    reached = world.points.reached
    return Run(seed, world.history, loop.now_seconds, seconds, loop.steps, reached)


@contextmanager
def _folding(*, together: bool) -> Iterator[None]:
    """Let all messages be folded *together* in blocks that are read, however small."""
    least = 1 if together else runs.RUN_BYTES_MIN
    columns_from = 1 if together else columns.COLUMN_BYTES_MIN
    with (
        patch.object(runs, "RUN_BYTES_MIN", least),
        patch.object(columns, "COLUMN_BYTES_MIN", columns_from),
        patch.object(reader, "RUNS_MIN", NEVER),  # it would be ready on a thread
    ):
        yield


@contextmanager
def _silenced(world: World) -> Iterator[None]:
    """Let nothing be logged within the block; a planner's bug is a failure."""

    def dropped(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> str:
        if event["event"] in BUGS_LOGGED:
            world.fail(f"{event['event']}: {traceback.format_exc()}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[dropped])
    try:
        yield
    finally:
        structlog.configure(**before)


def _replicas(world: World, count: int) -> list[Replica]:
    random = world.random
    world.log.faults = drawn_log_faults(random)
    skews = [0, 0, 0, SECOND_NS, -SECOND_NS, 10 * MINUTES_NS, -10 * MINUTES_NS]
    replicas = [
        Replica(world, f"replica-{number}", random.choice(skews))
        for number in range(count)
    ]
    for replica in replicas:
        replica.disk.faults.seconds_max = random.choice([0.001, 0.05, 0.3])
    return replicas


def _publishers(world: World) -> list[Actor]:
    """Return those who act in a world in which facts are made up."""
    random = world.random
    return [
        Publisher(world, "publisher-1", random.randint(5, 15)),
        Publisher(world, "publisher-2", random.randint(0, 10)),
        Agent(world, "agent", random.randint(0, 10)),
        Rogue(world, "rogue", random.randint(0, 3)),
        Client(world, "client-1"),
        Client(world, "client-2"),
        Watcher("watcher-1"),
        Watcher("watcher-2") if world.seed % 4 else Follower(world, "follower-1"),
        Operator(world, "operator", random.randint(0, 6)),
        Scheduler(world, "scheduler", random.randint(1, 6)),
        Planners(),
        *carriers(world, REGIONS),
    ]


async def _live(world: World, poison: bool, registries: bool) -> float:  # noqa: FBT001 - passed on
    """Let everybody act, through faults and after them; return how long it healed."""
    count = world.random.choice([2, 2, 2, 3] if registries else [2, 3])
    cluster = Cluster(world, _replicas(world, count))
    regions = Regions(world) if registries else None
    actors = regions.actors() if regions else _publishers(world)
    actors += [Poisoner()] if poison else []
    await world.log.begin()
    chaos = Chaos(cluster, regions.faults() if regions else ())
    if regions:
        cluster.others.append(regions.crash)
    for replica in cluster.replicas:
        replica.start()
    tasks = [asyncio.create_task(actor.run(cluster)) for actor in actors]
    tasks.append(asyncio.create_task(cluster.supervise()))
    tasks.append(asyncio.create_task(_probe(cluster)))
    await chaos.run()
    most = BUSY_SECONDS_MAX if regions else LIVENESS_SECONDS_MAX
    healed = await _healed(cluster, actors, most)
    world.history.ended += [replica.ended() for replica in cluster.replicas]
    if regions:
        shelves = regions.shelves.values()
        world.history.stored += [shelf.listing() for shelf in shelves]
    if healed > most:
        late = [type(a).__name__ for a in actors if not a.settled(cluster)]
        world.fail(f"after {healed:.0f} s without faults, not settled: {late}")
    for task in tasks:
        if task.done() and task.exception() is not None:
            world.fail(f"an actor ended: {task.exception()!r}")
        task.cancel()
    await asyncio.wait(tasks)
    return healed


async def _healed(cluster: Cluster, actors: list[Actor], most: float) -> float:
    """Wait until all is well, *most* seconds; return how long it took."""
    loop = cluster.world.loop
    began = well_since = loop.now_seconds
    while well_since - began <= most:
        if not _is_well(cluster, actors):
            well_since = loop.now_seconds + LOOK_SECONDS
        elif loop.now_seconds - well_since > QUIET_SECONDS:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return well_since - began


def _is_well(cluster: Cluster, actors: list[Actor]) -> bool:
    """Say whether everybody is up to date, and nobody has anything left to do."""
    if any(not task.done() for task in cluster.world.log.late):
        return False
    return cluster.converged() and all(actor.settled(cluster) for actor in actors)


async def _probe(cluster: Cluster) -> None:
    """Look at some replica's whole state now and then."""
    while True:
        await asyncio.sleep(cluster.world.random.random() * PROBE_SECONDS)
        cluster.any_replica().probe()
