"""A bet pays by its chance, gain and stake; a surer sign may be worth waiting for."""

from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from placement.core.bets import Bet, Sign, is_better_later, worth_of_waiting
from tests.strategies import examples

chances = st.integers(0, 1000).map(lambda number: number / 1000)
sizes = st.floats(0, 1e15)


def test_break_even_is_where_gain_and_stake_balance() -> None:
    """Of a stake of 300 and a gain of 100, three starts of four break even."""
    worths = [Bet(p, 100.0, 300.0).worth_bytes for p in (0.5, 0.75, 1.0)]

    assert worths == [-100.0, 0.0, 100.0]


@examples(200)
@given(chances, chances, sizes, sizes)
def test_more_probability_never_makes_a_bet_worse(
    one: float, other: float, gain: float, stake: float
) -> None:
    """Whatever gain and stake, the likelier bet is worth at least as much."""
    low, high = sorted((one, other))

    less, more = Bet(low, gain, stake), Bet(high, gain, stake)

    slack = 1e-9 * (gain + stake)
    assert more.worth_bytes >= less.worth_bytes - slack
    assert more.density >= less.density


def test_nothing_staked_is_infinitely_dense() -> None:
    """A copy without missing bytes goes first."""
    free = Bet(0.5, 100.0, 0.0)

    assert free.density == inf
    assert Bet(0.5, 100.0, 200.0).density == pytest.approx(0.25)


@examples(300)
@given(chances, chances, chances, sizes, sizes)
def test_sign_that_tells_nothing_is_not_waited_for(
    probability: float, coming: float, timely: float, gain: float, stake: float
) -> None:
    """Where the start is as likely after the sign as before, waiting gains nothing.

    That holds but for rounding, which decides where a bet is worth next to nothing.
    """
    bet = Bet(probability, gain, stake)
    sign = Sign(coming, probability, timely)
    assume(abs(bet.worth_bytes) > 1e-9 * (gain + stake))

    assert not is_better_later(bet, sign, patience=0.0)


@examples(200)
@given(
    st.builds(Bet, chances, st.floats(0, 1e9), st.floats(0, 1e9)),
    st.builds(Sign, chances, chances, chances),
)
def test_waiting_gives_up_no_more_than_patience_allows(bet: Bet, sign: Sign) -> None:
    """Whatever is waited for is worth the bet, but for a share of its gain."""
    given_up = bet.worth_bytes - worth_of_waiting(bet, sign)

    if is_better_later(bet, sign, patience=0.02):
        allowed = 0.02 * bet.probability * bet.gain_bytes
        assert given_up <= allowed + 1e-9 * (bet.gain_bytes + bet.stake_bytes)


def test_surer_sign_that_leaves_time_is_waited_for() -> None:
    """An unlikely start that always follows another one is bet on once that comes."""
    bet = Bet(0.3, 1000.0, 400.0)

    waits = [
        is_better_later(bet, sign, patience=0.0)
        for sign in (Sign(0.3, 1.0, 1.0), Sign(0.3, 1.0, 0.05), Sign(0.3, 0.3, 1.0))
    ]

    assert waits == [True, False, False]


def test_sign_that_tells_nothing_is_not_waited_for_however_patient() -> None:
    """It is sure to come, and whatever comes after it is as likely as before."""
    bet = Bet(0.75, 6e9, 1e9)
    certain = Sign(probability=1.0, probability_then=0.75, timely=1.0)

    assert not is_better_later(bet, certain, patience=0.5)
