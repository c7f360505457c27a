"""What copies saved this week and what they cost, in the words of an operator."""

from dataclasses import dataclass
from typing import Final

from placement.api.reading import Pace
from placement.console.site import Site
from placement.core.counts import DAY_NS
from placement.core.deciding.ruling import ruling_in_force
from placement.core.reporting.figures import Copies, Group, GroupBy, Observed
from placement.core.reporting.lift import PAIRS_MIN, WAITED_MIN
from placement.core.reporting.periods import period_of
from placement.core.reporting.report import Question, Reporter

DAYS: Final = 7
NS_PER_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Scale:
    """Where zero, the interval and the estimate are on a line of 0 to 100."""

    zero: float
    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Saving:
    """The figures of ``placement report --since 7d``, as the front page prints them.

    Seconds are of waiting, and bytes of complete copies.
    """

    measured: bool
    """Whether there are enough pairs for an interval."""
    seconds: float
    """Measured, or else as modelled."""
    low: float
    high: float
    modelled_seconds: float
    treated_count: int
    withheld_count: int
    pairs_min: int
    waited_min: int
    copies: Copies
    observed: Observed
    transfer_cost: float
    storage_cost: float
    currency: str
    local_share: float | None
    start_count: int
    policy: str
    end_ns: int

    @property
    def verdict(self) -> str:
        """Return ``saved``, ``cost``, ``unshown`` or ``unmeasured``."""
        if not self.measured:
            return "unmeasured"
        if self.low > 0:
            return "saved"
        return "cost" if self.high < 0 else "unshown"

    @property
    def withheld_share(self) -> float | None:
        """Return the share of the pairs that was withheld to compare with."""
        count = self.treated_count + self.withheld_count
        return self.withheld_count / count if count else None

    @property
    def spent(self) -> float:
        """Return what copies cost in all."""
        return self.transfer_cost + self.storage_cost

    @property
    def decided(self) -> bool:
        """Whether anything was decided, or at least observed."""
        copies = self.copies
        made = copies.decided_count or copies.withheld_count
        return bool(made or self.observed.decided_count)

    @property
    def scale(self) -> Scale | None:
        """Return where the interval is on a line that has zero on it."""
        if not self.measured:
            return None
        least, most = min(0.0, self.low), max(0.0, self.high)
        width = (most - least) or 1.0
        ends = (0.0, self.low, self.seconds, self.high)
        return Scale(*(round(100 * (each - least) / width, 2) for each in ends))


async def saving(site: Site) -> Saving:
    """Return this week's figures; they are a moment old where they take long."""
    return await site.keeper.get("saving", site.view.position, lambda: _made(site))


async def _made(site: Site) -> Saving:
    state, now_ns = site.state, site.view.now_ns()
    policy = ruling_in_force(state, now_ns).policy
    reporter = Reporter(state, site.topology, site.prices, policy)
    period = period_of(now_ns - (DAYS - 1) * DAY_NS, now_ns)
    pace = Pace()
    for _ in reporter.steps(Question(period, GroupBy.WHOLE, now_ns)):
        await pace.step()
    assert reporter.found is not None, "the last step makes the report"
    report = reporter.found
    return saving_of(report.total, report.currency, policy.name, now_ns)


def saving_of(total: Group, currency: str, policy: str, end_ns: int) -> Saving:
    """Return a report's figures of the whole as they are printed."""
    measured, (low, high) = total.measured, total.measured.interval_seconds
    lift = measured.lift
    return Saving(
        measured=lift.measured,
        seconds=total.saved_seconds,
        low=low,
        high=high,
        modelled_seconds=total.copies.saved_ns / NS_PER_SECOND,
        treated_count=lift.treated_count,
        withheld_count=lift.withheld_count,
        pairs_min=PAIRS_MIN,
        waited_min=WAITED_MIN,
        copies=total.copies,
        observed=total.observed,
        transfer_cost=total.costs.transfer,
        storage_cost=total.costs.storage,
        currency=currency,
        local_share=total.local_share,
        start_count=sum(each.start_count for each in total.outcomes),
        policy=policy,
        end_ns=end_ns,
    )
