"""Outcomes weighed by age, and drawn towards what is presumed."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core.posterior import (
    NOTHING,
    Posteriors,
    Weighed,
    weighed_outcomes,
    weighed_timely,
)
from placement.core.state import State
from placement.core.tables.outcomes import append_outcome
from placement.core.tables.table import ABSENT, Row, Table
from tests.strategies import examples


def filled(table: Table, outcomes: list[bool], code: int = 1) -> Row:
    """Return the row of one key that had *outcomes*, hits with a lag of *code*."""
    for hit in outcomes:
        append_outcome(table, b"k", hit=hit, lag_code=code)
    return table.find(b"k")


@pytest.mark.parametrize("table_name", ["app_outcomes", "pooled_outcomes"])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 500, 1023, 1025, 3000])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_weighed_share_equals_the_recursion(
    table_name: str, count: int, share: float
) -> None:
    """What the ring has forgotten would have changed the share by less than 1 %.

    That is the decay of 0.93 over 64 outcomes, and of 0.995 over 1,024.
    """
    decay = {"app_outcomes": 0.93, "pooled_outcomes": 0.995}[table_name]
    table, random = getattr(State(), table_name), Random(count)
    outcomes = [random.random() < share for _ in range(count)]
    hits = total = 0.0
    for hit in outcomes:
        hits, total = decay * hits + hit, decay * total + 1

    found = weighed_outcomes(table, filled(table, outcomes), decay)

    assert found.total == pytest.approx(total, rel=0.01)
    assert found.share(0.5, 3) == pytest.approx((hits + 1.5) / (total + 3), abs=0.01)


@examples(100)
@given(st.lists(st.booleans(), max_size=80), st.floats(0.5, 1))
def test_weighed_outcomes_equal_the_sum_over_a_list(
    outcomes: list[bool], decay: float
) -> None:
    """Weighing a byte at a time is exact: the sum of the newest 64 with their ages."""
    table = State().app_outcomes
    newest = outcomes[::-1][:64]

    row = filled(table, outcomes)

    found = weighed_outcomes(table, row, decay)
    ages = range(len(newest))
    assert found.total == pytest.approx(sum(decay**age for age in ages))
    hits = sum(decay**age * newest[age] for age in ages)
    assert found.hits == pytest.approx(hits)


def test_no_outcomes_leave_what_is_presumed() -> None:
    """A key that nobody has learned of has no say, whatever it weighs."""
    table = State().app_outcomes

    found = weighed_outcomes(table, ABSENT, 0.93)

    assert found == weighed_timely(table, ABSENT, 0.93, 5.0) == NOTHING
    assert found.share(0.3, 12) == pytest.approx(0.3)


@examples(100)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 100), st.floats(1e-3, 1e6))
def test_share_lies_between_what_is_presumed_and_observed(
    presumed: float, observed: float, total: float, weight: float
) -> None:
    """The posterior is drawn from one towards the other, and never past either."""
    seen = Weighed(observed * total, total)

    found = seen.share(presumed, weight)

    low, high = sorted((presumed, observed))
    assert low - 1e-9 <= found <= high + 1e-9


def test_starts_count_as_timely_by_the_time_they_left() -> None:
    """Of hits 4 to 8 seconds after a sign, half leave six seconds, all leave four."""
    table = State().app_outcomes
    row = filled(table, [True, False, True], code=3)

    shares = [
        weighed_timely(table, row, 0.93, needed_s).share(0.0, 1e-9)
        for needed_s in (0.0, 4.0, 5.0, 6.0, 8.0, 100.0)
    ]

    assert shares == pytest.approx([1, 1, 0.75, 0.5, 0, 0])
    assert all(sooner >= later for sooner, later in pairwise(shares))


def test_what_was_weighed_is_weighed_again_after_a_new_outcome() -> None:
    """Remembering saves work and never a wrong answer."""
    table, posteriors = State().app_outcomes, Posteriors()
    row = filled(table, [True])
    first = posteriors.outcomes(table, row, 0.9)
    again = posteriors.outcomes(table, row, 0.9)
    timely = posteriors.timely(table, row, 0.9, 1.0)

    filled(table, [True])

    assert first == again == Weighed(1.0, 1.0)
    assert posteriors.outcomes(table, row, 0.9) == Weighed(1.9, 1.9)
    assert (timely.total, posteriors.timely(table, row, 0.9, 1.0).total) == (1.0, 1.9)
