"""The notes of what changed: positions, merging, forgetting, and the fold's part."""

import pytest

from placement.core.event import ContentEvicted, Event, TagMoved
from placement.core.fold import fold
from placement.core.state import State
from placement.core.tables.changes import Changes
from placement.core.tables.table import Row
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LATEST,
    WEB,
    A,
    B,
    announced,
    descriptor,
    event,
    fold_in,
    folded,
    message,
    pulled,
    pushed,
    replicated,
)


def read(changes: Changes, position: int) -> list[tuple[Row, bool]]:
    """Return what is noted from *position* on, without what comes again later."""
    found = []
    while position < changes.end:
        position, noted = changes.read(position)
        if noted is not None:
            found.append(noted)
    return found


def noted(*placements: int, capacity: int = 4) -> Changes:
    """Return notes about rows of *placements*, one a message from sequence 1."""
    changes = Changes(capacity)
    for sequence, row in enumerate(placements, 1):
        changes.begin(sequence - 1, sequence)
        changes.note_placement(Row(row))
    return changes


def test_each_row_is_read_once_where_it_changed_last() -> None:
    """What changed several times since is told once, as it is now."""
    changes = noted(7, 8, 7)

    found = read(changes, 0)

    assert found == [(8, False), (7, False)]


def test_tags_and_placements_of_one_row_number_are_two_things() -> None:
    """Rows of different tables may have the same number."""
    changes = noted(7)
    changes.note_tag(Row(7))

    found = read(changes, 0)

    assert found == [(7, False), (7, True)]


def test_position_after_a_sequence_is_where_later_notes_begin() -> None:
    """Also for sequences without a note, and for the last one."""
    changes = noted(7, 8, 9)
    changes.begin(3, 10)
    changes.note_placement(Row(5))

    found = [changes.position_after(sequence, 10) for sequence in (0, 2, 3, 9, 10)]

    assert found == [0, 2, 3, 3, 4]


def test_forgotten_notes_are_said_to_be_forgotten() -> None:
    """Five notes in a room for four: the first message is below the horizon."""
    changes = noted(1, 2, 3, 4, 5)

    assert changes.position_after(0, 5) is None
    assert changes.position_after(1, 5) == 1
    assert changes.lost(0)
    assert not changes.lost(1)
    assert read(changes, 1) == [(row, False) for row in (2, 3, 4, 5)]


def test_one_busy_row_makes_nobody_lose_anything() -> None:
    """What was noted again later may be forgotten: nothing is missed by that."""
    changes = noted(1, 1, 1, 1, 1, 1, 2)

    assert changes.position_after(0, 7) is not None
    assert not changes.lost(0)
    assert read(changes, 0) == [(1, False), (2, False)]


def test_what_was_folded_before_the_notes_began_is_forgotten() -> None:
    """As after a restart: the notes are in no checkpoint."""
    changes = Changes()

    assert changes.position_after(41, 42) is None
    assert changes.position_after(42, 42) == 0
    changes.begin(42, 43)
    assert changes.position_after(41, 43) is None
    assert changes.position_after(42, 43) == 0


def changed_by(state: State, *events: Event) -> list[str]:
    """Return what folding *events* as one message notes."""
    changes = state.indexes.changes
    before = changes.end
    fold(state, message(state.sequence + 1, *events))
    return [
        state.tags.key(row)[4:].decode()
        if is_tag
        else state.placement_at(row)[1][len("sha256:")]
        for row, is_tag in read(changes, before)
    ]


def test_fold_notes_what_arrives_and_leaves_and_where_tags_go() -> None:
    """The changes that a watcher is told."""
    state = folded(pushed("a", IAD, tag=LATEST), pushed("b", IAD))

    assert changed_by(state, replicated("a", FRA)) == ["a"]
    assert changed_by(state, announced("b", FRA, held_bytes=5)) == ["b"]
    assert changed_by(state, announced("b", FRA, held_bytes=9)) == ["b"]
    assert changed_by(state, event(IAD, TagMoved(WEB, LATEST, B))) == ["latest"]
    assert changed_by(state, event(FRA, ContentEvicted(WEB, (A,)))) == ["a"]
    assert changed_by(state, event(IAD, TagMoved(WEB, LATEST, None))) == ["latest"]


def test_whole_repository_that_leaves_is_noted_with_its_tags() -> None:
    """One fact, several changes."""
    state = folded(pushed("a", IAD, tag=LATEST), replicated("b", IAD), pushed("b", FRA))

    found = changed_by(state, event(IAD, ContentEvicted(WEB, whole_repository=True)))

    assert sorted(found) == ["a", "b", "latest"]


@pytest.mark.parametrize(
    "again",
    [
        pushed("a", IAD, tag=LATEST),
        pulled("a", FRA),
        replicated("a", IAD),
        event(FRA, ContentEvicted(WEB, (A,))),
        event(IAD, TagMoved(WEB, LATEST, A)),
    ],
    ids=["push", "pull", "copy", "absence", "tag"],
)
def test_what_is_known_already_is_no_change(again: Event) -> None:
    """A daily inventory must not make every watcher read everything again."""
    state = folded(pushed("a", IAD, tag=LATEST))

    assert changed_by(state, again) == []


def test_size_that_becomes_known_changes_every_placement_of_the_content() -> None:
    """A layer's size may come with the manifest only."""
    state = folded(pushed("a", IAD, size_bytes=0))
    manifest = pushed("b", AMS, references=[descriptor("a", 7)])

    found = changed_by(fold_in(state), manifest)

    assert sorted(found) == ["a", "b"]
