"""Starts that are as good as certain: asked for, or happening already."""

from placement.core.due import REQUEST_NS, RUNNING_NS, due_trials
from placement.core.event import Event, StartsRequested
from placement.core.oci import Tag
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.topology import Region
from tests.builders import (
    AMS,
    FRA,
    MANIFEST,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    A,
    event,
    folded,
    pulled,
    pushed,
    started,
    stopped,
)

V1 = Tag("v1")
PUSH = pushed("a", AMS, media_type=MANIFEST, tag=V1)


def asked(*regions: Region) -> Event:
    """Return somebody's request for starts."""
    return event(AMS, StartsRequested(WEB, V1, regions))


def due(state: State, now_ns: int = START_NS + 60 * SECOND_NS) -> dict[str, StartClass]:
    """Return what is due of the image, by region."""
    trials = due_trials(state, state.find_placement(WEB, A), now_ns)
    assert [trial.region for trial in trials] == sorted(t.region for t in trials)
    return {state.region_at(trial.region): trial.known for trial in trials}


def test_requested_starts_are_due_until_they_come() -> None:
    """Then the image runs there, which is a reason of its own."""
    told = [PUSH, asked(SYD, FRA)]

    before = due(folded(*told))
    after = due(folded(*told, started("a", SYD)))

    assert before == {SYD: StartClass.REQUESTED, FRA: StartClass.REQUESTED}
    assert after == {SYD: StartClass.RUNNING, FRA: StartClass.REQUESTED}


def test_request_is_forgotten_after_a_day() -> None:
    """Nothing came of it."""
    state = folded(PUSH, asked(SYD))
    asked_ns = START_NS + 2 * SECOND_NS

    assert due(state, asked_ns + REQUEST_NS - 1) == {SYD: StartClass.REQUESTED}
    assert due(state, asked_ns + REQUEST_NS) == {}


def test_image_that_was_used_within_a_week_is_used_again() -> None:
    """Cron jobs and apps that scale to nothing start again and again."""
    state = folded(PUSH, started("a", SYD), stopped("m1", SYD))
    used_ns = START_NS + 2 * SECOND_NS

    assert due(state, used_ns + RUNNING_NS - 1) == {SYD: StartClass.RUNNING}
    assert due(state, used_ns + RUNNING_NS) == {}


def test_image_that_still_runs_is_due_however_old() -> None:
    """Its machine may have to be started anew at any time."""
    state = folded(PUSH, started("a", SYD))

    assert due(state, START_NS + 9 * RUNNING_NS) == {SYD: StartClass.RUNNING}


def test_pull_of_the_image_stands_in_for_a_start() -> None:
    """Where no scheduler says anything."""
    assert due(folded(PUSH, pulled("a", SYD))) == {SYD: StartClass.RUNNING}


def test_nothing_is_due_of_an_image_that_nobody_wants() -> None:
    """It was pushed, and that is all."""
    assert due(folded(PUSH)) == {}
