"""What decisions came to: every figure of a report, on logs that fit on a screen."""

import math

import pytest

from placement.core.decisions import decision_at
from placement.core.event import (
    EvictionPlanned,
    Identifier,
    Name,
    ReplicationTrigger,
    WithholdReason,
)
from placement.core.payoff import Payoff, payoff_of
from placement.core.policy import Policy
from placement.core.reporting.figures import Copies, Group, GroupBy, Report
from placement.core.reporting.lift import PAIRS_MIN
from placement.core.reporting.periods import Period, iso_week, period_of
from placement.core.reporting.prices import MONTH_SECONDS, Prices
from placement.core.reporting.report import (
    ROWS_PER_STEP,
    Question,
    Reporter,
    report,
)
from placement.core.tables.cells import StartOutcome
from placement.core.tables.table import Row
from tests.builders import (
    API,
    DAY_NS,
    FRA,
    LHR,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
)
from tests.decided import GIGABYTE, SAVED_S, Decided

POLICY = Policy(kappa_bytes_per_second=100e6, local_start_seconds=0.5)
PRICES = Prices("EUR", 0.02, 0.03, regions={"iad:fra": 0.1})


def reported(log: Decided, by: GroupBy = GroupBy.WHOLE, days: float = 0) -> Report:
    """Return the report on the log's whole time, *days* after its end."""
    now_ns = log.now_ns + round(days * DAY_NS)
    period = Period(START_NS // DAY_NS, now_ns // DAY_NS + 1)
    question = Question(period, by, now_ns)
    return report(log.state, TOPOLOGY, PRICES, POLICY, question)


def total(log: Decided, days: float = 0) -> Group:
    """Return the figures of the whole."""
    return reported(log, days=days).total


def test_nothing_came_of_nothing() -> None:
    """No share is told of nothing, and nothing is divided by zero."""
    found = total(Decided())

    assert found.copies == Copies()
    assert found.regret_bytes == 0
    low, high = found.measured.interval_seconds
    assert low == high == 0
    assert len(found.outcomes) == 0
    assert found.local_share is None
    assert found.copies.hit_rate is None
    assert found.seconds_per_cost is None
    assert found.seconds_per_wasted_gb is None


def test_copies_are_counted_by_how_far_they_came() -> None:
    """Each once; what was put off or withheld was not decided."""
    log = Decided()
    for name in ("a", "b", "c", "d", "e", "f", "0"):
        log.release(name)
    log.plan("a")
    log.complete(log.plan("b"))
    log.fail(log.plan("c"))
    log.expire(log.plan("d"))
    log.cancel(log.plan("e"))
    log.withhold("f")
    log.withhold("0", cause=WithholdReason.OVER_BUDGET)

    found = total(log).copies

    assert found.decided_count == 5
    assert (found.open_count, found.completed_count, found.failed_count) == (1, 1, 1)
    assert (found.expired_count, found.cancelled_count) == (1, 1)
    assert (found.withheld_count, found.deferred_count) == (1, 1)


def test_copy_that_was_there_first_saved_its_burst_the_wait() -> None:
    """Modelled: three machines within a minute; the fourth comes when it is over."""
    log = Decided().release("a")
    log.complete(log.plan("a"))
    log.start("a").start("a").start("a", after_s=50).start("a", after_s=61)

    found = total(log).copies

    assert (found.used_count, found.late_count, found.unused_count) == (1, 0, 0)
    assert found.saved_ns == 3 * SAVED_S * SECOND_NS
    assert found.moved_bytes == GIGABYTE
    assert (found.wasted_bytes, found.hit_rate) == (0, 1.0)


def test_copy_that_came_after_the_first_start_is_late() -> None:
    """It saved nothing that was foreseen, and is no waste either."""
    log = Decided().release("a")
    copy = log.plan("a")
    log.start("a", wait_s=40).complete(copy).start("a")

    found = total(log).copies

    assert (found.used_count, found.late_count) == (0, 1)
    assert (found.saved_ns, found.wasted_bytes, found.hit_rate) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("days", "newer", "unused"), [(29, False, 0), (31, False, 1), (1, True, 1)], ids=str
)
def test_copy_is_for_nothing_once_nobody_waits_for_it(
    days: float, unused: int, *, newer: bool
) -> None:
    """After thirty days, or when a newer version was pushed; until then, who knows."""
    log = Decided().release("a")
    log.complete(log.plan("a"))
    if newer:
        log.release("b")

    found = total(log, days)

    assert found.copies.unused_count == unused
    assert found.copies.undecided_count == 1 - unused
    assert found.copies.wasted_bytes == unused * GIGABYTE
    assert found.costs.wasted == pytest.approx(unused * 0.02)


def test_copy_is_judged_as_its_own_decision_is() -> None:
    """A report and GetReplication never contradict each other."""
    log = Decided()
    for name in ("a", "b", "c"):
        log.release(name)
    log.complete(log.plan("c"))
    late = log.plan("a")
    log.start("a", wait_s=9).complete(late)
    log.complete(log.plan("b", FRA)).start("b", FRA)
    log.complete(log.plan("b", SYD))
    log.complete(log.plan("a", FRA, starts=()))
    state, found = log.state, total(log).copies

    payoffs = [
        payoff_of(state, decision_at(state, Row(row)), log.now_ns)
        for row in range(len(state.decisions))
    ]

    assert found.used_count == payoffs.count(Payoff.PAID_OFF) == 1
    assert found.late_count == payoffs.count(Payoff.LATE) == 1
    assert found.undecided_count == payoffs.count(Payoff.PENDING) == 2
    assert found.unjudged_count == payoffs.count(Payoff.UNKNOWN) == 1


def test_money_is_what_was_moved_and_kept_at_the_pair_s_price() -> None:
    """The exact pair's price for Frankfurt; storage from completion until now."""
    log = Decided().release("a").release("b")
    log.complete(log.plan("a", SYD))
    log.complete(log.plan("b", FRA))
    ends_ns = log.now_ns

    found = total(log, days=30)

    kept_s = 2 * 30 * DAY_NS // SECOND_NS + 2  # the first was there two seconds longer
    assert log.now_ns == ends_ns
    assert found.costs.transfer == pytest.approx(0.02 + 0.1)
    assert found.costs.storage == pytest.approx(0.03 * kept_s / MONTH_SECONDS)
    assert found.costs.total == found.costs.transfer + found.costs.storage


def test_seconds_are_held_against_money_and_waste() -> None:
    """By the model, as long as too few pairs were withheld to measure."""
    log = Decided().release("a").release("b")
    log.complete(log.plan("a", SYD)).start("a")
    log.complete(log.plan("b", FRA), 2 * GIGABYTE)
    log.release("c")

    found = total(log)

    assert found.saved_seconds == SAVED_S
    assert found.seconds_per_wasted_gb == SAVED_S / 2
    assert found.seconds_per_cost == pytest.approx(SAVED_S / found.costs.total)
    assert found.costs.total == pytest.approx(0.02 + 0.2, rel=1e-3)


def test_misses_are_attributed_and_weighed() -> None:
    """By the reason of each start; what a local one waits is nobody's fault."""
    log = Decided().release("a").release("b")
    log.complete(log.plan("a"))
    log.release("c")
    log.start("a", wait_s=0.4).start("a", FRA, wait_s=10.5).start("b", wait_s=None)
    log.withhold("c")
    log.start("c", wait_s=20.5).start("c", wait_s=20.5)

    found = total(log)

    shown = {
        each.outcome: (each.start_count, each.waited_count, each.beyond_local_ns / 1e9)
        for each in found.outcomes
    }
    assert shown == {
        StartOutcome.LOCAL: (1, 1, 0),
        StartOutcome.UNKNOWN: (1, 0, 0),
        StartOutcome.NEVER_PREDICTED: (1, 1, 10),
        StartOutcome.CONTROL_GROUP: (2, 2, 40),
    }
    assert found.local_share == 1 / 4
    assert found.regret_bytes == 50 * 100e6


def test_regret_counts_what_was_wasted() -> None:
    """Bytes and seconds in one unit: the policy says what a second is worth."""
    log = Decided().release("a")
    log.complete(log.plan("a"))
    log.release("b").start("b", FRA, wait_s=3.5)

    assert total(log).regret_bytes == GIGABYTE + 3 * 100e6


def compared(log: Decided) -> tuple[int, int]:
    """Return how many pairs are treated and withheld."""
    lift = total(log).measured.lift
    return lift.treated_count, lift.withheld_count


def test_pairs_are_compared_by_what_they_waited() -> None:
    """The first burst in all, with 0 for those that nobody started."""
    log = Decided()
    for name in ("a", "b", "c", "d"):
        log.release(name)
        if name in "ab":
            log.withhold(name)
        else:
            log.complete(log.plan(name))
    log.start("a", wait_s=10).start("a", wait_s=12).start("c", wait_s=0.5)

    found = total(log).measured

    assert found.lift.mean == (22 + 0) / 2 - (0.5 + 0) / 2
    assert (found.lift.treated_count, found.lift.withheld_count) == (2, 2)
    assert found.saved_seconds == 2 * found.lift.mean
    assert found.interval_seconds == (-math.inf, math.inf)


def test_pairs_without_a_start_are_open_as_long_as_one_may_come() -> None:
    """They count with 0 all the same: to wait for them is to choose by the outcome."""
    log = Decided().release("a").release("b")
    log.withhold("b")
    log.plan("b", FRA)

    assert total(log).measured.open_count == 2
    assert total(log, days=31).measured.open_count == 0
    assert total(log, days=31).measured.lift.withheld_count == 1


def test_what_became_of_a_copy_does_not_change_its_side() -> None:
    """Failed, late, put off: it is treated as soon as the lot fell so."""
    log = Decided()
    for name in ("a", "b", "c", "d", "e"):
        log.release(name)
    log.fail(log.plan("a"))
    log.expire(log.plan("b"))
    log.cancel(log.plan("c"))
    log.withhold("d", cause=WithholdReason.OVER_BUDGET)
    late = log.plan("e")
    log.start("e", wait_s=30).complete(late)

    assert compared(log) == (5, 0)


def test_pair_counts_once_with_its_first_decision() -> None:
    """Tried again after a failure, or asked for after it was withheld."""
    log = Decided().release("a").release("b")
    log.fail(log.plan("a"))
    log.complete(log.plan("a", trigger=ReplicationTrigger.START)).start("a")
    log.withhold("b")
    asked = log.plan("b", trigger=ReplicationTrigger.REQUEST, reason=Name("requested"))
    log.complete(asked).start("b", wait_s=0.5)

    assert compared(log) == (1, 1)


@pytest.mark.parametrize(
    ("trigger", "reason", "pairs"),
    [
        (ReplicationTrigger.PUSH, "start-forecast", 1),
        (ReplicationTrigger.START, "pull-forecast", 1),
        (ReplicationTrigger.SWEEP, "start-forecast", 1),
        (ReplicationTrigger.SWEEP, "runs-here", 0),
        (ReplicationTrigger.PUSH, "starts-requested", 0),
        (ReplicationTrigger.REQUEST, "requested", 0),
        (ReplicationTrigger.REPAIR, "too-few-copies", 0),
        (ReplicationTrigger.FIRST_LAYER, "start-forecast", 0),
    ],
    ids=str,
)
def test_only_what_is_drawn_by_lot_is_compared(
    trigger: ReplicationTrigger, reason: str, pairs: int
) -> None:
    """What is certain, asked for or repaired is never withheld, so it shows nothing."""
    log = Decided().release("a")
    log.plan("a", trigger=trigger, reason=Name(reason))

    assert compared(log) == (pairs, 0)


AHEAD = ReplicationTrigger.FIRST_LAYER


def test_layers_copied_ahead_are_part_of_their_version_s_pair() -> None:
    """The lot fell with the first of them; the image tells of the whole burst."""
    log = Decided().release("0")
    log.complete(log.plan("layer-1", trigger=AHEAD))
    log.complete(log.plan("layer-2", trigger=AHEAD))
    log.release("a", layers=["layer-1", "layer-2"])
    log.complete(log.plan("a"))
    log.start("a", wait_s=0.5).start("a", wait_s=0.7)

    found = total(log).measured

    assert (found.lift.treated_count, found.lift.withheld_count) == (1, 0)
    assert found.lift.mean == pytest.approx(-1.2)


def test_pair_whose_layers_alone_were_withheld_is_compared_too() -> None:
    """Its image did not pay by itself: else only likely versions were withheld."""
    log = Decided().release("0")
    log.withhold("layer", trigger=AHEAD)
    log.release("a", layers=["layer"])
    log.withhold("next", trigger=AHEAD)
    log.release("b", layers=["next"])
    log.start("a", wait_s=9).start("a", wait_s=8)

    found = total(log).measured

    assert (found.lift.treated_count, found.lift.withheld_count) == (0, 2)
    assert found.lift.mean == 9 / 2  # of "a", its first machine; nobody started "b"
    assert found.open_count == 1


def test_layer_without_its_version_is_not_compared() -> None:
    """An upload that was given up, or a layer that the next version does not have."""
    log = Decided().release("0")
    log.withhold("elsewhere", trigger=AHEAD)
    log.release("a", layers=["layer"])
    log.plan("a")
    log.plan("given-up", trigger=AHEAD)

    assert compared(log) == (1, 0)


def test_layer_for_the_next_version_says_nothing_of_the_one_before() -> None:
    """Two versions share a layer; it was copied ahead of the second one alone."""
    log = Decided().release("a", layers=["layer"])
    log.withhold("layer", trigger=AHEAD)
    log.plan("a")
    log.release("b", layers=["layer"])
    log.plan("b")

    assert compared(log) == (1, 1)


def test_pair_that_does_not_say_what_it_waited_is_left_out() -> None:
    """It is told how many there are; a silent start is no start without a wait."""
    log = Decided().release("a").release("b")
    log.withhold("a")
    log.withhold("b")
    log.start("a", wait_s=None).start("b", wait_s=None).start("b", wait_s=7)

    found = total(log).measured

    assert (found.lift.withheld_count, found.unreported_count) == (1, 1)


def test_saving_of_many_pairs_has_an_interval() -> None:
    """As soon as enough were withheld; it is what the report then goes by."""
    log = Decided()
    for number in range(3 * PAIRS_MIN):
        name = f"v{number}"
        log.release(name)
        if number % 3 == 0:
            log.withhold(name)
            log.start(name, wait_s=10 + number % 5, after_s=100)
        else:
            log.complete(log.plan(name)).start(name, wait_s=0.5, after_s=100)

    found = total(log)

    low, high = found.measured.interval_seconds
    assert found.measured.lift.sure
    assert low < found.measured.saved_seconds < high
    assert found.saved_seconds == found.measured.saved_seconds
    mean_s = sum(10 + number % 5 for number in range(0, 3 * PAIRS_MIN, 3)) / PAIRS_MIN
    assert found.measured.lift.mean == pytest.approx(mean_s - 0.5)


def test_observed_copies_are_judged_as_if_they_had_been_made() -> None:
    """There when expected; a start before that would have been too early."""
    observe = WithholdReason.OBSERVE_ONLY
    log = Decided()
    for name in ("a", "b", "c"):
        log.release(name)
    log.withhold("a", cause=observe)
    log.start("a", wait_s=25, after_s=31).start("a", wait_s=24)
    log.withhold("b", cause=observe)
    log.start("b", wait_s=25, after_s=29)
    log.withhold("c", FRA, cause=observe, size_bytes=3 * GIGABYTE)

    found = total(log, days=31).observed

    assert found.decided_count == 3
    assert (found.used_count, found.late_count, found.unused_count) == (1, 1, 1)
    assert found.saved_ns == 2 * SAVED_S * SECOND_NS
    assert found.waited_ns == 49 * SECOND_NS
    assert found.transfer_bytes == 5 * GIGABYTE
    assert found.wasted_bytes == 3 * GIGABYTE
    assert found.transfer_cost == pytest.approx(2 * 0.02 + 3 * 0.1)
    assert found.hit_rate == 1 / 3


def test_observed_copy_counts_once_and_its_layers_with_it() -> None:
    """Nobody would have copied it twice, nor its layers beside it."""
    observe = WithholdReason.OBSERVE_ONLY
    log = Decided().release("a")
    log.withhold("a", cause=observe)
    log.withhold("a", cause=observe, trigger=ReplicationTrigger.START)
    layer = ReplicationTrigger.FIRST_LAYER
    log.withhold("layer", cause=observe, trigger=layer)

    found = total(log)

    assert found.observed.decided_count == 1
    assert found.copies.withheld_count == 0
    assert compared(log) == (0, 0)


def test_pair_that_was_observed_before_is_compared_from_the_first_lot_on() -> None:
    """While the policy only observed, nothing was drawn."""
    log = Decided().release("a")
    log.withhold("a", cause=WithholdReason.OBSERVE_ONLY)
    log.plan("a", trigger=ReplicationTrigger.START)

    assert compared(log) == (1, 0)


def test_only_the_period_counts() -> None:
    """A decision by when it was made, a start by its day; what came of it by now."""
    log = Decided().release("a")
    copy = log.plan("a")
    log.now_ns += 3 * DAY_NS
    log.complete(copy).start("a")
    state, first = log.state, START_NS // DAY_NS

    def in_days(begin: int, end: int) -> Group:
        question = Question(
            Period(first + begin, first + end), GroupBy.WHOLE, log.now_ns
        )
        return report(state, TOPOLOGY, PRICES, POLICY, question).total

    early, late = in_days(0, 1), in_days(1, 4)
    assert (early.copies.used_count, len(early.outcomes)) == (1, 0)
    assert (late.copies.used_count, len(late.outcomes)) == (0, 1)


def test_figures_are_told_apart() -> None:
    """Decisions by target and starts by where they were; an app with its owner."""
    log = Decided().release("a").release("b", API)
    log.plan("a", SYD)
    log.plan("b", FRA, API)
    log.start("a", SYD).start("b", SYD, API)

    def keys(by: GroupBy) -> dict[str, tuple[int, int]]:
        return {
            group.key: (
                group.copies.decided_count,
                sum(each.start_count for each in group.outcomes),
            )
            for group in reported(log, by).groups
        }

    assert keys(GroupBy.WHOLE) == {}
    assert keys(GroupBy.APP) == {API: (1, 1), WEB: (1, 1)}
    assert keys(GroupBy.ORGANIZATION) == {"acme": (2, 2)}
    assert keys(GroupBy.REGION) == {FRA: (1, 0), SYD: (1, 2)}
    assert keys(GroupBy.WEEK) == {iso_week(START_NS // DAY_NS): (2, 2)}


def test_removals_are_no_copies() -> None:
    """They are decided too, and move nothing."""
    log = Decided().release("a")
    log.tell(FRA, EvictionPlanned(Identifier("out-1"), WEB, A, FRA, reclaimed_bytes=7))

    assert total(log).copies == Copies()


def test_report_does_not_hold_others_up() -> None:
    """It yields often, and has nothing to show before it has read everything."""
    log = Decided().release("a")
    for region in (FRA, SYD, LHR):
        log.plan("a", region)
    state = log.state
    reporter = Reporter(state, TOPOLOGY, PRICES, POLICY)
    steps = reporter.steps(
        Question(period_of(None, log.now_ns), GroupBy.REGION, log.now_ns)
    )

    next(steps)
    early = reporter.found
    yields = sum(1 for _ in steps)

    assert early is None
    assert yields >= len(state.decisions) / ROWS_PER_STEP
    assert reporter.found is not None
    assert len(reporter.found.groups) == 3
