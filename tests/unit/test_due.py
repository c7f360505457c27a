"""Starts that are as good as certain: asked for, or happening already."""

from placement.core.due import REQUEST_NS, RUNNING_NS, due_trials
from placement.core.event import Event, StartsRequested
from placement.core.oci import Digest, Tag
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.topology import Region
from tests.builders import (
    AMS,
    FRA,
    INDEX,
    MANIFEST,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    A,
    B,
    C,
    descriptor,
    event,
    fold_in,
    folded,
    pulled,
    pushed,
    started,
    stopped,
)

V1 = Tag("v1")
PUSH = pushed("a", AMS, media_type=MANIFEST, tag=V1)
PLATFORM = descriptor("a", media_type=MANIFEST)


def asked(*regions: Region, reference: Digest | Tag = V1) -> Event:
    """Return somebody's request for starts."""
    return event(AMS, StartsRequested(WEB, reference, regions))


def due(
    state: State, now_ns: int = START_NS + 60 * SECOND_NS, digest: Digest = A
) -> dict[str, StartClass]:
    """Return what is due of the image, by region."""
    trials = due_trials(state, state.find_placement(WEB, digest), now_ns)
    assert [trial.region for trial in trials] == sorted(t.region for t in trials)
    return {state.region_at(trial.region): trial.known for trial in trials}


def test_requested_starts_are_due_until_they_come() -> None:
    """Then the image runs there, which is a reason of its own."""
    told = [PUSH, asked(SYD, FRA)]

    before = due(folded(*told))
    after = due(folded(*told, started("a", SYD)))

    assert before == {SYD: StartClass.REQUESTED, FRA: StartClass.REQUESTED}
    assert after == {SYD: StartClass.RUNNING, FRA: StartClass.REQUESTED}


V2_PUSH = pushed("b", AMS, media_type=MANIFEST, tag=Tag("v2"))


def due_of(state: State, digest: Digest) -> dict[str, StartClass]:
    """Return what is due of an image a minute after the log began, by region."""
    return due(state, START_NS + 60 * SECOND_NS, digest)


def test_rollback_makes_the_older_image_due() -> None:
    """Its digest is asked for, or its tag, while another version is the newest."""
    state = folded(PUSH, V2_PUSH, asked(SYD, reference=A), asked(FRA, reference=V1))

    requested = StartClass.REQUESTED
    assert due_of(state, A) == {SYD: requested, FRA: requested}
    assert due_of(state, B) == {}


def test_tag_that_is_to_come_is_asked_for_before_its_image_is_pushed() -> None:
    """The next version is due where starts were asked for, and no older one."""
    state = folded(PUSH, asked(SYD, reference=Tag("v2")))
    assert due_of(state, A) == {}

    fold_in(state, V2_PUSH)

    assert due_of(state, A) == {}
    assert due_of(state, B) == {SYD: StartClass.REQUESTED}


def test_request_is_met_by_a_platform_of_the_image() -> None:
    """Machines name the manifest that they run, and requests the index."""
    index = pushed("c", AMS, media_type=INDEX, references=[PLATFORM], tag=Tag("v3"))
    told = [PUSH, index, asked(SYD, reference=C)]

    assert due_of(folded(*told), C) == {SYD: StartClass.REQUESTED}
    assert due_of(folded(*told, started("a", SYD)), C) == {}


def test_request_is_made_again_after_its_starts_came() -> None:
    """A second request for the same image is due until it is met too."""
    state = folded(PUSH, asked(SYD), started("a", SYD), asked(SYD), stopped("m1", SYD))

    assert due_of(state, A) == {SYD: StartClass.REQUESTED}


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
