"""What was asked for: starts that are about to come, and copies that somebody wants."""

from placement.core.event import (
    ReplicationRequested,
    ReplicationTrigger,
    StartsRequested,
)
from placement.core.folds import due
from placement.core.folds.demand import machine_key, member_row
from placement.core.folds.presence import At, own
from placement.core.oci import Digest, Repository, Tag, is_digest
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import Request, Wanted
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row


def starts_requested(state: State, at: At, fact: StartsRequested) -> None:
    """Remember where the app is about to start."""
    if fact.request_id is not None and not first_request(state, at, fact.request_id):
        return
    repository = state.repository_row(fact.repository)
    app = own(state, at, repository)
    if at.late:
        return
    placement = _meant(state, fact.repository, fact.reference)
    for region in map(state.region_row, fact.regions):
        if placement == ABSENT:
            member = member_row(state, app, region)
            last = cells.Membership.LAST_REQUEST
            state.memberships.raise_to(member, last, at.time_ns)
        else:
            _await_starts(state, at, placement, region)
    due.starts_requested(state, at, repository, placement)


def _await_starts(state: State, at: At, placement: Row, region: Row) -> None:
    """Remember that starts of this very image were asked for in a start region."""
    key = PAIR.pack(placement, region)
    row = state.awaited.find(key)
    if row == ABSENT:
        row, _ = state.awaited.add(key)
        state.indexes.add_awaited(placement, region)
    state.awaited.raise_to(row, 0, at.time_ns)


def replication_requested(state: State, at: At, fact: ReplicationRequested) -> None:
    """Remember that what the reference points to now is wanted in the region."""
    if not first_request(state, at, fact.request_id):
        return
    own(state, at, state.repository_row(fact.repository))
    region = state.region_row(fact.target_region)
    placement = _meant(state, fact.repository, fact.reference)
    if placement == ABSENT:
        return
    key = PAIR.pack(placement, region)
    row = state.wanted.find(key)
    if row == ABSENT:
        row, _ = state.wanted.add(key)
        state.indexes.add_wanted(placement, region)
    if state.wanted.raise_to(row, Wanted.TIME, at.time_ns):
        state.wanted.set(row, Wanted.SEQUENCE, at.sequence)
        state.wanted.set(row, Wanted.DEADLINE, fact.deadline_time_ns or 0)
    request = state.requests.find(
        machine_key(f"ReplicationRequested {fact.request_id}")
    )
    state.requests.set(request, Request.PLACEMENT, placement + 1)
    state.requests.set(request, Request.TARGET, region)
    state.indexes.agenda.note(placement, ReplicationTrigger.REQUEST, at.sequence)


def _meant(state: State, repository: Repository, reference: Digest | Tag) -> Row:
    """Return the image that *reference* means now; ABSENT for a tag that is to come."""
    if not is_digest(reference):
        pointer = state.tag(repository, Tag(reference))
        if pointer is None:
            return ABSENT
        reference = pointer.digest
    return state.placement_row(repository, Digest(reference))


def first_request(state: State, at: At, request_id: str) -> bool:
    """Say whether a request of this kind is new, and remember it."""
    key = machine_key(f"{type(at.event.fact).__name__} {request_id}")
    if state.requests.find(key) != ABSENT:
        return False
    row, _ = state.requests.add(key)
    state.requests.set(row, 0, at.time_ns)
    return True
