"""Outcomes as a bounded ring of bits, and the lags of the newest hits."""

from random import Random

import pytest

from placement.core.state import State
from placement.core.tables.outcomes import (
    APP_OUTCOMES,
    LAGS_KEPT,
    POOLED_OUTCOMES,
    append_outcome,
    lag_code,
    lag_codes,
    newest_first,
)
from placement.core.tables.table import Row, Table


def kept(table: Table, outcomes: list[bool]) -> Row:
    """Append *outcomes* to one key of *table*, and return its row."""
    for hit in outcomes:
        append_outcome(table, b"k" * 17, hit=hit, lag_code=3 if hit else 0)
    return table.find(b"k" * 17)


@pytest.mark.parametrize("capacity", [APP_OUTCOMES, POOLED_OUTCOMES])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_ring_equals_a_list_of_the_newest(capacity: int, share: float) -> None:
    """At every length, the ring holds what a plain list of the newest would."""
    state, random = State(), Random(capacity)
    table = state.app_outcomes if capacity == APP_OUTCOMES else state.pooled_outcomes
    told: list[bool] = []

    for number in range(2 * capacity + 70):
        hit = random.random() < share
        told.append(hit)
        row = kept(table, [hit])

        if number % 13 == 0 or number > 2 * capacity:
            newest = told[-capacity:][::-1]
            bits, count = newest_first(table, row)
            assert [bool(bits >> place & 1) for place in range(count)] == newest


def test_lags_of_the_newest_hits_are_kept() -> None:
    """Misses keep no lag; of hits the newest fifteen do, newest first."""
    table = State().app_outcomes

    for number in range(40):
        append_outcome(table, b"k", hit=number % 2 == 1, lag_code=number % 15 + 1)

    hits = [number % 15 + 1 for number in range(40) if number % 2 == 1]
    assert lag_codes(table, table.find(b"k")) == tuple(hits[::-1][:LAGS_KEPT])


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(1, 1), (2, 2), (3, 2), (4, 3), (16_383, 14), (16_384, 15), (10**9, 15)],
)
def test_lag_is_kept_by_its_power_of_two(seconds: int, code: int) -> None:
    """Code c stands for at least 2^(c-1) and less than 2^c seconds; 15 for the rest."""
    found = lag_code(seconds)

    assert found == code
