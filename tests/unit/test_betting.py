"""Bets on a version: one a region, in an order that does not depend on chance."""

from itertools import pairwise
from random import Random

from placement.core.betting import CopyCosts, open_trials, wagers
from placement.core.fold import fold
from placement.core.forecast import Forecaster, Trial
from placement.core.policy import DEFAULT, Policy
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.table import ABSENT, Row
from tests.builders import (
    AMS,
    API,
    FRA,
    HOUR_NS,
    IAD,
    LHR,
    WEB,
    digest,
    folded,
    message,
    released,
    started,
)
from tests.learning import VERSIONS

COSTS = CopyCosts(missing_bytes=100_000_000, remote_seconds=20.0)
LIVE = [started("live", region, API) for region in (AMS, FRA, IAD, LHR)]


def taught() -> State:
    """Return a state with versions that started in ams, and an hour later in fra."""
    state = folded(*LIVE)
    for number in range(VERSIONS):
        name = f"n{number}"
        for item in (released(name, AMS), started(name, AMS), started(name, FRA)):
            stored_ns = state.store_time_ns + HOUR_NS
            fold(state, message(state.sequence + 1, item, store_time_ns=stored_ns))
    released_ns = state.store_time_ns + HOUR_NS
    last = message(state.sequence + 1, released("new", AMS), store_time_ns=released_ns)
    fold(state, last)
    return state


def version(state: State, name: str = "new") -> Row:
    """Return the row of a version."""
    return state.find_placement(WEB, digest(name))


def test_what_is_no_version_has_no_trials() -> None:
    """A layer, or what nobody has tagged or started."""
    state = taught()

    found = open_trials(state, state.digest_row(digest("unknown")))

    assert found == []


def test_trials_of_the_newest_instant_count() -> None:
    """A first start says more than the push before it, where it opened a trial."""
    state = taught()
    at_push = open_trials(state, version(state))
    stored_ns = state.store_time_ns + HOUR_NS
    start = started("new", AMS)
    fold(state, message(state.sequence + 1, start, store_time_ns=stored_ns))

    found = open_trials(state, version(state))

    ams = state.regions.find(AMS.encode())
    assert [trial.trigger for trial in at_push] == [0] * 4
    assert {trial.trigger for trial in found} == {2 + ams}
    assert [trial.region for trial in found] == [t.region for t in at_push][1:]


def test_one_wager_a_region_in_order_of_regions() -> None:
    """Whatever order the trials come in, the wagers are the same."""
    state, random = taught(), Random(7)
    trials = open_trials(state, version(state))
    forecaster = Forecaster(state, DEFAULT)
    straight = wagers(forecaster, trials, lambda _: COSTS)

    for _ in range(20):
        random.shuffle(trials)

        assert wagers(forecaster, trials, lambda _: COSTS) == straight
    regions = [wager.trial.region for wager in straight]
    assert regions == sorted(set(regions))


def test_region_that_needs_no_copy_has_no_wager() -> None:
    """Nothing is missing, or nothing can be copied there."""
    state = taught()
    trials = open_trials(state, version(state))
    fra = state.regions.find(FRA.encode())

    found = wagers(
        Forecaster(state, DEFAULT),
        trials,
        lambda region: None if region == fra else COSTS,
    )

    assert fra not in {wager.trial.region for wager in found}
    assert len(found) == len(trials) - 1


def test_more_bytes_that_may_be_wasted_never_make_a_wager_pay_less() -> None:
    """A policy that values waiting more copies at least as much."""
    state = taught()
    trials = open_trials(state, version(state))
    paying: list[set[int]] = []

    for kappa in (0.0, 1e6, 1e7, 1e8, 1e12):
        forecaster = Forecaster(state, Policy(kappa_bytes_per_second=kappa))
        found = wagers(forecaster, trials, lambda _: COSTS)
        worth = {w.trial.region for w in found if w.bet.worth_bytes >= 0}
        paying.append(set(worth))

    assert paying[0] == set()
    assert all(less <= more for less, more in pairwise(paying))
    assert paying[-1] == {trial.region for trial in trials}


def test_later_start_that_always_follows_is_waited_for() -> None:
    """Frankfurt starts an hour after ams each time: a copy made then is soon enough."""
    state = folded(*LIVE)
    for number in range(60):
        name = f"n{number}"
        used = number % 2 == 0
        told = [released(name, AMS)]
        if used:
            told += [started(name, AMS), started(name, FRA)]
        for item in told:
            stored_ns = state.store_time_ns + HOUR_NS
            fold(state, message(state.sequence + 1, item, store_time_ns=stored_ns))
    stored_ns = state.store_time_ns + HOUR_NS
    last = released("new", AMS)
    fold(state, message(state.sequence + 1, last, store_time_ns=stored_ns))

    trials = open_trials(state, version(state))
    found = wagers(Forecaster(state, DEFAULT), trials, lambda _: COSTS)

    ams, fra = (state.regions.find(region.encode()) for region in (AMS, FRA))
    waits = {wager.trial.region: wager.waits_for for wager in found}
    assert waits[fra] == ams
    assert waits[ams] is None


def test_trials_that_are_worth_the_same_are_told_apart_by_their_order() -> None:
    """Of two signs of one instant that say the same, the first by row is named."""
    asked = [
        Trial(ABSENT, Row(0), trigger, Row(0), StartClass.MEMBER) for trigger in (2, 3)
    ]
    forecaster = Forecaster(State(), DEFAULT)

    found = [
        wagers(forecaster, trials, lambda _: COSTS) for trials in (asked, asked[::-1])
    ]

    assert found[0] == found[1]
    assert [wager.trial for wager in found[1]] == asked[:1]
