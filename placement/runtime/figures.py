"""Figures of the last days, worked out now and then: to read them costs nothing.

A look walks over decisions, starts and routes. It is done in slices, with rests: it
takes a twentieth of a core. The longer it took the longer it is until the next.
"""

import asyncio
from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import structlog

from placement.core.deciding.desk import desk_at
from placement.core.deciding.ruling import ruling_in_force
from placement.core.deciding.spending import BudgetUse, budget_use
from placement.core.reporting.figures import Group, GroupBy
from placement.core.reporting.periods import period_of
from placement.core.reporting.prices import Prices
from placement.core.reporting.report import Question, Reporter
from placement.core.state import State
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology
from placement.runtime.view import View

SLICE_SECONDS: Final = 0.001
REST_SECONDS: Final = 0.019
"""After each slice others run for so long at least."""
SHARE: Final = 100
"""What a look took of a core is this often waited for until the next one,"""
PAUSE_SECONDS_MIN: Final = 2.0
"""but at least so long,"""
PAUSE_SECONDS_MAX: Final = 3600.0
"""and at the most this."""
ROWS_PER_STEP: Final = 64

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scored:
    """Starts into one region that told what had been expected, and held it."""

    samples: int = 0
    below_p50: int = 0
    below_p90: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one look found, over the seven days up to *time_ns*."""

    week: Group
    currency: str
    scored: Mapping[Region, Scored]
    """Since the log's beginning."""
    set_aside: Mapping[str, int]
    """Events that cannot be folded and are remembered, by reason."""
    budgets: tuple[BudgetUse, ...]
    time_ns: int
    work_seconds: float
    """What the look took of a core."""


class FigureKeeper:
    """Keeps the newest figures; ``run`` looks again and again."""

    def __init__(self, view: View, topology: Topology, prices: Prices) -> None:
        """Look at what *view* shows; nothing happens until ``run``."""
        self._view = view
        self._topology = topology
        self._prices = prices
        self._targets = sorted(filter(topology.stores, topology.regions))
        self.newest: Figures | None = None
        """None before the first look has ended."""

    async def run(self) -> None:
        """Look for ever, from the moment on at which the log was folded once."""
        while True:
            pause_s = PAUSE_SECONDS_MIN
            if self._view.ready:
                try:
                    self.newest = await self.look()
                except Exception:  # a bug in a figure must not end the answers
                    log_events.exception("figures_broke")
                    pause_s = PAUSE_SECONDS_MAX
                else:
                    wanted_s = self.newest.work_seconds * SHARE
                    pause_s = min(max(pause_s, wanted_s), PAUSE_SECONDS_MAX)
            await asyncio.sleep(pause_s)

    async def look(self) -> Figures:
        """Return the figures as they are now; others run meanwhile."""
        work_s, began_s = 0.0, perf_counter()
        steps = self._steps(self._view.state, self._view.now_ns())
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: _Found = end.value
                return Figures(*found, work_s + perf_counter() - began_s)
            took_s = perf_counter() - began_s
            if took_s >= SLICE_SECONDS:
                work_s += took_s
                await asyncio.sleep(REST_SECONDS)
                began_s = perf_counter()

    def _steps(self, state: State, now_ns: int) -> Generator[None, None, "_Found"]:
        """Do a little at a time, and return what a look found."""
        policy = ruling_in_force(state, now_ns).policy
        reporter = Reporter(state, self._topology, self._prices, policy)
        question = Question(period_of(None, now_ns), GroupBy.WHOLE, now_ns)
        yield from reporter.steps(question)
        assert reporter.found is not None, "the last step makes the report"
        scored = yield from _scored(state)
        set_aside = yield from _set_aside(state)
        desk, budgets = desk_at(state, self._topology, self._view.epoch, now_ns), []
        for use in budget_use(desk, self._targets):
            budgets.append(use)
            yield
        report = reporter.found
        return (
            report.total,
            report.currency,
            scored,
            set_aside,
            tuple(budgets),
            now_ns,
        )


_Found = tuple[
    Group, str, Mapping[Region, Scored], Mapping[str, int], tuple[BudgetUse, ...], int
]


def _scored(state: State) -> Generator[None, None, dict[Region, Scored]]:
    """Return how estimates of starts held, by the start's region."""
    sums: dict[Row, list[int]] = {}
    for number in range(len(state.calibration)):
        _, target = PAIR.unpack(state.calibration.key(Row(number)))
        told = state.calibration.values(Row(number))
        known = sums.setdefault(Row(target), [0, 0, 0])
        for place, count in enumerate(told):
            known[place] += count
        if number % ROWS_PER_STEP == 0:
            yield
    return {state.region_at(row): Scored(*counts) for row, counts in sums.items()}


def _set_aside(state: State) -> Generator[None, None, Counter[str]]:
    """Return how many events are remembered as set aside, by reason."""
    counts: Counter[str] = Counter()
    for number, (key, _) in enumerate(list(state.set_aside.rows())):
        counts[key.rpartition(b"\0")[2].decode()] += 1
        if number % ROWS_PER_STEP == 0:
            yield
    return counts
