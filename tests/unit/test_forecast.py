"""The chance of a start: from what is presumed to what the app itself has taught."""

import pytest

from placement.core.fold import fold
from placement.core.forecast import Forecaster, Trial, after_start_in, presumed
from placement.core.oci import Repository
from placement.core.policy import DEFAULT, LIMITS, parse_policy
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import ABSENT, Row
from tests.builders import (
    AMS,
    API,
    FRA,
    HOUR_NS,
    WEB,
    folded,
    message,
    released,
    started,
)


def taught(rounds: int, repository: Repository = WEB) -> State:
    """Return a state in which each version starts in fra an hour after its push."""
    state = folded(started("live", FRA, API), started("live", AMS, API))
    for number in range(rounds):
        name = f"n{number}"
        for item in (released(name, AMS, repository), started(name, FRA, repository)):
            stored_ns = state.store_time_ns + HOUR_NS
            fold(state, message(state.sequence + 1, item, store_time_ns=stored_ns))
    return state


def asked(
    state: State, repository: Repository = WEB, known: StartClass = StartClass.MEMBER
) -> Trial:
    """Return the question whether a version just pushed will start in fra."""
    app = state.app_of(state.find_repository(repository))
    fra = state.regions.find(FRA.encode())
    shape = state.shapes.find(b"v9")
    return Trial(app, fra, Trigger.PUSH, shape, known)


@pytest.mark.parametrize("known", list(StartClass))
def test_nothing_observed_is_what_the_policy_presumes(known: StartClass) -> None:
    """An empty state answers for each class by the policy's own number."""
    keys = [key for key in LIMITS if key.startswith("presumed")]
    policy = parse_policy("\n".join(f"{key} = 0.4" for key in keys))
    forecaster = Forecaster(State(), policy)
    trial = Trial(ABSENT, Row(0), Trigger.PUSH, Row(0), known)

    chance = forecaster.chance(trial)

    assert chance == (0.0 if known is StartClass.NONE else pytest.approx(0.4))
    assert presumed(DEFAULT, StartClass.MEMBER) == DEFAULT.presumed_member


def test_each_hit_makes_the_next_one_likelier() -> None:
    """What always started there is soon expected to; the app's own word weighs most."""
    chances = []

    for rounds in (1, 2, 5, 20, 60):
        state = taught(rounds)
        chances.append(Forecaster(state, DEFAULT).chance(asked(state)))

    assert chances == sorted(chances)
    assert chances[0] == pytest.approx(0.5)
    assert chances[-1] > 0.97


def test_levels_go_from_the_general_to_the_particular() -> None:
    """The evidence of a decision names each step; the last one is the answer."""
    state = taught(5)
    forecaster = Forecaster(state, DEFAULT)

    levels = forecaster.levels(asked(state))

    names = [level.name for level in levels]
    assert names == ["presumed", "pool", "organization", "app"]
    assert levels[-1].probability == forecaster.chance(asked(state))
    assert [level.outcomes.total > 0 for level in levels[1:]] == [True] * 3


def test_first_start_elsewhere_asks_one_level_more() -> None:
    """After any first start, and after a start in that very region."""
    state = taught(5)
    ams = state.regions.find(AMS.encode())

    levels = Forecaster(state, DEFAULT).levels(after_start_in(asked(state), ams))

    assert [level.name for level in levels][3:] == ["app", "app_trigger"]


def test_new_app_is_judged_by_its_organization() -> None:
    """Where every app of an organization starts, its next app is expected to."""
    state = taught(20)
    fold(state, message(900, released("x", AMS, Repository("acme/new"))))
    fold(state, message(901, released("x", AMS, Repository("other/new"))))

    alike, stranger = (
        Forecaster(state, DEFAULT).chance(asked(state, Repository(name)))
        for name in ("acme/new", "other/new")
    )

    assert alike > stranger > DEFAULT.presumed_member


def test_chance_follows_what_is_folded_after_it_was_asked() -> None:
    """What is remembered of one position is forgotten at the next."""
    state = taught(5)
    forecaster = Forecaster(state, DEFAULT)
    before = forecaster.chance(asked(state))
    timely = forecaster.timely(asked(state), 60.0)

    for item in (released("y", AMS), started("y", FRA)):
        stored_ns = state.store_time_ns + HOUR_NS
        fold(state, message(state.sequence + 1, item, store_time_ns=stored_ns))

    assert forecaster.chance(asked(state)) > before
    assert forecaster.timely(asked(state), 60.0) > timely


def test_copy_is_timely_by_the_lags_of_the_past() -> None:
    """Starts an hour after the push leave time for a minute, not for a day."""
    state = taught(20)
    forecaster = Forecaster(state, DEFAULT)

    minute, day = (forecaster.timely(asked(state), s) for s in (60.0, 86_400.0))

    assert minute > 0.9
    assert day < 0.1


def test_class_after_a_first_start_elsewhere() -> None:
    """What has started somewhere has never started nowhere."""
    trial = Trial(Row(0), Row(1), Trigger.PUSH, Row(0), StartClass.FIRST)

    then = after_start_in(trial, Row(2))

    assert (then.known, then.trigger) == (StartClass.YOUNG, Trigger.BY_REGION + 2)
    member = trial._replace(known=StartClass.MEMBER)
    assert after_start_in(member, Row(2)).known is StartClass.MEMBER
