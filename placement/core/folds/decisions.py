"""What decisions mean: each is opened once, or refused.

Planners append a decision only if no other one was stored since the state that it rests
on. Where a broker cannot promise that, the rules here are the second line of defence: a
decision is refused if its id is known, if its trigger is no newer than that of the last
one for the same content and region, while that one is open, and during a pause.
"""

from placement.core.event import (
    EvictionPlanned,
    ReplicationPlanned,
    ReplicationWithheld,
    WithholdReason,
)
from placement.core.folds.description import named
from placement.core.folds.orders import is_paused
from placement.core.folds.presence import At
from placement.core.folds.progress import OPEN, last_decided
from placement.core.state import State
from placement.core.tables.cells import EVICTION, Decided, Decision, DecisionStatus
from placement.core.tables.keys import PAIR, REGION_BITS
from placement.core.tables.table import ABSENT, Row

_REGION_COLUMNS = (
    Decision.REGIONS_0,
    Decision.REGIONS_1,
    Decision.REGIONS_2,
    Decision.REGIONS_3,
)


def replication_planned(state: State, at: At, fact: ReplicationPlanned) -> None:
    """Open a decision to copy, unless it is refused."""
    target = state.region_row(fact.subject.target_region)
    source = state.region_row(fact.source_region) + 1
    row = _opened(state, at, fact, target)
    if row == ABSENT:
        return
    values = {
        Decision.STATUS: DecisionStatus.PLANNED,
        Decision.SOURCE: source,
        Decision.EXPIRE: fact.expire_time_ns or 0,
        Decision.PRIORITY: fact.priority,
        Decision.CAUSE: 0,
    }
    _set(state, row, values)
    index = state.indexes.decisions
    index.open(row, removal=False)
    index.add_planned(row, target, at.time_ns)
    index.changes.note_placement(row)


def replication_withheld(state: State, at: At, fact: ReplicationWithheld) -> None:
    """Remember what was withheld, and why; over budget, it may be planned yet."""
    target = state.region_row(fact.subject.target_region)
    source = 0
    if fact.source_region is not None:
        source = state.region_row(fact.source_region) + 1
    row = _opened(state, at, fact, target)
    if row == ABSENT:
        return
    deferred = fact.cause is WithholdReason.OVER_BUDGET
    status = DecisionStatus.DEFERRED if deferred else DecisionStatus.WITHHELD
    values = {
        Decision.STATUS: status,
        Decision.SOURCE: source,
        Decision.CAUSE: fact.cause or WithholdReason.CONTROL_GROUP,
    }
    _set(state, row, values)
    state.indexes.decisions.changes.note_placement(row)


def _opened(
    state: State,
    at: At,
    fact: ReplicationPlanned | ReplicationWithheld,
    target: Row,
) -> Row:
    """Return the row of a decision with what all have in common, or ABSENT: refused."""
    subject = fact.subject
    digest = state.digest_row(subject.digest)
    regions = [state.region_row(region) for region in fact.start_regions]
    decided = state.decided.find_or_add(PAIR.pack(digest, target))
    if _refused(state, at, fact, decided, target):
        state.add_count("decision_refused")
        return ABSENT
    waits = isinstance(fact, ReplicationWithheld) and (
        fact.cause is WithholdReason.OVER_BUDGET
    )
    if not waits:
        state.decided.raise_to(decided, Decided.TRIGGER, fact.trigger_sequence)
    placement = state.placement_row(subject.repository, subject.digest)
    row = state.decisions.find_or_add(subject.replication_id.encode())
    state.decisions.set_all(row, [0] * len(Decision))
    _index(state, row, placement, target)
    state.decided.set(decided, Decided.DECISION, row + 1)
    values = {
        Decision.PLACEMENT: placement,
        Decision.TARGET: target,
        Decision.BYTES: fact.transfer_bytes,
        Decision.TRIGGER: fact.trigger_sequence,
        Decision.TIME: at.time_ns,
        Decision.CHANGE: at.time_ns,
        Decision.SEQUENCE: at.sequence,
        Decision.ORDER: state.latest_order_ns,
        Decision.KIND: fact.trigger,
        Decision.PROBABILITY: millionths(fact.probability),
        Decision.SAVED: fact.saved_duration_ns or 0,
        Decision.EXPECTED: fact.expected_duration_ns or 0,
        Decision.POLICY: named(state.words, fact.policy) if fact.policy else 0,
        Decision.REASON: named(state.words, fact.reason) if fact.reason else 0,
    }
    _set(state, row, values)
    _set_regions(state, row, regions)
    return row


def _refused(
    state: State,
    at: At,
    fact: ReplicationPlanned | ReplicationWithheld,
    decided: Row,
    target: Row,
) -> bool:
    known = state.decisions.find(fact.subject.replication_id.encode())
    deferred = known != ABSENT and (
        state.decisions.get(known, Decision.STATUS) == DecisionStatus.DEFERRED
    )
    plans = isinstance(fact, ReplicationPlanned)
    if known != ABSENT and not (deferred and plans):
        return True
    if fact.trigger_sequence <= state.decided.get(decided, Decided.TRIGGER):
        return True
    last = last_decided(state, decided)
    if last != ABSENT and state.decisions.get(last, Decision.STATUS) in OPEN:
        return True
    return plans and is_paused(state, target, at.order_ns)


def millionths(probability: float) -> int:
    """Return a probability as whole millionths, 0 to 1,000,000."""
    return round(min(1.0, max(0.0, probability)) * 1e6)


def eviction_planned(state: State, at: At, fact: EvictionPlanned) -> None:
    """Open a decision to remove; the content stays until ContentEvicted is folded."""
    placement = state.placement_row(fact.repository, fact.digest)
    target = state.region_row(fact.target_region)
    regions = [state.region_row(region) for region in fact.start_regions]
    key = fact.eviction_id.encode()
    if state.decisions.find(key) != ABSENT:
        state.add_count("decision_refused")
        return
    row, _ = state.decisions.add(key)
    _index(state, row, placement, target)
    values = {
        Decision.STATUS: DecisionStatus.PLANNED,
        Decision.PLACEMENT: placement,
        Decision.TARGET: target,
        Decision.BYTES: -fact.reclaimed_bytes,
        Decision.TRIGGER: fact.trigger_sequence,
        Decision.TIME: at.time_ns,
        Decision.CHANGE: at.time_ns,
        Decision.SEQUENCE: at.sequence,
        Decision.ORDER: state.latest_order_ns,
        Decision.KIND: EVICTION,
        Decision.EXPIRE: fact.expire_time_ns or 0,
        Decision.POLICY: named(state.words, fact.policy) if fact.policy else 0,
        Decision.REASON: named(state.words, _first_word(fact.reason)),
    }
    _set(state, row, values)
    _set_regions(state, row, regions)
    state.indexes.decisions.open(row, removal=True)
    state.indexes.decisions.changes.note_placement(row)


def _index(state: State, row: Row, placement: Row, target: Row) -> None:
    owner, _ = PAIR.unpack(state.placements.key(placement))
    state.indexes.decisions.add(row, (Row(owner), placement), target)


def _first_word(reason: str) -> str:
    return reason.split(None, 1)[0] if reason.strip() else "unknown"


def _set(state: State, row: Row, values: dict[Decision, int]) -> None:
    for column, value in values.items():
        state.decisions.set(row, column, value)


def _set_regions(state: State, row: Row, regions: list[Row]) -> None:
    words = [0] * len(_REGION_COLUMNS)
    for region in regions:
        word, place = divmod(region, REGION_BITS)
        words[word] |= 1 << place
    for column, word in zip(_REGION_COLUMNS, words, strict=True):
        state.decisions.set(row, column, word)
