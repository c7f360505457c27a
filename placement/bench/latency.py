"""How long after a push was sent its copies are decided, over a real log."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from placement.bench.history import History
from placement.bench.measured import PLANNER, Measured, Scale, quantile
from placement.core.decisions import open_copies
from placement.core.event import (
    ContentPushed,
    Event,
    Identifier,
    ReplicationSubject,
)
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Topology
from placement.ports import CheckpointStore, EventLog
from placement.runtime.planner import Planner, PlannerSettings
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Publisher
from placement.runtime.view import View

BATCH: Final = 500
TICK_SECONDS: Final = 3_600.0
"""One regular look before anything is measured, and none meanwhile."""
DECIDED_SECONDS_MAX: Final = 1.0
"""A push about which nothing is decided within so long wants no copies."""
POLL_SECONDS: Final = 0.01


async def latency_figures(
    log: EventLog, store: CheckpointStore, topology: Topology, scale: Scale
) -> list[Measured]:
    """Return how long after a push was sent its copies are decided and folded.

    Over *log*, which must be empty, one push after another; milliseconds. The ceiling
    is how long after it was sent the push itself is stored and folded.
    """
    view, history = View(time.time_ns), History(topology, scale.apps)
    publisher = Publisher(log, view)
    projector = Projector(log, store, view, time.time_ns, ProjectorSettings())
    settings = PlannerSettings("bench", TICK_SECONDS)
    planner = Planner(view, topology, publisher, time.time_ns, settings)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(projector.run())]
        await _learn(view, publisher, history)
        running.append(tasks.create_task(planner.run()))
        await _until(lambda: view.state.count("tick_number") > 0 and planner.idle)
        course = _Course(view, publisher, planner, history)
        await course.carry_out()
        for number in range(scale.pushes):
            await course.push(*history.turn(number))
        for task in running:
            task.cancel()
    ceiling = median(course.folded)
    return [
        Measured(
            PLANNER, "push_to_decided_median", median(course.decided), "ms", ceiling
        ),
        Measured(
            PLANNER,
            "push_to_decided_p99",
            quantile(course.decided, 0.99),
            "ms",
            ceiling,
        ),
        Measured(PLANNER, "push_to_folded_median", ceiling, "ms"),
        Measured(PLANNER, "pushes_decided", len(course.decided), "pushes"),
    ]


async def _learn(view: View, publisher: Publisher, history: History) -> None:
    """Store and fold what was before; none of it is to be decided about."""
    before = list(history.before())
    for first in range(0, len(before), BATCH):
        last = await publisher.publish(before[first : first + BATCH])
    await _until(lambda: view.state.sequence >= last.sequence and view.ready)
    view.state.indexes.agenda.take()


@dataclass(slots=True)
class _Course:
    """Pushes one after another, and how long each took, in milliseconds."""

    view: View
    publisher: Publisher
    planner: Planner
    history: History
    folded: list[float] = field(default_factory=list)
    decided: list[float] = field(default_factory=list)

    async def push(self, app: int, version: int) -> None:
        """Push a manifest, and let what is decided about it be carried out."""
        state = self.view.state
        layer, manifest = self.history.push(app, version)
        await self._folded(layer)
        began = time.perf_counter()
        stored = await self.publisher.publish([manifest])
        await self._reached(lambda: state.sequence >= stored.sequence)
        self.folded.append(1_000 * (time.perf_counter() - began))
        placement = _placement(state, manifest)
        try:
            async with asyncio.timeout(DECIDED_SECONDS_MAX):
                await self._reached(lambda: bool(state.indexes.decisions.of(placement)))
        except TimeoutError:
            return
        self.decided.append(1_000 * (time.perf_counter() - began))
        await self.carry_out()

    async def carry_out(self) -> None:
        """Let all that is decided be done, and what is decided then."""
        while True:
            await _until(lambda: self.planner.idle)
            reports = [one for each in self._open() for one in self.history.done(each)]
            if not reports:
                return
            await self._folded(*reports)

    def _open(self) -> Iterator[ReplicationSubject]:
        state = self.view.state
        for target in state.indexes.decisions.open_targets():
            for decision in open_copies(state, target):
                repository, digest = state.placement_at(decision.placement)
                named = Identifier(decision.replication_id)
                yield ReplicationSubject(named, repository, digest, decision.target)

    async def _folded(self, *events: Event) -> None:
        stored = await self.publisher.publish(events)
        state = self.view.state
        await self._reached(lambda: state.sequence >= stored.sequence)

    async def _reached(self, condition: Callable[[], bool]) -> None:
        """Wait for what only the fold can bring about."""
        while not condition():
            await self.view.changed(self.view.position)


def _placement(state: State, manifest: Event) -> Row:
    fact = manifest.fact
    assert isinstance(fact, ContentPushed), "a push"
    return state.find_placement(fact.repository, fact.content.digest)


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for what something else than the fold brings about, too."""
    while True:
        if condition():
            return
        await asyncio.sleep(POLL_SECONDS)
