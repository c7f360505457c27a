"""How far what somebody asked for, or what was decided, has come."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from placement.core.arrival import expect
from placement.core.deciding.wants import REQUEST_NS
from placement.core.decisions import DecisionRecord, decision_at, latest_decision
from placement.core.event import ReplicationRequested
from placement.core.folds.demand import machine_key
from placement.core.graph import size_of, to_move
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import (
    DecisionStatus,
    Replica,
    ReplicaPhase,
    Request,
    Wanted,
)
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

REQUESTED: Final = max(DecisionStatus) + 1
"""In place of a DecisionStatus: asked for, and not decided yet."""

_LAST_WORDS: Final = frozenset(
    {DecisionStatus.COMPLETED, DecisionStatus.CANCELLED, DecisionStatus.WITHHELD}
)
"""After these nothing more is decided for a request."""
_IN_VAIN: Final = frozenset({REQUESTED, DecisionStatus.DEFERRED})
"""A request that ends like this has expired."""


class Asked(NamedTuple):
    """What a request is about: a placement in a storage region, since when, until when.

    *deadline_ns* is 0 for as soon as possible.
    """

    placement: Row
    target: Region
    time_ns: int
    deadline_ns: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: *status* is a DecisionStatus, or REQUESTED.

    *ready_ns* is the moment from which all of it can be pulled there, as expected now;
    None when that is not known or does not matter any more.
    """

    status: int
    ended: bool
    repository: Repository
    digest: Digest
    target: Region
    source: Region | None
    transfer_bytes: int
    transferred_bytes: int
    ready_ns: int | None
    decision: DecisionRecord | None

    @property
    def news(self) -> tuple[object, ...]:
        """Return what is worth telling again when it is another one."""
        decided = self.decision.replication_id if self.decision else ""
        moved = (self.transfer_bytes, self.transferred_bytes)
        return (self.status, self.ended, decided, self.source, moved)


def asked_by(state: State, request_id: str) -> Asked | None:
    """Return what a request is about; None where none of that id is remembered.

    None as well where whoever asks may not be told of what it is about.

    None also where its tag pointed to nothing when the request was folded.
    """
    named = f"{ReplicationRequested.__name__} {request_id}"
    row = state.requests.find(machine_key(named))
    if row == ABSENT:
        return None
    time_ns, about, target = state.requests.values(row)
    assert (Request.PLACEMENT, Request.TARGET) == (1, 2), "the order of the columns"
    if not about or not state.sees_placement(Row(about - 1)):
        return None
    wanted = state.wanted.find(PAIR.pack(about - 1, target))
    deadline_ns = state.wanted.get(wanted, Wanted.DEADLINE)
    return Asked(Row(about - 1), state.region_at(Row(target)), time_ns, deadline_ns)


def request_progress(network: Network, asked: Asked) -> Progress:
    """Return how far what was asked for has come, by any copy."""
    state = network.state
    record = _answering(state, asked)
    lacking = _lacking(state, asked.placement, asked.target)
    status: int = REQUESTED if record is None else record.status
    if not lacking:
        status = DecisionStatus.COMPLETED
    until_ns = max(asked.time_ns, asked.deadline_ns) + REQUEST_NS
    over = network.now_ns > until_ns and not (record and record.open)
    if over and status in _IN_VAIN:
        status = DecisionStatus.EXPIRED
    ended = status in _LAST_WORDS or over
    return _progress(network, asked, record, status, ended=ended)


def met_progress(network: Network, asked: Asked) -> Progress:
    """Return that all that was asked for is there, whatever else is not."""
    found = request_progress(network, asked)
    return replace(
        found,
        status=DecisionStatus.COMPLETED,
        ended=True,
        source=None,
        transfer_bytes=0,
        transferred_bytes=0,
        ready_ns=None,
        decision=None,
    )


def decision_progress(network: Network, record: DecisionRecord) -> Progress:
    """Return how far a decision has come."""
    asked = Asked(record.placement, record.target, record.time_ns)
    late = network.now_ns > record.time_ns + REQUEST_NS
    waits = record.open or (record.status is DecisionStatus.DEFERRED and not late)
    return _progress(network, asked, record, record.status, ended=not waits)


def lacking_bytes(state: State, placement: Row, target: Region) -> int:
    """Return what has to move until all of the content is in a storage region.

    What is there in part counts for the rest alone.
    """
    owner, _ = map(Row, PAIR.unpack(state.placements.key(placement)))
    region = state.regions.find(target.encode())
    rows = _lacking(state, placement, target)
    held = sum(_held_bytes(state, owner, row, region) for row in rows)
    return max(0, size_of(state, rows) - held)


def _lacking(state: State, placement: Row, target: Region) -> list[Row]:
    owner, digest = map(Row, PAIR.unpack(state.placements.key(placement)))
    return to_move(state, owner, digest, state.regions.find(target.encode()))


def _held_bytes(state: State, owner: Row, digest: Row, target: Row) -> int:
    placement = state.placements.find(PAIR.pack(owner, digest))
    if ABSENT in {placement, target}:
        return 0
    row = state.replicas.find(PAIR.pack(placement, target))
    if row == ABSENT or state.phase_at(row) is not ReplicaPhase.PARTIAL:
        return 0
    return min(state.size_bytes(digest), state.replicas.get(row, Replica.HELD))


def _answering(state: State, asked: Asked) -> DecisionRecord | None:
    """Return the decision that carries a request out, or did since it was made."""
    target = state.regions.find(asked.target.encode())
    row = ABSENT
    if target != ABSENT:
        row = latest_decision(state, asked.placement, target)
    if row == ABSENT:
        return None
    record = decision_at(state, row)
    return record if record.open or record.change_ns >= asked.time_ns else None


def _progress(
    network: Network,
    asked: Asked,
    record: DecisionRecord | None,
    status: int,
    *,
    ended: bool,
) -> Progress:
    state = network.state
    repository, digest = state.placement_at(asked.placement)
    target = asked.target
    left_bytes = lacking_bytes(state, asked.placement, asked.target)
    total_bytes, moved_bytes = left_bytes, 0
    source = None
    if record is not None:
        total_bytes, source = record.transfer_bytes, record.source
        moved_bytes = max(0, total_bytes - left_bytes)
        if record.status is DecisionStatus.COMPLETED:
            moved_bytes = record.moved_bytes or total_bytes
    ready_ns = None
    removal = record is not None and record.removal
    if not ended and not removal and network.topology.stores(target):
        owner = state.find_repository(repository)
        expected = expect(network, owner, digest, target)
        source = source or expected.source
        if expected.ready is not None:
            ready_ns = network.now_ns + expected.ready.p50_ns
    if removal:
        moved_bytes = total_bytes if status == DecisionStatus.COMPLETED else 0
    return Progress(
        status,
        ended,
        repository,
        digest,
        target,
        source,
        total_bytes,
        moved_bytes,
        ready_ns,
        record,
    )
