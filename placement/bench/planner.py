"""What deciding costs: microseconds a push, beside what folding the same push costs."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Final

from placement.bench.history import History
from placement.bench.latency import latency_figures
from placement.bench.measured import PLANNER, QUICK, WHOLE, Measured, Scale, quantile
from placement.bench.settings import Settings
from placement.core.deciding.decide import decide
from placement.core.deciding.desk import desk_at
from placement.core.deciding.wants import wants_of
from placement.core.event import Event, Recorded, RecordedMessage, ReplicationPlanned
from placement.core.fold import fold
from placement.core.state import State
from placement.core.tables.agenda import Due
from placement.core.topology import Topology

SECOND_NS: Final = 1_000_000_000
BEGIN_NS: Final = 1_780_000_000 * SECOND_NS
STEP_NS: Final = 60 * SECOND_NS


BROKER_SECONDS_MAX: Final = 600.0


def measure(settings: Settings) -> list[Measured]:
    """Measure what deciding about a push costs, and how soon it is decided.

    Beside what folding the same push costs, without limits and control group; then over
    a broker of its own.
    """
    scale = settings.pick(WHOLE, QUICK)
    figures = deciding_figures(settings.topology, scale)
    return figures + asyncio.run(_latency(settings, scale))


async def _latency(settings: Settings, scale: Scale) -> list[Measured]:
    opening = settings.open_log(settings.scratch)
    async with asyncio.timeout(BROKER_SECONDS_MAX), opening as (log, store):
        return await latency_figures(log, store, settings.topology, scale)


def deciding_figures(topology: Topology, scale: Scale) -> list[Measured]:
    """Return what deciding about a push costs beside folding it, in microseconds.

    Of the push of a layer and of a manifest alike, in a state of apps with VERSIONS
    versions each. Every decided copy is carried out before the next push.
    """
    history, state = History(topology, scale.apps), State()
    for event in history.before():
        _fold(state, event)
    folding: list[float] = []
    deciding: list[float] = []
    decided = 0
    for number in range(scale.pushes):
        app, version = history.turn(number)
        for event in history.push(app, version):
            state.indexes.agenda.take()
            folding.append(_timed(partial(_fold, state, event)))
            due = state.indexes.agenda.take()
            found: list[Event] = []
            deciding.append(_timed(partial(_decide, state, topology, due, found)))
            decided += len(found)
            for each in found:
                _fold(state, each)
                assert isinstance(each.fact, ReplicationPlanned), "nothing is withheld"
                for report in history.done(each.fact.subject):
                    _fold(state, report)
        for region in history.runs[app]:
            _fold(state, history.start(app, version, region))
    ceiling = median(folding)
    # A layer makes nothing due unless starts were asked for: manifests are the work.
    return [
        Measured(
            PLANNER, "decide_manifest_median", median(deciding[1::2]), "us", ceiling
        ),
        Measured(
            PLANNER,
            "decide_manifest_p99",
            quantile(deciding[1::2], 0.99),
            "us",
            ceiling,
        ),
        Measured(PLANNER, "decide_layer_median", median(deciding[::2]), "us", ceiling),
        Measured(PLANNER, "fold_push_median", ceiling, "us"),
        Measured(PLANNER, "decisions_per_push", decided / scale.pushes, "decisions"),
    ]


def _decide(
    state: State, topology: Topology, due: Sequence[Due], found: list[Event]
) -> None:
    """Put what is decided a second later into *found*."""
    now_ns = state.store_time_ns + SECOND_NS
    desk = desk_at(state, topology, "bench", now_ns)
    wants = [want for each in due for want in wants_of(desk, each)]
    found += decide(desk, wants, "bench").events


def _fold(state: State, event: Event) -> None:
    sequence = state.sequence + 1
    stored_ns = BEGIN_NS + sequence * STEP_NS
    item = Recorded(sequence, 0, stored_ns, stored_ns, event)
    fold(state, RecordedMessage(sequence, stored_ns, b"", (item,)))


def _timed(work: Callable[[], object]) -> float:
    """Return how long *work* took, in microseconds."""
    began_ns = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began_ns) / 1_000
