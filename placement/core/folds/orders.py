"""What operators' orders mean: what holds now, since when, until when.

An order holds from its own time until its expiry; a later order replaces it whatever
order they come in.
"""

from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    EventQuarantined,
    Operation,
    PolicyChanged,
    RegionChanged,
    ReplicationPaused,
    ReplicationResumed,
)
from placement.core.folds.presence import At
from placement.core.folds.requests import first_request
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import POLICIES_REMEMBERED, TRIPLE
from placement.core.tables.table import ABSENT, Row, Table
from placement.core.topology import Region

EVERYWHERE = 0xFFFFFFFF
"""Stands for all regions where a region's row is meant."""


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


def is_paused(state: State, target: Row, now_ns: int) -> bool:
    """Say whether no new copies into *target* may be decided at *now_ns*."""
    return holds(state.pauses, b"", target, now_ns)


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


def holds(table: Table, prefix: bytes, region: Row, now_ns: int) -> bool:
    """Say whether an order of *table* holds in a region at *now_ns*.

    *prefix* is its key before the region. An order for all regions and one for this
    region alone: the later one of those that have not expired counts, so that a pause
    of all goes on where a later one of a single region expires. *region* may be ABSENT:
    nobody ever named it.
    """
    given = []
    for where in (EVERYWHERE,) if region == ABSENT else (EVERYWHERE, region):
        row = table.find(prefix + where.to_bytes(4, "little"))
        if row != ABSENT:
            active, order_ns, expire_ns = table.values(row)
            if not 0 < expire_ns <= now_ns:
                given.append((order_ns, active))
    return bool(given) and bool(max(given)[1])
