"""Sums over decisions and starts, on their way to the figures of one group."""

from collections import Counter
from typing import NamedTuple

from placement.core.decisions import DecisionRecord
from placement.core.policy import Policy
from placement.core.reporting.figures import (
    Copies,
    Costs,
    Group,
    Measured,
    Observed,
    Outcome,
)
from placement.core.reporting.lift import lift
from placement.core.reporting.outcomes import Use
from placement.core.reporting.pairs import Arm, Pair
from placement.core.reporting.prices import GIGABYTE, MONTH_SECONDS, Prices
from placement.core.tables.cells import DecisionStatus, StartOutcome
from placement.core.topology import Region, Topology

Lane = tuple[Region | None, Region]
"""From where to where; None is not known."""

_OPEN = (DecisionStatus.PLANNED, DecisionStatus.STARTED)
_ENDED = (
    DecisionStatus.COMPLETED,
    DecisionStatus.FAILED,
    DecisionStatus.EXPIRED,
    DecisionStatus.CANCELLED,
)


class Judged(NamedTuple):
    """A decision to copy, and what came of it by now."""

    copy: DecisionRecord
    use: Use | None = None
    """What it was good for, if it is complete; None otherwise."""
    kept_until_ns: int = 0
    observed: bool = False
    """Not made: *use* is what it would have been good for."""
    pair: Pair | None = None
    """What it was the first about, of the comparison with the control group."""
    is_open: bool = False
    """Nobody has started that pair, and somebody may."""


class Tally:
    """What is counted for one group; every sum is a whole number."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._statuses: Counter[DecisionStatus] = Counter()
        self._uses: Counter[Use] = Counter()
        self._moved: Counter[Lane] = Counter()
        self._wasted: Counter[Lane] = Counter()
        self._kept: Counter[Region] = Counter()
        self._saved_ns = 0
        self._waits: dict[Arm, list[float]] = {arm: [] for arm in Arm}
        self._open_pairs = self._unreported_pairs = 0
        self._observed_uses: Counter[Use] = Counter()
        self._observed: Counter[Lane] = Counter()
        self._observed_wasted_bytes = 0
        self._observed_saved_ns = self._observed_waited_ns = 0
        self._starts: Counter[StartOutcome] = Counter()
        self._waited: Counter[StartOutcome] = Counter()
        self._wait_ns: Counter[StartOutcome] = Counter()

    def add(self, judged: Judged) -> None:
        """Count what came of one decision to copy."""
        copy, use = judged.copy, judged.use
        if judged.observed:
            assert use is not None, "what is observed is judged as if it were there"
            self._add_observed(copy, use)
            return
        self._statuses[copy.status] += 1
        if use is not None:
            self._add_complete(copy, use, judged.kept_until_ns)
        if judged.pair is not None:
            self._add_pair(judged.pair, is_open=judged.is_open)

    def _add_complete(self, copy: DecisionRecord, use: Use, kept_until_ns: int) -> None:
        lane = copy.source, copy.target
        self._uses[use] += 1
        self._moved[lane] += copy.moved_bytes
        seconds = max(0, kept_until_ns - copy.complete_ns) // 10**9
        self._kept[copy.target] += copy.moved_bytes * seconds
        if use is Use.USED:
            self._saved_ns += copy.start_count * copy.saved_ns
        elif use is Use.UNUSED:
            self._wasted[lane] += copy.moved_bytes

    def _add_pair(self, pair: Pair, *, is_open: bool) -> None:
        told = pair.told
        if told.start_count and not told.waited_count:
            self._unreported_pairs += 1
            return
        self._open_pairs += is_open
        self._waits[pair.arm].append(told.wait_ns / 1e9)

    def _add_observed(self, copy: DecisionRecord, use: Use) -> None:
        self._observed_uses[use] += 1
        self._observed[copy.source, copy.target] += copy.transfer_bytes
        if use is Use.UNUSED:
            self._observed_wasted_bytes += copy.transfer_bytes
        elif use is Use.USED:
            self._observed_saved_ns += copy.start_count * copy.saved_ns
            self._observed_waited_ns += copy.wait_ns

    def add_starts(
        self, outcome: StartOutcome, starts: int, waited: int, wait_ns: int
    ) -> None:
        """Count *starts*, of which *waited* say that they waited *wait_ns* in all."""
        self._starts[outcome] += starts
        self._waited[outcome] += waited
        self._wait_ns[outcome] += wait_ns

    # What it came to.

    def group(
        self, key: str, policy: Policy, prices: Prices, topology: Topology
    ) -> Group:
        """Return the figures of what was counted."""
        measured = Measured(
            lift(self._waits[Arm.TREATED], self._waits[Arm.WITHHELD]),
            self._open_pairs,
            self._unreported_pairs,
        )
        return Group(
            key,
            self._copies(),
            self._costs(prices, topology),
            measured,
            self._would_have(prices, topology),
            self._outcomes(policy),
            policy.kappa_bytes_per_second,
        )

    def _copies(self) -> Copies:
        statuses, uses = self._statuses, self._uses
        return Copies(
            decided_count=sum(statuses[status] for status in _OPEN + _ENDED),
            open_count=sum(statuses[status] for status in _OPEN),
            completed_count=statuses[DecisionStatus.COMPLETED],
            failed_count=statuses[DecisionStatus.FAILED],
            expired_count=statuses[DecisionStatus.EXPIRED],
            cancelled_count=statuses[DecisionStatus.CANCELLED],
            deferred_count=statuses[DecisionStatus.DEFERRED],
            withheld_count=statuses[DecisionStatus.WITHHELD],
            used_count=uses[Use.USED],
            late_count=uses[Use.LATE],
            unused_count=uses[Use.UNUSED],
            undecided_count=uses[Use.UNDECIDED],
            unjudged_count=uses[Use.UNJUDGED],
            moved_bytes=self._moved.total(),
            wasted_bytes=self._wasted.total(),
            saved_ns=self._saved_ns,
        )

    def _costs(self, prices: Prices, topology: Topology) -> Costs:
        storage = (
            byte_seconds / GIGABYTE / MONTH_SECONDS * prices.per_gb_month(region)
            for region, byte_seconds in sorted(self._kept.items())
        )
        return Costs(
            _priced(self._moved, prices, topology),
            _priced(self._wasted, prices, topology),
            sum(storage),
        )

    def _would_have(self, prices: Prices, topology: Topology) -> Observed:
        uses = self._observed_uses
        return Observed(
            decided_count=uses.total(),
            used_count=uses[Use.USED],
            late_count=uses[Use.LATE],
            unused_count=uses[Use.UNUSED],
            undecided_count=uses[Use.UNDECIDED],
            unjudged_count=uses[Use.UNJUDGED],
            transfer_bytes=self._observed.total(),
            wasted_bytes=self._observed_wasted_bytes,
            transfer_cost=_priced(self._observed, prices, topology),
            saved_ns=self._observed_saved_ns,
            waited_ns=self._observed_waited_ns,
        )

    def _outcomes(self, policy: Policy) -> tuple[Outcome, ...]:
        local_ns = round(policy.local_start_seconds * 1e9)
        return tuple(
            Outcome(
                outcome,
                self._starts[outcome],
                self._waited[outcome],
                self._wait_ns[outcome],
                max(0, self._wait_ns[outcome] - local_ns * self._waited[outcome]),
            )
            for outcome in StartOutcome
            if self._starts[outcome]
        )


def _priced(moved: Counter[Lane], prices: Prices, topology: Topology) -> float:
    """Return the price of what was moved; summed in one order, for one result."""
    lanes = sorted(moved.items(), key=lambda item: (item[0][0] or "", item[0][1]))
    return sum(
        moved_bytes / GIGABYTE * prices.per_gb(topology, source, target)
        for (source, target), moved_bytes in lanes
    )
