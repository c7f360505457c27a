"""The figures of a closed loop: what became of decisions and starts, from its log."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.core.decisions import decision_at
from placement.core.reporting.figures import Group, GroupBy
from placement.core.reporting.lift import Lift
from placement.core.reporting.periods import period_of
from placement.core.reporting.prices import GIGABYTE, Prices
from placement.core.reporting.report import Question, report
from placement.core.tables.cells import StartOutcome
from placement.core.tables.table import Row
from placement.core.topology import Region
from placement.simulation.closed_loop import ClosedLoop, LoopSetting, loop_of
from placement.simulation.scores import Scorer
from placement.simulation.trace import read_trace
from placement.simulation.true_lift import true_lift

PROGRESS_EVERY: Final = 64


@dataclass(frozen=True, slots=True)
class LoopJob:
    """One trace to be lived through in a setting."""

    name: str
    file: Path
    setting: LoopSetting
    home: Region | None = None

    @property
    def size(self) -> int:
        """Return how long it takes, roughly, beside others."""
        return self.file.stat().st_size

    def run(self, on_progress: Callable[[float], None]) -> dict[str, object]:
        """Return the figures; raises InputError for what is wrong with the trace."""
        loop = loop_of(self.name, read_trace(self.file), self.setting, self.home)
        first_ns, last_ns = loop.world.past.span_ns()
        for number, time_ns in enumerate(loop.run()):
            if number % PROGRESS_EVERY == 0:
                on_progress((time_ns - first_ns) / max(1, last_ns - first_ns))
        on_progress(1.0)
        return figures(loop)


def figures(loop: ClosedLoop) -> dict[str, object]:
    """Return all figures of a loop that has run, as JSON has them; null is unknown."""
    group = whole(loop)
    score = Scorer(loop.world, sources=loop.setting.sources).score_of(loop.ledger)
    lift, truth = group.measured.lift, true_lift(loop.state, loop.machines.told)
    copies = group.copies
    return {
        "policy": loop.ruling.label,
        "starts": len(loop.machines.told),
        "local_share": group.local_share,
        "benefit": score.benefit,
        "waste_vs_everywhere": score.waste_vs_everywhere,
        "bytes_moved_ratio": score.bytes_moved_ratio,
        "decisions": {
            "decided": copies.decided_count,
            "completed": copies.completed_count,
            "used": copies.used_count,
            "late": copies.late_count,
            "wasted": copies.unused_count,
            "undecided": copies.undecided_count,
            "failed": copies.failed_count,
            "expired": copies.expired_count,
            "cancelled": copies.cancelled_count,
            "withheld": copies.withheld_count,
            "over_budget": copies.deferred_count,
            "without_reason": _unreasoned(loop),
        },
        "moved_gb": copies.moved_bytes / GIGABYTE,
        "wasted_gb": copies.wasted_bytes / GIGABYTE,
        "saved_modelled_s": copies.saved_ns / 1e9,
        "saved_measured_s": _known(lift, group.measured.saved_seconds),
        "lift": {
            "measured_s": _known(lift, lift.mean),
            "low_s": _known(lift, lift.low),
            "high_s": _known(lift, lift.high),
            "true_s": truth.mean_s,
            "inside": lift.low <= truth.mean_s <= lift.high if lift.measured else None,
            "treated": lift.treated_count,
            "withheld": lift.withheld_count,
        },
        "misses": _misses(group),
        "wrongly_explained": _wrong(loop),
    }


def whole(loop: ClosedLoop) -> Group:
    """Return the report of all that a loop's log holds."""
    first_ns, _ = loop.world.past.span_ns()
    now_ns = loop.state.store_time_ns
    question = Question(period_of(first_ns, now_ns + 1), GroupBy.WHOLE, now_ns)
    policy, topology = loop.ruling.policy, loop.setting.topology
    return report(loop.state, topology, Prices(), policy, question).total


def _known(lift: Lift, value: float) -> float | None:
    """Return *value* where the log tells it: JSON knows no infinity."""
    return value if lift.measured else None


def _misses(group: Group) -> Mapping[str, object]:
    return {
        one.outcome.name.lower(): {
            "starts": one.start_count,
            "beyond_local_s": one.beyond_local_ns / 1e9,
        }
        for one in group.outcomes
        if one.outcome is not StartOutcome.LOCAL
    }


def _wrong(loop: ClosedLoop) -> Mapping[str, int]:
    """Return the starts whose reason is not what the simulation knows, by both."""
    found = Counter(
        f"{one.known.name.lower()} told as {one.told.name.lower()}"
        for one in loop.machines.told
        if not one.explained
    )
    return dict(sorted(found.items()))


def _unreasoned(loop: ClosedLoop) -> int:
    """Return how many decisions do not say why, or by which policy."""
    decisions = (
        decision_at(loop.state, Row(row)) for row in range(len(loop.state.decisions))
    )
    return sum(not (one.reason and one.policy) for one in decisions)
