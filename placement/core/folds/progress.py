"""How far a decision has come: begun, done, failed, called off; never backward."""

from typing import Final

from placement.core.event import (
    ContentEvicted,
    EvictionCancelled,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationStarted,
)
from placement.core.folds.presence import At
from placement.core.folds.transfers import keep, noted
from placement.core.state import State
from placement.core.tables.cells import EVICTION, Decided, Decision, DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row

OPEN: Final = frozenset({DecisionStatus.PLANNED, DecisionStatus.STARTED})
"""Of a decision that somebody is to carry out."""
_NEVER_OPEN: Final = frozenset({DecisionStatus.WITHHELD, DecisionStatus.DEFERRED})
_FAILURES: Final = frozenset({DecisionStatus.FAILED, DecisionStatus.EXPIRED})


def replication_started(state: State, at: At, fact: ReplicationStarted) -> None:
    """Move a decision to started; a new attempt opens a failed one again.

    Not where the same copy was decided anew since: one is on its way at a time.
    """
    row = advance(state, at, fact.subject.replication_id, DecisionStatus.STARTED)
    if row == ABSENT:
        return
    again = state.decisions.raise_to(row, Decision.ATTEMPT, fact.attempt)
    failed = state.decisions.get(row, Decision.STATUS) == DecisionStatus.FAILED
    if again and failed and _decided_row(state, row) != ABSENT:
        state.decisions.set(row, Decision.STATUS, DecisionStatus.STARTED)
        state.indexes.decisions.open(row, removal=False)
    if fact.source_region is not None:
        source = state.region_row(fact.source_region)
        state.decisions.set(row, Decision.SOURCE, source + 1)
    _keep_flow(state, row)


def replication_completed(state: State, at: At, fact: ReplicationCompleted) -> None:
    """Close a decision; what the copy took is a transfer like any other."""
    row = advance(state, at, fact.subject.replication_id, DecisionStatus.COMPLETED)
    if row == ABSENT:
        return
    duration_ns = fact.transfer_duration_ns or 0
    if not state.decisions.get(row, Decision.COMPLETE):
        state.decisions.set(row, Decision.COMPLETE, at.time_ns)
        state.decisions.set(row, Decision.MOVED, fact.transferred_bytes)
        state.decisions.set(row, Decision.TOOK, duration_ns)
    decided = _decided_row(state, row)
    if decided != ABSENT:
        state.decided.set(decided, Decided.FAILURES, 0)
    source = state.decisions.get(row, Decision.SOURCE)
    if source and duration_ns:
        moved = fact.transferred_bytes
        keep(state, noted(Row(source - 1), at.region, moved, duration_ns, at))


def replication_ended(
    state: State,
    at: At,
    fact: ReplicationFailed | ReplicationCancelled | ReplicationExpired,
) -> None:
    """Close a decision that failed, was called off or expired."""
    match fact:
        case ReplicationFailed(retryable=True):
            status = DecisionStatus.STARTED
        case ReplicationFailed():
            status = DecisionStatus.FAILED
        case ReplicationCancelled():
            status = DecisionStatus.CANCELLED
        case ReplicationExpired():
            status = DecisionStatus.EXPIRED
    decision_id = fact.subject.replication_id
    before = state.decisions.find(decision_id.encode())
    was_open = before != ABSENT and (
        state.decisions.get(before, Decision.STATUS) in OPEN
    )
    row = advance(state, at, decision_id, status)
    # What is told again, or after another end, is no further failure.
    if row == ABSENT or not was_open or status not in _FAILURES:
        return
    if isinstance(fact, ReplicationFailed):
        state.decisions.set(row, Decision.CAUSE, fact.cause)
    decided = _decided_row(state, row)
    if decided != ABSENT:
        state.decided.increase(decided, Decided.FAILURES)


def content_evicted(state: State, at: At, fact: ContentEvicted) -> None:
    """Close the decision that a removal carried out."""
    if fact.eviction_id is not None:
        done = DecisionStatus.COMPLETED
        advance(state, at, fact.eviction_id, done, removal=True)


def eviction_cancelled(state: State, at: At, fact: EvictionCancelled) -> None:
    """Close a decision to remove; the content stays."""
    state.region_row(fact.target_region)
    advance(state, at, fact.eviction_id, DecisionStatus.CANCELLED, removal=True)


# What the facts above are made of.


def advance(
    state: State,
    at: At,
    decision_id: str,
    status: DecisionStatus,
    *,
    removal: bool = False,
) -> Row:
    """Move a decision on; returns its row, or ABSENT when there is none of the kind.

    What happens to it happens in its target region: another one's word is no news of
    it. What was withheld, or waits for a budget, is not to be carried out by anybody.
    """
    row = state.decisions.find(decision_id.encode())
    if row == ABSENT or is_removal(state, row) != removal:
        return ABSENT
    if state.decisions.get(row, Decision.TARGET) != at.region:
        return ABSENT
    if state.decisions.get(row, Decision.STATUS) in _NEVER_OPEN:
        return ABSENT
    state.decisions.raise_to(row, Decision.STATUS, status)
    state.decisions.raise_to(row, Decision.CHANGE, at.time_ns)
    index = state.indexes.decisions
    if state.decisions.get(row, Decision.STATUS) not in OPEN:
        index.close(row)
    _keep_flow(state, row)
    index.changes.note_placement(row)
    return row


def is_removal(state: State, decision: Row) -> bool:
    """Say whether a decision is to remove content."""
    return state.decisions.get(decision, Decision.KIND) == EVICTION


def last_decided(state: State, decided: Row) -> Row:
    """Return the last decision about a row of ``decided``, or ABSENT: forgotten."""
    row = Row(state.decided.get(decided, Decided.DECISION) - 1)
    if row == ABSENT:
        return ABSENT
    # A decision that was forgotten has left its row to another one.
    _, about, _, where, *_ = state.decisions.values(row)
    same = PAIR.unpack(state.decided.key(decided)) == (
        state.content_of(Row(about)),
        where,
    )
    return row if same and not is_removal(state, row) else ABSENT


def _decided_row(state: State, decision: Row) -> Row:
    """Return the row of ``decided`` whose last decision this is, or ABSENT."""
    placement = Row(state.decisions.get(decision, Decision.PLACEMENT))
    target = state.decisions.get(decision, Decision.TARGET)
    decided = state.decided.find(PAIR.pack(state.content_of(placement), target))
    if decided == ABSENT or last_decided(state, decided) != decision:
        return ABSENT
    return decided


def _keep_flow(state: State, row: Row) -> None:
    """Index a copy that is on its way by the region that it leaves."""
    source = state.decisions.get(row, Decision.SOURCE)
    status = state.decisions.get(row, Decision.STATUS)
    if source and status == DecisionStatus.STARTED:
        state.indexes.decisions.add_flow(Row(source - 1), row)
