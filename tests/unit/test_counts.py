"""Hours in a ring, and what is weighed from them when somebody asks."""

import pytest

from placement.core.counts import hour_of, slot_of
from placement.core.demand import app_demand, decayed, started_within
from placement.core.state import State
from placement.core.tables.table import Row
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    HOUR_NS,
    START_NS,
    WEB,
    folded,
    folded_log,
    message,
    pulled,
    started,
)


def demand(state: State, now_ns: int) -> float:
    """Return how much the app of acme/web is wanted in Amsterdam."""
    app = state.app_of(state.find_repository(WEB))
    return app_demand(state, app, state.region_row(AMS), now_ns)


def test_hours_are_counted_from_1970() -> None:
    """An hour begins with its first nanosecond."""
    assert [hour_of(n * HOUR_NS - 1) for n in (1, 2)] == [0, 1]
    assert [slot_of(hour) for hour in (0, 167, 168)] == [0, 167, 0]


@pytest.mark.parametrize(("age_hours", "left"), [(0, 8.0), (24, 4.0), (72, 1.0)])
def test_demand_halves_once_a_half_life(age_hours: int, left: float) -> None:
    """After three half-lives an eighth is left."""
    assert decayed(8.0, age_hours, 24) == left


def test_demand_is_weighed_by_its_age_when_asked() -> None:
    """The fold keeps integers; a day later the same state says half."""
    state = folded(started("a", AMS, machine="m1"), started("a", AMS, machine="m2"))

    assert demand(state, START_NS) == 2.0
    assert demand(state, START_NS + DAY_NS) == 1.0
    assert demand(state, START_NS - DAY_NS) == 2.0


def test_demand_of_more_than_a_week_ago_is_none() -> None:
    """The window is 168 hours: the 169th counts nothing."""
    state = folded(started("a", AMS))

    assert demand(state, START_NS + 167 * HOUR_NS) > 0
    assert demand(state, START_NS + 168 * HOUR_NS) == 0


def test_ring_reuses_the_slot_of_a_week_ago() -> None:
    """A start a week later replaces the hour that its slot held."""
    state = folded_log(
        [
            message(1, started("a", AMS, machine="m1")),
            message(
                2,
                started("a", AMS, machine="m2"),
                store_time_ns=START_NS + 168 * HOUR_NS,
            ),
        ]
    )

    assert [state.demand.values(row)[1:] for _, row in state.demand.rows()] == [(0, 1)]


def test_start_of_a_passed_hour_leaves_the_newer_count() -> None:
    """What comes after the ring has moved on is not counted by the hour."""
    state = folded_log(
        [
            message(1, started("a", AMS), store_time_ns=START_NS + 168 * HOUR_NS),
            message(2, started("a", AMS, machine="m2"), store_time_ns=START_NS),
        ]
    )

    assert [state.demand.values(row)[2] for _, row in state.demand.rows()] == [1]


def member_starts(state: State, days: int, now_ns: int) -> list[tuple[Row, int]]:
    """Return where the app of acme/web started within so many days, and how often."""
    app = state.app_of(state.find_repository(WEB))
    return [(row, n) for row, _, n in started_within(state, app, now_ns, days)]


def test_app_is_a_member_where_it_started_within_the_days() -> None:
    """The sixtieth day still counts, a nanosecond more does not."""
    state = folded(started("a", AMS, at_ns=START_NS))
    ams = state.region_row(AMS)

    assert member_starts(state, 60, START_NS + 60 * DAY_NS) == [(ams, 1)]
    assert member_starts(state, 60, START_NS + 60 * DAY_NS + 1) == []


def test_pulls_stand_in_where_nobody_reports_starts() -> None:
    """Without any scheduler, who pulls an image by tag is taken to run it."""
    pulls = folded(pulled("a", FRA))
    both = folded(pulled("a", FRA), started("a", AMS))

    assert member_starts(pulls, 60, START_NS) == [(pulls.region_row(FRA), 1)]
    assert member_starts(both, 60, START_NS) == [(both.region_row(AMS), 1)]
