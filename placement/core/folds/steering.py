"""What decisions and operators' orders mean: how far each copy is, what holds now.

An order holds from its own time until its expiry; a later order replaces it whatever
order they come in. A decision only ever moves forward.
"""

from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    EventQuarantined,
    EvictionPlanned,
    Operation,
    PolicyChanged,
    RegionChanged,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
)
from placement.core.folds.demand import first_request
from placement.core.folds.presence import At, own
from placement.core.folds.transfers import Transfer, keep
from placement.core.oci import Digest, Tag, is_digest
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.keys import PAIR, POLICIES_REMEMBERED, TRIPLE
from placement.core.tables.table import ABSENT, Row, Table
from placement.core.topology import Region

EVERYWHERE = 0xFFFFFFFF
"""Stands for all regions where a region's row is meant."""


def replication_requested(state: State, at: At, fact: ReplicationRequested) -> None:
    """Remember that what the reference points to now is wanted in the region."""
    if not first_request(state, at, fact.request_id):
        return
    own(state, at, state.repository_row(fact.repository))
    region = state.region_row(fact.target_region)
    reference = fact.reference
    if not is_digest(reference):
        pointer = state.tag(fact.repository, Tag(reference))
        if pointer is None:
            return
        reference = pointer.digest
    placement = state.placement_row(fact.repository, Digest(reference))
    row = state.wanted.find_or_add(PAIR.pack(placement, region))
    state.wanted.raise_to(row, 0, at.time_ns)


def replication_planned(
    state: State, at: At, fact: ReplicationPlanned | ReplicationWithheld
) -> None:
    """Open a decision, unless one with as new a trigger was made for the same copy."""
    subject = fact.subject
    target = state.region_row(subject.target_region)
    digest = state.digest_row(subject.digest)
    last = state.decided.find_or_add(PAIR.pack(digest, target))
    if not state.decided.raise_to(last, 0, fact.trigger_sequence):
        return
    row = state.decisions.find_or_add(subject.replication_id.encode())
    withheld = isinstance(fact, ReplicationWithheld)
    status = DecisionStatus.WITHHELD if withheld else DecisionStatus.PLANNED
    source = 0
    if isinstance(fact, ReplicationPlanned):
        source = state.region_row(fact.source_region) + 1
    values = (
        max(status, state.decisions.get(row, cells.Decision.STATUS)),
        state.placement_row(subject.repository, subject.digest),
        source,
        target,
        fact.transfer_bytes,
        fact.trigger_sequence,
        at.time_ns,
        at.time_ns,
        0,
    )
    for column, value in zip(cells.Decision, values, strict=True):
        state.decisions.set(row, column, value)
    state.decided.set(last, 1, row + 1)


def replication_moved(
    state: State, at: At, subject: ReplicationSubject, status: DecisionStatus
) -> Row:
    """Move a decision on; returns its row, or ABSENT when nobody remembers it."""
    row = state.decisions.find(subject.replication_id.encode())
    if row != ABSENT:
        state.decisions.raise_to(row, cells.Decision.STATUS, status)
        state.decisions.raise_to(row, cells.Decision.CHANGE, at.time_ns)
        source = state.decisions.get(row, cells.Decision.SOURCE)
        if source and status > DecisionStatus.STARTED:
            state.indexes.drop_flow(Row(source - 1), row)
    return row


def replication_started(state: State, at: At, fact: ReplicationStarted) -> None:
    """Move a decision to started; a new attempt opens a failed one again."""
    row = replication_moved(state, at, fact.subject, DecisionStatus.STARTED)
    if row == ABSENT:
        return
    again = state.decisions.raise_to(row, cells.Decision.ATTEMPT, fact.attempt)
    failed = state.decisions.get(row, cells.Decision.STATUS) == DecisionStatus.FAILED
    if again and failed:
        state.decisions.set(row, cells.Decision.STATUS, DecisionStatus.STARTED)
    if fact.source_region is not None:
        source = state.region_row(fact.source_region)
        state.decisions.set(row, cells.Decision.SOURCE, source + 1)
    leaving = state.decisions.get(row, cells.Decision.SOURCE)
    if leaving:
        state.indexes.add_flow(Row(leaving - 1), row)


def replication_completed(state: State, at: At, fact: ReplicationCompleted) -> None:
    """Close a decision; what the copy took is a transfer like any other."""
    row = replication_moved(state, at, fact.subject, DecisionStatus.COMPLETED)
    source = 0 if row == ABSENT else state.decisions.get(row, cells.Decision.SOURCE)
    if source and fact.transfer_duration_ns:
        target = state.region_row(fact.subject.target_region)
        moved, duration_ns = fact.transferred_bytes, fact.transfer_duration_ns
        keep(state, at, Transfer(Row(source - 1), target, moved, duration_ns))


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
    replication_moved(state, at, fact.subject, status)


def eviction_planned(state: State, at: At, fact: EvictionPlanned) -> None:
    """Remember the decision; the content stays until ContentEvicted is folded."""
    row = state.decisions.find_or_add(fact.eviction_id.encode())
    values = {
        cells.Decision.PLACEMENT: state.placement_row(fact.repository, fact.digest),
        cells.Decision.TARGET: state.region_row(fact.target_region),
        cells.Decision.BYTES: -fact.reclaimed_bytes,
        cells.Decision.TIME: at.time_ns,
    }
    for column, value in values.items():
        state.decisions.set(row, column, value)
    state.decisions.raise_to(row, cells.Decision.STATUS, DecisionStatus.PLANNED)
    state.decisions.raise_to(row, cells.Decision.CHANGE, at.time_ns)


def region_changed(state: State, at: At, fact: RegionChanged) -> None:
    """Let the region be used as the order says."""
    if not first_order(state, at, fact.operation):
        return
    row = state.region_row(fact.target_region)
    if at.order_ns >= state.regions.get(row, cells.Region.STATE_ORDER):
        expire = fact.operation.expire_time_ns or 0
        state.regions.set(row, cells.Region.STATE, fact.state)
        state.regions.set(row, cells.Region.STATE_ORDER, at.order_ns)
        state.regions.set(row, cells.Region.STATE_EXPIRE, expire)


def replication_held(
    state: State, at: At, fact: ReplicationPaused | ReplicationResumed
) -> None:
    """Stop new copies into the regions, or allow them again."""
    if not first_order(state, at, fact.operation):
        return
    active = isinstance(fact, ReplicationPaused)
    for region in rows_of(state, fact.target_regions):
        key = region.to_bytes(4, "little")
        give(state.pauses, at, key, fact.operation, active=active)


def content_held(state: State, at: At, fact: ContentPinned | ContentUnpinned) -> None:
    """Let content have to stay, or not any longer."""
    if not first_order(state, at, fact.operation):
        return
    owner = state.repository_row(fact.repository)
    digest = state.digest_row(fact.digest)
    active = isinstance(fact, ContentPinned)
    for region in rows_of(state, fact.target_regions):
        key = TRIPLE.pack(owner, digest, region)
        give(state.pins, at, key, fact.operation, active=active)


def policy_changed(state: State, at: At, fact: PolicyChanged) -> None:
    """Keep the policy; the one with the latest order is in force."""
    if not first_order(state, at, fact.operation):
        return
    key = f"{fact.name}\0{fact.content}".encode()
    give(state.policies, at, key, fact.operation, active=True)
    if len(state.policies) > POLICIES_REMEMBERED:
        orders = state.policies.rows()
        oldest = min(
            (state.policies.get(row, cells.Order.ORDER), key) for key, row in orders
        )
        state.policies.remove(oldest[1])


def event_quarantined(state: State, at: At, fact: EventQuarantined) -> None:
    """List the event among those set aside, for people; it was not folded."""
    row = state.set_aside.find_or_add(
        f"{fact.sequence}\0{fact.batch_index}\0QUARANTINED".encode()
    )
    state.set_aside.set(row, 0, at.time_ns)


# What the facts above are made of.


def rows_of(state: State, regions: tuple[Region, ...]) -> list[Row]:
    """Return the rows of *regions*; EVERYWHERE when none is named."""
    return [state.region_row(region) for region in regions] or [Row(EVERYWHERE)]


def first_order(state: State, at: At, operation: Operation) -> bool:
    """Say whether an operator's order is new: the same one may be sent again."""
    request_id = operation.request_id
    return request_id is None or first_request(state, at, request_id)


def give(
    table: Table, at: At, key: bytes, operation: Operation, *, active: bool
) -> None:
    """Let an order hold, unless a later one was given."""
    row = table.find_or_add(key)
    if at.order_ns >= table.get(row, cells.Order.ORDER):
        table.set(row, cells.Order.ACTIVE, int(active))
        table.set(row, cells.Order.ORDER, at.order_ns)
        table.set(row, cells.Order.EXPIRE, operation.expire_time_ns or 0)
