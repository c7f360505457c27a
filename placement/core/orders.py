"""What operators ordered and is in force: pauses, pins, region states, policies.

An order holds until it expires, or until a later one about the same thing replaces it;
``folds.orders.holds`` says how one for all regions and one for a single region go
together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from placement.core.event import RegionState
from placement.core.folds.demand import machine_key
from placement.core.folds.orders import EVERYWHERE, holds
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import TRIPLE
from placement.core.tables.table import ABSENT, Row, Table
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Term:
    """From when to when an order holds, nanoseconds of the log; expiry 0 is never."""

    order_time_ns: int
    expire_time_ns: int = 0


@dataclass(frozen=True, slots=True)
class RegionOrder:
    """A region is drained or down."""

    region: Region
    state: RegionState
    term: Term


@dataclass(frozen=True, slots=True)
class PauseOrder:
    """No new copies are made; *region* None: into none, but for those *excepted*."""

    region: Region | None
    excepted: tuple[Region, ...]
    term: Term


@dataclass(frozen=True, slots=True)
class PinOrder:
    """Content must stay; *region* None: everywhere, but for those *excepted*."""

    repository: Repository
    digest: Digest
    region: Region | None
    excepted: tuple[Region, ...]
    term: Term

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what pins are listed by."""
        return self.repository, self.digest, self.region or ""


@dataclass(frozen=True, slots=True)
class PolicyOrder:
    """A policy was put in force; empty *content* is a built-in one."""

    name: str
    content: str
    term: Term


def is_pinned(
    state: State, repository: Row, digest: Row, region: Row, now_ns: int
) -> bool:
    """Say whether content of a repository has to stay in a region, at *now_ns*."""
    return holds(state.pins, _pin_prefix(repository, digest), region, now_ns)


def is_pinned_in(
    state: State, repository: Row, digest: Row, region: Row, now_ns: int
) -> bool:
    """Say whether a pin names this very region: content has to be there, not only stay.

    *region* may be ABSENT: nobody ever named it.
    """
    if region == ABSENT:
        return False
    row = state.pins.find(TRIPLE.pack(repository, digest, region))
    if row == ABSENT:
        return False
    active, _, expire_ns = state.pins.values(row)
    if not active or is_over(expire_ns, now_ns):
        return False
    return is_pinned(state, repository, digest, region, now_ns)


def is_known(state: State, fact: type, request_id: str) -> bool:
    """Say whether an order of this kind was folded whose request had this id."""
    return state.requests.find(machine_key(f"{fact.__name__} {request_id}")) != ABSENT


def region_orders(state: State, now_ns: int) -> list[RegionOrder]:
    """Return the regions that are not active at *now_ns*, by code."""
    found = []
    for key, row in state.regions.rows():
        region = Region(key.decode())
        standing = state.region_state(region, now_ns)
        if standing is not RegionState.ACTIVE:
            ordered_ns = state.regions.get(row, cells.Region.STATE_ORDER)
            expire_ns = state.regions.get(row, cells.Region.STATE_EXPIRE)
            found.append(RegionOrder(region, standing, Term(ordered_ns, expire_ns)))
    return sorted(found, key=lambda order: order.region)


def pause_orders(state: State, now_ns: int) -> list[PauseOrder]:
    """Return the pauses in force at *now_ns*: that of all regions, then by code."""
    found = []
    for key, row in state.pauses.rows():
        order = _in_force(state, state.pauses, key, row, now_ns)
        if order is not None:
            found.append(PauseOrder(*order))
    return sorted(found, key=lambda order: order.region or "")


def listed_pins(
    state: State, repository: Row | None, after: tuple[str, str, str], now_ns: int
) -> Iterator[PinOrder]:
    """Yield the pins in force whose key is greater than *after*, in order of the key.

    Only those of *repository*; None: all.
    """
    rows = {
        named: key
        for key, row in state.pins.rows()
        if state.pins.get(row, cells.Order.ACTIVE)
        for named in [_pin_name(state, key)]
        if named > after and repository in {None, TRIPLE.unpack(key)[0]}
    }
    for named in sorted(rows):
        key = rows[named]
        order = _pin_order(state, key, state.pins.find(key), now_ns)
        if order is not None:
            yield order


def policy_orders(state: State) -> list[PolicyOrder]:
    """Return the policies that are remembered, the latest order first."""
    found = []
    for key, row in state.policies.rows():
        name, _, content = key.decode().partition("\0")
        _, ordered_ns, expire_ns = state.policies.values(row)
        found.append(PolicyOrder(name, content, Term(ordered_ns, expire_ns)))
    return sorted(
        found,
        key=lambda order: (order.term.order_time_ns, order.name, order.content),
        reverse=True,
    )


# How orders for all regions and for one of them go together.


def is_over(expire_ns: int, now_ns: int) -> bool:
    """Say whether an order that expires then has ended; 0 is never."""
    return 0 < expire_ns <= now_ns


def _in_force(
    state: State, table: Table, key: bytes, row: Row, now_ns: int
) -> tuple[Region | None, tuple[Region, ...], Term] | None:
    """Return where the order of a row holds, where it does not, and its term.

    None for one that ended, that allows, or that a later one for all regions ended.
    """
    active, ordered_ns, expire_ns = table.values(row)
    if not active or is_over(expire_ns, now_ns):
        return None
    prefix, where = key[:-4], Row(int.from_bytes(key[-4:], "little"))
    term = Term(ordered_ns, expire_ns)
    if where == EVERYWHERE:
        return None, _excepted(state, table, prefix, now_ns), term
    if not holds(table, prefix, where, now_ns):
        return None
    return state.region_at(where), (), term


def _excepted(
    state: State, table: Table, prefix: bytes, now_ns: int
) -> tuple[Region, ...]:
    """Return the regions where what holds everywhere was ended since, by code."""
    found = (
        Region(key.decode())
        for key, region in state.regions.rows()
        if not holds(table, prefix, region, now_ns)
    )
    return tuple(sorted(found))


def _pin_order(state: State, key: bytes, row: Row, now_ns: int) -> PinOrder | None:
    """Return the pin of a row, or None if it is not in force at *now_ns*."""
    order = _in_force(state, state.pins, key, row, now_ns)
    if order is None:
        return None
    repository, digest, _ = TRIPLE.unpack(key)
    return PinOrder(
        state.repository_at(Row(repository)), state.digest_at(Row(digest)), *order
    )


def _pin_name(state: State, key: bytes) -> tuple[str, str, str]:
    """Return the repository, digest and region of a row of ``pins``."""
    repository, digest, region = TRIPLE.unpack(key)
    where = "" if region == EVERYWHERE else state.region_at(Row(region))
    return state.repository_at(Row(repository)), state.digest_at(Row(digest)), where


def _pin_prefix(repository: Row, digest: Row) -> bytes:
    return TRIPLE.pack(repository, digest, 0)[:-4]
