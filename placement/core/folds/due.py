"""What a fact makes due: which content a planner has to decide about next.

Derived notes for the agenda; nothing here changes what the log means.
"""

from typing import Final

from placement.core.event import ContentPushed, ReplicationTrigger
from placement.core.folds.presence import At
from placement.core.oci import ContentKind
from placement.core.state import State
from placement.core.tables.keys import PAIR
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import ABSENT, Row

MILLISECOND_NS: Final = 1_000_000
AHEAD_MS: Final = 2 * 3_600_000
_GRAPH = frozenset({ContentKind.MANIFEST, ContentKind.INDEX})


def content_pushed(state: State, at: At, fact: ContentPushed) -> None:
    """Let a layer wait for its manifest; a manifest ends the waiting of its layers."""
    placement = state.placement_row(fact.repository, fact.content.digest)
    owner = state.repository_row(fact.repository)
    digest = state.content_of(placement)
    agenda = state.indexes.agenda
    if state.kind(digest) not in _GRAPH:
        if not at.late:
            agenda.note_upload(owner, placement)
            why = ReplicationTrigger.FIRST_LAYER
            agenda.note(placement, why, at.sequence, at.time_ns)
        return
    for child, _ in state.children(digest):
        part = state.placements.find(PAIR.pack(owner, child))
        if part != ABSENT:
            agenda.named(owner, part)


def trials_opened(state: State, at: At, placement: Row, trigger: int) -> None:
    """Let a version be decided about: it was pushed, or started somewhere."""
    pushed = trigger == Trigger.PUSH
    why = ReplicationTrigger.PUSH if pushed else ReplicationTrigger.START
    state.indexes.agenda.note(placement, why, at.sequence, at.time_ns)


def starts_requested(state: State, at: At, owner: Row, placement: Row) -> None:
    """Let what is asked for be decided about; *placement* ABSENT: it is to come."""
    agenda, why = state.indexes.agenda, ReplicationTrigger.STARTS_REQUESTED
    asked = agenda.uploads_of(owner) if placement == ABSENT else [placement]
    for each in asked:
        agenda.note(each, why, at.sequence, at.time_ns)


def tick_passed(state: State, at: At, tick_number: int) -> None:
    """Remember the last tick, which makes due all that is looked at regularly.

    One that is ahead of the log is of a wrong clock: it must not end all others.
    """
    if tick_number > at.order_ns // MILLISECOND_NS + AHEAD_MS:
        return
    newest = state.counters.find_or_add(b"tick_number")
    if state.counters.raise_to(newest, 0, tick_number):
        row = state.counters.find_or_add(b"tick_sequence")
        state.counters.set(row, 0, at.sequence)
