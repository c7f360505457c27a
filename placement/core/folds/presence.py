"""What facts about content mean: where it is, what it is made of, where tags point.

Presence is a set of latest times: a replica is there when something said so after the
last word that it was gone. So late, repeated and reordered facts change nothing that
they should not, whatever order they come in.
"""

from dataclasses import dataclass

from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Event,
    InventoryContent,
    InventoryTaken,
    OwnershipDeclared,
    TagMoved,
)
from placement.core.folds.description import convert, describe, refer
from placement.core.oci import Digest, Tag
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR, tag_key, tag_owner
from placement.core.tables.table import ABSENT, Row


@dataclass(frozen=True, slots=True)
class At:
    """Where and when a fact happened; times in nanoseconds.

    *order_ns* orders facts about one thing: by the log for fresh facts, so that what
    was stored later wins whatever the publishers' clocks say, and by the event's own
    time for what comes late. *late* facts are too old to count as demand.
    """

    event: Event
    region: Row
    sequence: int
    time_ns: int
    order_ns: int
    late: bool


def content_pushed(state: State, at: At, fact: ContentPushed) -> None:
    """Remember what was stored, what it refers to, and the tag that it was given."""
    digest = describe(state, fact.content)
    placement = state.placement_row(fact.repository, fact.content.digest)
    own(state, at, state.repository_row(fact.repository))
    if fact.subject_digest is not None:
        subject = state.digest_row(fact.subject_digest)
        state.digests.set(digest, cells.Digest.SUBJECT, subject + 1)
    arrive(state, at, placement, cells.Replica.COMPLETE)
    refer(state, digest, fact.references)
    if fact.tag is not None:
        tag_moved(state, at, TagMoved(fact.repository, fact.tag, fact.content.digest))


def content_announced(state: State, at: At, fact: ContentAnnounced) -> None:
    """Remember that content is on its way, and how much of it is there."""
    describe(state, fact.content)
    placement = state.placement_row(fact.repository, fact.content.digest)
    own(state, at, state.repository_row(fact.repository))
    replica = arrive(state, at, placement, cells.Replica.ANNOUNCED)
    if state.replicas.get(replica, cells.Replica.ANNOUNCED) == at.order_ns:
        state.replicas.set(replica, cells.Replica.HELD, fact.held_bytes)
        state.indexes.changes.note_placement(placement)


def content_replicated(state: State, at: At, fact: ContentReplicated) -> None:
    """Remember what arrived by a copy: an arrival, never demand."""
    own(state, at, state.repository_row(fact.repository))
    phase = cells.Replica.VERIFIED if fact.verified else cells.Replica.COMPLETE
    for position, content in enumerate(fact.contents):
        digest = describe(state, content)
        placement = state.placement_row(fact.repository, content.digest)
        arrive(state, at, placement, phase)
        if position == 0:
            refer(state, digest, fact.references)
            convert(state, digest, fact.original_digest)


def content_evicted(state: State, at: At, fact: ContentEvicted) -> None:
    """Remember that content left the region, from this repository alone."""
    owner = state.repository_row(fact.repository)
    for digest in fact.digests:
        leave(state, at, state.placement_row(fact.repository, digest))
    if fact.whole_repository:
        _clear(state, at, owner)


def _clear(state: State, at: At, owner: Row) -> None:
    cleared = state.cleared.find_or_add(PAIR.pack(owner, at.region))
    if not state.cleared.raise_to(cleared, cells.Cleared.ORDER, at.order_ns):
        return
    state.cleared.set(cleared, cells.Cleared.TIME, at.time_ns)
    for placement in state.indexes.placements_in(owner):
        if at.region in state.indexes.regions_of(placement):
            leave(state, at, placement)
    for tag in state.indexes.tags_of(owner):
        set_here = state.tags.get(tag, cells.Tag.REGION) == at.region
        if set_here and state.tags.get(tag, cells.Tag.ORDER) <= at.order_ns:
            state.tags.set(tag, cells.Tag.DIGEST, 0)
            state.indexes.changes.note_tag(tag)


def tag_moved(state: State, at: At, fact: TagMoved) -> None:
    """Point the tag elsewhere, unless a later fact did so already."""
    owner = state.repository_row(fact.repository)
    own(state, at, owner)
    if fact.digest is not None:
        state.placement_row(fact.repository, fact.digest)
    row = tag_row(state, owner, fact.tag)
    if at.order_ns >= state.tags.get(row, cells.Tag.ORDER):
        point(state, at, row, fact.digest)


def inventory_taken(state: State, at: At, fact: InventoryTaken) -> None:
    """Fold a page of what the region holds, as of the time when the scan began."""
    scan_ns = min(fact.scan_time_ns, at.order_ns)
    seen = At(at.event, at.region, at.sequence, scan_ns, scan_ns, at.late)
    for entry in fact.contents:
        _inventory_content(state, seen, entry)
    for absence in fact.absences:
        leave(state, seen, state.placement_row(absence.repository, absence.digest))
    if fact.complete:
        state.regions.raise_to(at.region, cells.Region.INVENTORY_TIME, scan_ns)


def _inventory_content(state: State, at: At, entry: InventoryContent) -> None:
    owner = state.repository_row(entry.repository)
    own(state, at, owner)
    digest = describe(state, entry.content)
    placement = state.placement_row(entry.repository, entry.content.digest)
    arrive(state, at, placement, cells.Replica.COMPLETE)
    refer(state, digest, entry.references)
    for tag in entry.tags:
        row = tag_row(state, owner, tag)
        # A tag is global and a registry is not: a region's list may be older than what
        # another region has set since, so it fills in, and corrects only its own.
        pointed, setter, order, _, _ = state.tags.values(row)
        if at.order_ns > order and (not pointed or setter == at.region):
            point(state, at, row, entry.content.digest)


def ownership_declared(state: State, at: At, fact: OwnershipDeclared) -> None:
    """Let the repository belong to an app, whatever its name says."""
    repository = state.repository_row(fact.repository)
    declared = cells.Repository.DECLARED_ORDER
    if state.repositories.raise_to(repository, declared, at.order_ns):
        app = app_row(state, fact.organization, fact.app or fact.repository)
        state.repositories.set(repository, cells.Repository.APP, app + 1)


# What the facts above are made of.


def arrive(state: State, at: At, placement: Row, phase: cells.Replica) -> Row:
    """Raise the replica's latest time of *phase*, and return its row."""
    row = replica_row(state, at, placement)
    before = state.phase_at(row)
    state.replicas.raise_to(row, phase, at.order_ns)
    _note_phase(state, at, placement, before, state.phase_at(row))
    created = state.replicas.get(row, cells.Replica.CREATE_TIME)
    if not created or at.time_ns < created:
        state.replicas.set(row, cells.Replica.CREATE_TIME, at.time_ns)
    state.replicas.raise_to(row, cells.Replica.CHANGE_TIME, at.time_ns)
    return row


def leave(state: State, at: At, placement: Row) -> None:
    """Raise the latest time at which the replica was said to be gone."""
    row = replica_row(state, at, placement)
    before = state.phase_at(row)
    if state.replicas.raise_to(row, cells.Replica.GONE, at.order_ns):
        state.replicas.raise_to(row, cells.Replica.CHANGE_TIME, at.time_ns)
        _note_phase(state, at, placement, before, state.phase_at(row))


def _note_phase(
    state: State, at: At, placement: Row, before: ReplicaPhase, now: ReplicaPhase
) -> None:
    if now is not before:
        state.note_presence(placement, at.region, now)
        state.indexes.changes.note_placement(placement)


def replica_row(state: State, at: At, placement: Row) -> Row:
    """Return the row of a replica; a new one is gone since its repository was."""
    key = PAIR.pack(placement, at.region)
    row = state.replicas.find(key)
    if row == ABSENT:
        row, _ = state.replicas.add(key)
        state.indexes.add_replica(row, placement)
        owner = Row(state.placements.part(placement, 0))
        order_ns, time_ns = cleared_at(state, owner, at.region)
        state.replicas.set(row, cells.Replica.GONE, order_ns)
        state.replicas.set(row, cells.Replica.CHANGE_TIME, time_ns)
    return row


def cleared_at(state: State, owner: Row, region: Row) -> tuple[int, ...]:
    """Return the order and time at which the repository last left *region*."""
    row = state.cleared.find(PAIR.pack(owner, region))
    return (0, 0) if row == ABSENT else state.cleared.values(row)


def tag_row(state: State, repository: Row, tag: Tag) -> Row:
    """Return the row of a tag, added if it is new."""
    key = tag_key(repository, tag)
    row = state.tags.find(key)
    if row == ABSENT:
        row, _ = state.tags.add(key)
        state.indexes.add_tag(repository, row)
    return row


def point(state: State, at: At, tag: Row, digest: Digest | None) -> None:
    """Let *tag* point to *digest*, or to nothing, as when all of it left since."""
    owner = tag_owner(state.tags.key(tag))
    cleared_ns, _ = cleared_at(state, owner, at.region)
    pointed = 0
    if digest is not None and at.order_ns > cleared_ns:
        pointed = state.digest_row(digest) + 1
    if pointed != state.tags.get(tag, cells.Tag.DIGEST):
        state.indexes.changes.note_tag(tag)
    values = (pointed, at.region, at.order_ns, at.time_ns, at.sequence)
    for column, value in enumerate(values):
        state.tags.set(tag, column, value)


def own(state: State, at: At, repository: Row) -> Row:
    """Return the app that the fact counts for, and let the repository belong to it.

    What the event says wins, then what was declared, then what the latest event said
    that named an owner, then the repository's own name.
    """
    app, declared, named = state.repositories.values(repository)
    if app and not (at.event.app or at.event.organization):
        return Row(app - 1)
    name = state.repository_at(repository)
    known = state.app_name(Row(app - 1)) if app else default_app(name)
    organization, called = at.event.organization or known[0], at.event.app or known[1]
    counted = app_row(state, organization, called)
    order_ns = at.order_ns if at.event.app or at.event.organization else 0
    if not declared and order_ns >= named:
        state.repositories.set(repository, cells.Repository.APP, counted + 1)
        state.repositories.set(repository, cells.Repository.NAMED_ORDER, order_ns)
    return counted


def default_app(repository: str) -> tuple[str, str]:
    """Return the organization and app of a repository of which nobody says them."""
    return repository.partition("/")[0], repository


def app_row(state: State, organization: str, app: str) -> Row:
    """Return the row of an app, added if it is new."""
    return state.apps.find_or_add(f"{organization}\0{app}".encode())


def find_app(state: State, organization: str, app: str) -> Row:
    """Return the row of an app, or ABSENT."""
    return state.apps.find(f"{organization}\0{app}".encode())
