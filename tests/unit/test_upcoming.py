"""A version on its way: what is asked before its manifest is there."""

from placement.core.forecast import Forecaster
from placement.core.oci import Repository, Tag
from placement.core.policy import DEFAULT
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.topology import Region
from placement.core.upcoming import upcoming_trials
from tests.builders import (
    AMS,
    API,
    FRA,
    MANIFEST,
    SYD,
    WEB,
    folded,
    pushed,
    started,
)


def asked(state: State, repository: Repository) -> dict[Region, StartClass]:
    """Return the class of each start region that is asked about."""
    found = upcoming_trials(state, repository, state.store_time_ns)
    return {state.region_at(trial.region): trial.known for trial in found}


def chances(state: State, repository: Repository) -> dict[Region, float]:
    """Return the chance of each start region that is asked about."""
    forecaster = Forecaster(state, DEFAULT)
    found = upcoming_trials(state, repository, state.store_time_ns)
    return {state.region_at(one.region): forecaster.chance(one) for one in found}


def test_next_version_is_expected_where_the_last_ones_started() -> None:
    """A layer alone says which app it is, and apps go where they went."""
    told = [pushed("c", AMS, API, media_type=MANIFEST, tag=Tag("v1"))]
    told.append(started("c", FRA, API))
    for number in range(8):
        name = f"version {number}"
        told.append(pushed(name, AMS, media_type=MANIFEST, tag=Tag(f"v{number}")))
        told.append(started(name, SYD, machine=name))
    state = folded(*told, pushed("next layer", AMS))

    assert asked(state, WEB) == {SYD: StartClass.MEMBER, FRA: StartClass.OTHER}
    assert chances(state, WEB)[SYD] > 0.6
    assert chances(state, WEB)[FRA] < 0.1


def test_first_version_of_an_app_is_asked_everywhere() -> None:
    """Nobody knows where it goes, but where anything starts at all."""
    told = [pushed("c", AMS, API, media_type=MANIFEST, tag=Tag("v1"))]
    state = folded(*told, started("c", FRA, API), pushed("first layer", AMS))

    assert asked(state, WEB) == {FRA: StartClass.FIRST}
    assert chances(state, WEB) == {FRA: DEFAULT.presumed_first}


def test_nothing_is_asked_of_a_repository_that_nobody_named() -> None:
    """There is no app to ask about."""
    assert upcoming_trials(folded(), WEB, 0) == []
