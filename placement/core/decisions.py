"""Decisions as they are read: what was decided, how far it came, what came of it."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from placement.core.folds.progress import OPEN, last_decided
from placement.core.state import State
from placement.core.tables.cells import (
    EVICTION,
    Decision,
    DecisionStatus,
    Machine,
    Replica,
)
from placement.core.tables.keys import PAIR, REGION_BITS
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

REMOVAL_NS: Final = 600 * 10**9
"""A removal that was begun in time is made, or not, after so long."""
LATE_NS: Final = 60 * 10**9
"""Who says within so long after content was gone that it came may speak of before."""
_REGIONS = slice(Decision.REGIONS_0, Decision.REGIONS_3 + 1)


class DecisionRecord(NamedTuple):
    """One decision as the state keeps it; times and durations in nanoseconds.

    *kind* is a ReplicationTrigger, or EVICTION. *cause* is a WithholdReason of what was
    withheld and a FailureCause of what failed. *probability* is in millionths.
    """

    row: Row
    replication_id: str
    status: DecisionStatus
    placement: Row
    source: Region | None
    target: Region
    transfer_bytes: int
    trigger_sequence: int
    time_ns: int
    change_ns: int
    attempt: int
    sequence: int
    order_ns: int
    kind: int
    expire_ns: int
    priority: int
    probability_millionths: int
    saved_ns: int
    expected_ns: int
    moved_bytes: int
    took_ns: int
    policy: str
    reason: str
    cause: int
    complete_ns: int
    used_ns: int
    start_count: int
    waited_count: int
    wait_ns: int
    start_regions: tuple[Region, ...]

    @property
    def removal(self) -> bool:
        """Whether content is to leave, instead of to arrive."""
        return self.kind == EVICTION

    @property
    def open(self) -> bool:
        """Whether somebody is to carry it out."""
        return self.status in OPEN


def decision_at(state: State, row: Row) -> DecisionRecord:
    """Return the decision of a row that is in use."""
    of = dict(zip(Decision, state.decisions.values(row), strict=True))
    source = of[Decision.SOURCE]
    return DecisionRecord(
        row=row,
        replication_id=state.decisions.key(row).decode(),
        status=DecisionStatus(of[Decision.STATUS]),
        placement=Row(of[Decision.PLACEMENT]),
        source=state.region_at(Row(source - 1)) if source else None,
        target=state.region_at(Row(of[Decision.TARGET])),
        transfer_bytes=abs(of[Decision.BYTES]),
        trigger_sequence=of[Decision.TRIGGER],
        time_ns=of[Decision.TIME],
        change_ns=of[Decision.CHANGE],
        attempt=of[Decision.ATTEMPT],
        sequence=of[Decision.SEQUENCE],
        order_ns=of[Decision.ORDER],
        kind=of[Decision.KIND],
        expire_ns=of[Decision.EXPIRE],
        priority=of[Decision.PRIORITY],
        probability_millionths=of[Decision.PROBABILITY],
        saved_ns=of[Decision.SAVED],
        expected_ns=of[Decision.EXPECTED],
        moved_bytes=of[Decision.MOVED],
        took_ns=of[Decision.TOOK],
        policy=_word(state, of[Decision.POLICY]),
        reason=_word(state, of[Decision.REASON]),
        cause=of[Decision.CAUSE],
        complete_ns=of[Decision.COMPLETE],
        used_ns=of[Decision.USED],
        start_count=of[Decision.STARTS],
        waited_count=of[Decision.WAITED],
        wait_ns=of[Decision.WAIT],
        start_regions=tuple(sorted(map(state.region_at, start_rows(state, row)))),
    )


def _word(state: State, kept: int) -> str:
    return state.words.key(Row(kept - 1)).decode() if kept else ""


def start_rows(state: State, decision: Row) -> Iterator[Row]:
    """Yield the rows of the start regions that a decision is for."""
    words = state.decisions.values(decision)[_REGIONS]
    for number, word in enumerate(words):
        left, row = word, number * REGION_BITS
        while left:
            if left & 1:
                yield Row(row)
            left >>= 1
            row += 1


def decided_content(state: State, decision: Row) -> Row:
    """Return the digest's row of what a decision is about."""
    return state.content_of(Row(state.decisions.get(decision, Decision.PLACEMENT)))


def find_decision(state: State, replication_id: str) -> DecisionRecord | None:
    """Return the decision of that id, or None where nobody remembers it."""
    row = state.decisions.find(replication_id.encode())
    return decision_at(state, row) if sees_decision(state, row) else None


def sees_decision(state: State, decision: Row) -> bool:
    """Say whether the decision of a row, which may be ABSENT, may be told of."""
    if decision == ABSENT:
        return False
    return state.sees_placement(Row(state.decisions.get(decision, Decision.PLACEMENT)))


def latest_decision(state: State, placement: Row, target: Row) -> Row:
    """Return the last decision to copy the content into *target*, or ABSENT."""
    row = state.decided.find(PAIR.pack(state.content_of(placement), target))
    last = ABSENT if row == ABSENT else last_decided(state, row)
    if last == ABSENT or state.decisions.get(last, Decision.PLACEMENT) != placement:
        return ABSENT
    return last


def judging(state: State, machine: Row) -> Row:
    """Return the decision that tells why a machine started as it did, or ABSENT."""
    decision = Row(state.machines.get(machine, Machine.DECISION) - 1)
    if decision == ABSENT:
        return ABSENT
    # A decision that was forgotten has left its row to one that is later.
    started_ns = state.machines.get(machine, Machine.STARTED)
    earlier = state.decisions.get(decision, Decision.ORDER) <= started_ns
    return decision if earlier else ABSENT


def decision_status(state: State, placement: Row, target: Row) -> DecisionStatus | None:
    """Return how far the last decision to copy it into *target* has come."""
    row = latest_decision(state, placement, target)
    if row == ABSENT:
        return None
    return DecisionStatus(state.decisions.get(row, Decision.STATUS))


def is_open(state: State, decision: Row) -> bool:
    """Say whether somebody is to carry out the decision of a row."""
    return state.decisions.get(decision, Decision.STATUS) in OPEN


def open_copies(state: State, target: Row) -> list[DecisionRecord]:
    """Return the copies into *target* that are to be carried out, by id."""
    return _records(state, state.indexes.decisions.copies_into(target))


def open_removals(state: State, target: Row) -> list[DecisionRecord]:
    """Return the removals from *target* that are to be carried out, by id."""
    return _records(state, state.indexes.decisions.removals_from(target))


def may_have_left(state: State, placement: Row, region: Row) -> bool:
    """Say whether content that is believed to be in *region* may not be there.

    So where it was gone shortly before it was seen: the fold orders what is fresh as it
    is stored, so that a word of before may come after. And where a removal was called
    off: whoever carries it out may do so before hearing of that, and tell much later.
    """
    replica = state.replicas.find(PAIR.pack(placement, region))
    if replica == ABSENT:
        return True
    phases = (Replica.COMPLETE, Replica.VERIFIED)
    seen_ns = max(state.replicas.get(replica, phase) for phase in phases)
    gone_ns = state.replicas.get(replica, Replica.GONE)
    if gone_ns and seen_ns <= gone_ns + LATE_NS:
        return True
    for decision in state.indexes.decisions.of(placement):
        of = state.decisions.values(decision)
        removal = of[Decision.KIND] == EVICTION and of[Decision.TARGET] == region
        if removal and of[Decision.STATUS] == DecisionStatus.CANCELLED:
            until_ns = of[Decision.EXPIRE] or of[Decision.CHANGE]
            if seen_ns <= until_ns + REMOVAL_NS:
                return True
    return False


def _records(state: State, rows: list[Row]) -> list[DecisionRecord]:
    found = [decision_at(state, row) for row in rows]
    return sorted(found, key=lambda record: record.replication_id)


def decisions_of(state: State, placement: Row) -> list[DecisionRecord]:
    """Return the decisions about a placement, the newest last."""
    found = _records(state, state.indexes.decisions.of(placement))
    return sorted(found, key=lambda record: record.order_ns)


def flow_count(state: State, source: Row) -> int:
    """Return how many decided copies are leaving *source* now."""
    wanted = (DecisionStatus.STARTED, source + 1)
    return sum(
        (status, origin) == wanted
        for decision in state.indexes.decisions.flows_from(source)
        for status, _, origin, *_ in [state.decisions.values(decision)]
    )
