"""Reports on any log of decisions: parts add up, and no order changes a figure."""

from collections.abc import Callable, Sequence
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from placement.core.event import Name, ReplicationTrigger, WithholdReason
from placement.core.policy import DEFAULT
from placement.core.reporting.figures import Copies, Group, GroupBy, Observed, Report
from placement.core.reporting.periods import Period
from placement.core.reporting.prices import Prices
from placement.core.reporting.report import Question, report
from tests.builders import API, DAY_NS, FRA, START_NS, SYD, TOPOLOGY, WEB
from tests.decided import Decided
from tests.learning import reloaded

PRICES = Prices("USD", 0.02, 0.023)
NAMES = ("a", "b", "c", "d")
TRIGGERS = tuple(ReplicationTrigger)
REASONS = (Name("start-forecast"), Name("runs-here"))


@st.composite
def logs(draw: DrawFn) -> Decided:
    """Draw a few weeks of decisions about two apps, and of starts in two regions."""
    log = Decided()
    for name in NAMES:
        log.release(name, WEB).release(name, API)
    for _ in range(draw(st.integers(0, 25))):
        log.now_ns += draw(st.sampled_from([0, 40 * 10**9, DAY_NS, 8 * DAY_NS]))
        _step(draw, log)
    return log


def _step(draw: DrawFn, log: Decided) -> None:
    place = (
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from([SYD, FRA])),
        draw(st.sampled_from([WEB, API])),
    )
    wait_s = draw(st.sampled_from([None, 0.33, 7.0, 40.0]))
    trigger, reason = draw(st.sampled_from(TRIGGERS)), draw(st.sampled_from(REASONS))
    match draw(st.integers(0, 5)):
        case 0:
            log.plan(*place, trigger=trigger, reason=reason)
        case 1:
            cause = draw(st.sampled_from(WithholdReason))
            log.withhold(*place, cause=cause, trigger=trigger, reason=reason)
        case 2:
            log.fail(log.plan(*place, trigger=trigger, reason=reason))
        case 3:
            log.complete(log.plan(*place, trigger=trigger, reason=reason))
        case _:
            log.start(*place, wait_s=wait_s)


def reported(log: Decided, by: GroupBy, last_days: int = 400) -> Report:
    """Return the report on a log's last days."""
    end = log.now_ns // DAY_NS + 1
    question = Question(Period(end - last_days, end), by, log.now_ns)
    return report(log.state, TOPOLOGY, PRICES, DEFAULT, question)


def sums(groups: Sequence[Group]) -> dict[str, float]:
    """Return all figures that are sums, over *groups*."""
    parts: tuple[tuple[type, Callable[[Group], object]], ...] = (
        (Copies, lambda group: group.copies),
        (Observed, lambda group: group.observed),
    )
    found: dict[str, float] = {
        f"{kind.__name__}.{item.name}": sum(
            getattr(of(group), item.name) for group in groups
        )
        for kind, of in parts
        for item in fields(kind)
        if item.name != "transfer_cost"
    }
    for group in groups:
        lift = group.measured.lift
        named = {
            "treated": lift.treated_count,
            "withheld": lift.withheld_count,
            "open": group.measured.open_count,
            "unreported": group.measured.unreported_count,
        }
        for each in group.outcomes:
            named |= {
                f"{each.outcome.name} starts": each.start_count,
                f"{each.outcome.name} waited": each.waited_count,
                f"{each.outcome.name} wait": each.wait_ns,
            }
        for name, value in named.items():
            found[name] = found.get(name, 0) + value
    return found


@given(logs(), st.sampled_from([by for by in GroupBy if by is not GroupBy.WHOLE]))
def test_groups_add_up_to_the_whole(log: Decided, by: GroupBy) -> None:
    """Counts and bytes exactly, money but for rounding; every key comes once."""
    found = reported(log, by)

    keys = [group.key for group in found.groups]
    expected = {name: value for name, value in sums([found.total]).items() if value}
    assert keys == sorted(set(keys))
    assert {k: v for k, v in sums(found.groups).items() if v} == expected
    costs = [group.costs for group in found.groups]
    whole = found.total.costs
    assert sum(each.transfer for each in costs) == pytest.approx(whole.transfer)
    assert sum(each.wasted for each in costs) == pytest.approx(whole.wasted)
    assert sum(each.storage for each in costs) == pytest.approx(whole.storage)


@given(logs(), st.sampled_from(GroupBy))
def test_periods_add_up_too(log: Decided, by: GroupBy) -> None:
    """What the last week has and what came before it: together, all there is."""
    days = log.now_ns // DAY_NS + 1 - START_NS // DAY_NS
    end = log.now_ns // DAY_NS + 1
    older = Question(Period(end - days, max(end - 7, end - days)), by, log.now_ns)

    before = report(log.state, TOPOLOGY, PRICES, DEFAULT, older).total
    last = reported(log, by, min(7, days)).total

    together = {name: value for name, value in sums([before, last]).items() if value}
    expected = sums([reported(log, by).total])
    assert together == {name: value for name, value in expected.items() if value}


@given(logs(), st.sampled_from(GroupBy))
def test_report_is_a_function_of_the_log(log: Decided, by: GroupBy) -> None:
    """Another replica, or one that was restored, reports the very same figures."""
    question = Question(Period(0, log.now_ns // DAY_NS + 1), by, log.now_ns)
    restored = reloaded(log.state)

    assert report(restored, TOPOLOGY, PRICES, DEFAULT, question) == report(
        log.state, TOPOLOGY, PRICES, DEFAULT, question
    )


@given(logs())
def test_each_copy_is_judged_once(log: Decided) -> None:
    """No figure exceeds what it is a part of."""
    found = reported(log, GroupBy.WHOLE).total

    copies, observed = found.copies, found.observed
    for one in (copies, observed):
        judged = one.used_count + one.late_count + one.unused_count
        whole = one.completed_count if isinstance(one, Copies) else one.decided_count
        assert judged + one.undecided_count + one.unjudged_count == whole
        assert one.hit_rate is None or 0 <= one.hit_rate <= 1
    ended = copies.failed_count + copies.expired_count + copies.cancelled_count
    assert copies.open_count + copies.completed_count + ended == copies.decided_count
    assert copies.wasted_bytes <= copies.moved_bytes
    assert found.costs.wasted <= found.costs.transfer
    assert found.local_share is None or 0 <= found.local_share <= 1
