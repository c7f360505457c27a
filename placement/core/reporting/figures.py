"""The figures of a report: what each group of decisions and starts came to.

Sums are whole numbers of bytes and nanoseconds, so that groups add up to the whole.
"""

from dataclasses import dataclass
from enum import IntEnum

from placement.core.reporting.lift import Lift
from placement.core.reporting.periods import Period
from placement.core.reporting.prices import GIGABYTE
from placement.core.tables.cells import StartOutcome


class GroupBy(IntEnum):
    """What the figures are told apart by."""

    WHOLE = 0
    APP = 1
    ORGANIZATION = 2
    REGION = 3
    WEEK = 4


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies that were decided in the period, and what became of them by now."""

    decided_count: int = 0
    """Not those withheld or put off: open, complete, failed, expired, called off."""
    open_count: int = 0
    completed_count: int = 0
    failed_count: int = 0
    expired_count: int = 0
    cancelled_count: int = 0
    deferred_count: int = 0
    """Put off for a budget, and not decided since."""
    withheld_count: int = 0
    """Withheld by lot, as control group."""
    used_count: int = 0
    """Complete before the first start that they were made for."""
    late_count: int = 0
    unused_count: int = 0
    """Never used, and no longer waited for."""
    undecided_count: int = 0
    """Complete, not used, and not over yet."""
    unjudged_count: int = 0
    """Complete, and made for no start: repairs and pins."""
    moved_bytes: int = 0
    wasted_bytes: int = 0
    """What was moved for those never used."""
    saved_ns: int = 0
    """Modelled: starts of the first burst, times what each was to wait less."""

    @property
    def hit_rate(self) -> float | None:
        """Return the share of the copies judged by now that were used; None of none."""
        judged = self.used_count + self.late_count + self.unused_count
        return self.used_count / judged if judged else None


@dataclass(frozen=True, slots=True)
class Costs:
    """What the copies cost, in the currency of the report."""

    transfer: float = 0.0
    wasted: float = 0.0
    """The part of it for copies never used."""
    storage: float = 0.0
    """From completion to removal, or until now."""

    @property
    def total(self) -> float:
        """Return what was spent in all."""
        return self.transfer + self.storage


@dataclass(frozen=True, slots=True)
class Measured:
    """What copies saved, measured against the control group; in seconds."""

    lift: Lift
    """Of a pair: what one withheld waited more than one treated."""
    open_count: int = 0
    """Pairs that nobody has started yet and somebody may: they count with 0."""
    unreported_count: int = 0
    """Pairs that started and said nothing of their wait: they are left out."""

    @property
    def saved_seconds(self) -> float:
        """Return what all treated pairs together waited less."""
        return self.lift.mean * self.lift.treated_count

    @property
    def interval_seconds(self) -> tuple[float, float]:
        """Return the 95 % interval of saved_seconds; infinite where nothing is known.

        Of no treated pair it is 0 to 0.
        """
        count = self.lift.treated_count
        if not count:
            return 0.0, 0.0
        return self.lift.low * count, self.lift.high * count


@dataclass(frozen=True, slots=True)
class Observed:
    """Copies that a policy only observed, and what would have become of them."""

    decided_count: int = 0
    used_count: int = 0
    """Those that would have been there before the first start."""
    late_count: int = 0
    unused_count: int = 0
    undecided_count: int = 0
    unjudged_count: int = 0
    transfer_bytes: int = 0
    wasted_bytes: int = 0
    transfer_cost: float = 0.0
    saved_ns: int = 0
    """Modelled, of those that would have been used."""
    waited_ns: int = 0
    """What their starts say that they waited."""

    @property
    def hit_rate(self) -> float | None:
        """Return the share of those judged by now that were used; None of none."""
        judged = self.used_count + self.late_count + self.unused_count
        return self.used_count / judged if judged else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Starts that found their image in one way, or missed it for one reason."""

    outcome: StartOutcome
    start_count: int
    waited_count: int
    """Those that said what they waited."""
    wait_ns: int
    beyond_local_ns: int
    """What they waited beyond a start whose image is there; 0 or more."""


@dataclass(frozen=True, slots=True)
class Group:
    """All figures of one group; *key* is empty for the whole."""

    key: str
    copies: Copies
    costs: Costs
    measured: Measured
    observed: Observed
    outcomes: tuple[Outcome, ...]
    """By StartOutcome; one without a start is left out."""
    kappa_bytes_per_second: float

    @property
    def local_share(self) -> float | None:
        """Return the share of starts that were local, of those that told; or None."""
        counts = {each.outcome: each.start_count for each in self.outcomes}
        told = sum(counts.values()) - counts.get(StartOutcome.UNKNOWN, 0)
        return counts.get(StartOutcome.LOCAL, 0) / told if told else None

    @property
    def regret_bytes(self) -> float:
        """Return what better decisions could have spared: waits in bytes, and waste."""
        beyond_ns = sum(each.beyond_local_ns for each in self.outcomes)
        waited_bytes = beyond_ns / 1e9 * self.kappa_bytes_per_second
        return waited_bytes + self.copies.wasted_bytes

    @property
    def saved_seconds(self) -> float:
        """Return the seconds saved: measured where that is known, else modelled."""
        if self.measured.lift.measured:
            return self.measured.saved_seconds
        return self.copies.saved_ns / 1e9

    @property
    def seconds_per_cost(self) -> float | None:
        """Return the seconds saved for each unit of money spent; None for nothing."""
        return self.saved_seconds / self.costs.total if self.costs.total else None

    @property
    def seconds_per_wasted_gb(self) -> float | None:
        """Return the seconds saved for each GB wasted; None where nothing was."""
        wasted = self.copies.wasted_bytes / GIGABYTE
        return self.saved_seconds / wasted if wasted else None


@dataclass(frozen=True, slots=True)
class Report:
    """What decisions of a period came to: the whole, and its groups by key."""

    period: Period
    currency: str
    total: Group
    groups: tuple[Group, ...] = ()
