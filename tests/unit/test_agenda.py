"""What becomes due while the log is folded: why, and since which message."""

import pytest

from placement.core.event import (
    Event,
    Identifier,
    ReplicationRequested,
    ReplicationTrigger,
    StartsRequested,
    TickPassed,
)
from placement.core.fold import fold
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables import agenda as agenda_module
from placement.core.tables.agenda import Agenda, Due
from placement.core.tables.table import Row
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    LATEST,
    START_NS,
    SYD,
    WEB,
    A,
    B,
    C,
    descriptor,
    digest,
    event,
    fold_in,
    folded,
    message,
    pushed,
    released,
    started,
)

V1 = Tag("v1")


def due(state: State) -> list[tuple[Digest, str, int]]:
    """Return what became due, and forget it."""
    return [
        (state.placement_at(each.placement)[1], each.trigger.name, each.sequence)
        for each in state.indexes.agenda.take()
    ]


def asked(reference: Digest | Tag, repository: Repository = WEB) -> Event:
    """Return somebody's request for starts in Sydney."""
    return event(AMS, StartsRequested(repository, reference, (SYD,)))


def uploads(state: State, repository: Repository = WEB) -> list[Digest]:
    """Return what was pushed and is named by no manifest yet."""
    rows = state.indexes.agenda.uploads_of(state.find_repository(repository))
    return [state.placement_at(row)[1] for row in rows]


def test_push_of_a_version_makes_it_due() -> None:
    """Even where no region is live yet."""
    assert due(folded(released("a", AMS))) == [(A, "PUSH", 1)]


def test_first_start_in_a_region_makes_the_version_due() -> None:
    """A further one there does not; one elsewhere does."""
    state = folded(released("a", AMS), started("a", FRA))
    assert due(state) == [(A, "PUSH", 1), (A, "START", 2)]

    fold_in(state, started("a", FRA, machine="m2"))
    assert due(state) == []

    fold_in(state, started("a", SYD, machine="m3"))
    assert due(state) == [(A, "START", 4)]


def test_each_reason_is_noted_once_and_the_newest_comes_last() -> None:
    """What is asked for again is due since then, in the order of the log."""
    state = folded(released("a", AMS), asked(A), released("b", AMS, tag="v2"), asked(A))
    assert len(state.indexes.agenda) == 3

    noted = due(state)

    assert noted == [(A, "PUSH", 1), (B, "PUSH", 3), (A, "STARTS_REQUESTED", 4)]
    assert len(state.indexes.agenda) == 0


def test_what_was_put_off_is_noted_again_unless_something_newer_is() -> None:
    """Whoever could not decide asks once more, and never with older news."""
    agenda, why = Agenda(), ReplicationTrigger.PUSH
    agenda.note(Row(1), why, 9)

    agenda.note_again(Due(Row(1), why, 5))
    agenda.note_again(Due(Row(2), why, 5))

    assert agenda.take() == [Due(Row(1), why, 9), Due(Row(2), why, 5)]


def test_layer_before_its_manifest_is_due_and_waits() -> None:
    """Until a manifest of the same repository names it."""
    state = folded(pushed("c", AMS), pushed("c", AMS, API))
    assert due(state) == [(C, "FIRST_LAYER", 1), (C, "FIRST_LAYER", 2)]
    assert uploads(state) == uploads(state, API) == [C]

    fold_in(state, pushed("a", AMS, references=[descriptor("c")], tag=V1))

    assert uploads(state) == []
    assert uploads(state, API) == [C]


def test_old_news_of_a_layer_makes_nothing_due() -> None:
    """Whoever waits for it has waited for a day."""
    state = State()
    late = pushed("c", AMS, at_ns=START_NS - DAY_NS)

    fold(state, message(1, late))

    assert due(state) == []
    assert uploads(state) == []


def test_request_for_starts_makes_the_image_that_it_names_due() -> None:
    """By its tag as it stands, or by its digest."""
    state = folded(released("a", AMS), released("b", AMS))
    due(state)

    fold_in(state, asked(V1), asked(A))

    assert due(state) == [
        (B, "STARTS_REQUESTED", 3),
        (A, "STARTS_REQUESTED", 4),
    ]


def test_request_for_a_tag_that_is_to_come_makes_its_layers_due() -> None:
    """They are what there is of it so far; layers of other repositories are not."""
    state = folded(pushed("c", AMS), pushed("d", AMS), pushed("e", AMS, API))
    due(state)

    fold_in(state, asked(V1))

    assert due(state) == [
        (digest("c"), "STARTS_REQUESTED", 4),
        (digest("d"), "STARTS_REQUESTED", 4),
    ]


def test_request_for_a_copy_makes_its_image_due_once() -> None:
    """The same request again is no other one."""
    wanted = event(AMS, ReplicationRequested(Identifier("r-1"), WEB, V1, SYD))
    state = folded(released("a", AMS))
    due(state)

    fold_in(state, wanted)
    assert due(state) == [(A, "REQUEST", 2)]

    fold_in(state, wanted)
    assert due(state) == []


def test_request_for_a_copy_of_what_nobody_knows_makes_nothing_due() -> None:
    """There is no such tag."""
    wanted = ReplicationRequested(Identifier("r-1"), WEB, LATEST, SYD)

    assert due(folded(event(AMS, wanted))) == []


def test_last_tick_is_remembered_with_its_sequence() -> None:
    """What is looked at regularly is decided since then, by all replicas alike."""
    state = folded(*(event(AMS, TickPassed(number)) for number in (7, 9, 8)))

    assert state.count("tick_number") == 9
    assert state.count("tick_sequence") == 2


def test_oldest_notes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The regular look at everything finds what they were about."""
    monkeypatch.setattr(agenda_module, "DUE_MAX", 2)
    agenda, why = Agenda(), ReplicationTrigger.PUSH

    for row in range(3):
        agenda.note(Row(row), why, row + 10)

    assert agenda.take() == [Due(Row(1), why, 11), Due(Row(2), why, 12)]


def test_uploads_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the repository that has waited longest are left out."""
    monkeypatch.setattr(agenda_module, "UPLOADS_MAX", 2)
    agenda = Agenda()

    for row in range(3):
        agenda.note_upload(Row(row // 2), Row(row))

    assert agenda.uploads_of(Row(0)) == []
    assert agenda.uploads_of(Row(1)) == [2]


def test_tick_of_a_clock_that_is_ahead_ends_no_others() -> None:
    """It would stop all looks at everything until real time has caught up."""
    now_ms = START_NS // 1_000_000
    ahead = event(SYD, TickPassed(now_ms + 10 * 365 * 86_400_000))
    right = event(SYD, TickPassed(now_ms))

    state = folded(ahead, right)

    assert state.count("tick_number") == now_ms
    assert state.count("tick_sequence") == 2
