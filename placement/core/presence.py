"""What facts about content mean: where it is, what it is made of, where tags point.

Presence is a set of latest times: a replica is there when something said so after the
last word that it was gone. So late, repeated and reordered facts change nothing that
they should not, whatever order they come in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from placement.core import cells
from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Event,
    Fact,
    InventoryContent,
    InventoryTaken,
    OwnershipDeclared,
    TagMoved,
)
from placement.core.oci import ContentKind, Descriptor, Digest, Platform, content_kind
from placement.core.state import PAIR, VOCABULARY_MAX, State, tag_key
from placement.core.table import ABSENT, Row, Table


@dataclass(frozen=True, slots=True)
class At:
    """Where and when a fact happened; times in nanoseconds.

    *order_ns* orders facts about one thing: the log's own time for fresh facts, so that
    what was stored later wins whatever the publishers' clocks say, and the event's own
    time for late ones. *late* facts are too old to count as demand.
    """

    event: Event
    region: Row
    sequence: int
    time_ns: int
    order_ns: int
    late: bool


def content_pushed(state: State, at: At, fact: ContentPushed) -> None:
    """Remember what was stored, what it refers to, and the tag that it was given."""
    placement = state.placement_row(fact.repository, fact.content.digest)
    own(state, at, state.repository_row(fact.repository))
    digest = state.content_of(placement)
    describe(state, fact.content)
    refer(state, digest, fact.references)
    if fact.subject_digest is not None:
        subject = state.digest_row(fact.subject_digest)
        state.digests.set(digest, cells.Digest.SUBJECT, subject + 1)
    arrive(state, at, placement, cells.Replica.COMPLETE)
    if fact.tag is not None:
        tag_moved(state, at, TagMoved(fact.repository, fact.tag, fact.content.digest))


def content_announced(state: State, at: At, fact: ContentAnnounced) -> None:
    """Remember that content is on its way, and how much of it is there."""
    placement = state.placement_row(fact.repository, fact.content.digest)
    own(state, at, state.repository_row(fact.repository))
    describe(state, fact.content)
    replica = arrive(state, at, placement, cells.Replica.ANNOUNCED)
    if state.replicas.get(replica, cells.Replica.ANNOUNCED) == at.order_ns:
        state.replicas.set(replica, cells.Replica.HELD, fact.held_bytes)


def content_replicated(state: State, at: At, fact: ContentReplicated) -> None:
    """Remember what arrived by a copy: an arrival, never demand."""
    own(state, at, state.repository_row(fact.repository))
    phase = cells.Replica.VERIFIED if fact.verified else cells.Replica.COMPLETE
    for position, content in enumerate(fact.contents):
        placement = state.placement_row(fact.repository, content.digest)
        describe(state, content)
        arrive(state, at, placement, phase)
        if position == 0:
            digest = state.content_of(placement)
            refer(state, digest, fact.references)
            convert(state, digest, fact.original_digest)


def content_evicted(state: State, at: At, fact: ContentEvicted) -> None:
    """Remember that content left the region, from this repository alone."""
    owner = state.repository_row(fact.repository)
    for digest in fact.digests:
        leave(state, at, state.placement_row(fact.repository, digest))
    if not fact.whole_repository:
        return
    for placement in state.indexes.placements_in(owner):
        if at.region in state.indexes.regions_of(placement):
            leave(state, at, placement)
    for tag in state.indexes.tags_of(owner):
        set_here = state.tags.get(tag, cells.Tag.REGION) == at.region
        if set_here and state.tags.get(tag, cells.Tag.ORDER) <= at.order_ns:
            point(state, at, tag, None)


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
    placement = state.placement_row(entry.repository, entry.content.digest)
    describe(state, entry.content)
    refer(state, state.content_of(placement), entry.references)
    arrive(state, at, placement, cells.Replica.COMPLETE)
    for tag in entry.tags:
        row = tag_row(state, owner, tag)
        # A tag is global and a registry is not: a region's list may be older than what
        # another region has set since, so it fills in, and corrects only its own.
        order = state.tags.get(row, cells.Tag.ORDER)
        mine = state.tags.get(row, cells.Tag.REGION) == at.region
        if order == 0 or (mine and at.order_ns > order):
            point(state, at, row, entry.content.digest)


def ownership_declared(state: State, at: At, fact: OwnershipDeclared) -> None:
    """Let the repository belong to an app, whatever its name says."""
    repository = state.repository_row(fact.repository)
    declared = cells.Repository.DECLARED_ORDER
    if state.repositories.raise_to(repository, declared, at.order_ns):
        app = app_row(state, fact.organization, fact.app or fact.repository)
        state.repositories.set(repository, cells.Repository.APP, app + 1)


# What the facts above are made of.


def describe(state: State, content: Descriptor) -> Row:
    """Remember a content's size and type, the first that was attested, and return it.

    Registries call every blob an octet stream; a more telling type replaces that.
    """
    digest = state.digest_row(content.digest)
    if content.size_bytes and not state.size_bytes(digest):
        state.digests.set(digest, cells.Digest.SIZE, content.size_bytes)
    known = state.media_type(digest)
    if content.media_type and known in {"", "application/octet-stream"}:
        media = named(state.media_types, content.media_type)
        state.digests.set(digest, cells.Digest.MEDIA, media)
    return digest


def refer(state: State, parent: Row, references: tuple[Descriptor, ...]) -> None:
    """Remember what *parent* refers to. Content never changes: once is enough."""
    if not references or state.digests.get(parent, cells.Digest.EDGES):
        return
    for position, reference in enumerate(references):
        child = describe(state, reference)
        edge, _ = state.edges.add(PAIR.pack(parent, position))
        state.edges.set(edge, cells.Edge.CHILD, child)
        if reference.platform is not None:
            kept = named(state.platforms, platform_key(reference.platform))
            state.edges.set(edge, cells.Edge.PLATFORM, kept)
    state.digests.set(parent, cells.Digest.EDGES, len(references))


def convert(state: State, digest: Row, original: Digest | None) -> None:
    """Remember that a copy changed the digest of the same image."""
    if original is not None:
        row = state.digest_row(original)
        if row != digest:
            state.digests.set(digest, cells.Digest.ORIGINAL, row + 1)


def arrive(state: State, at: At, placement: Row, phase: cells.Replica) -> Row:
    """Raise the replica's latest time of *phase*, and return its row."""
    key = PAIR.pack(placement, at.region)
    row = state.replicas.find(key)
    if row == ABSENT:
        row, _ = state.replicas.add(key)
        state.indexes.add_replica(placement, at.region)
    state.replicas.raise_to(row, phase, at.order_ns)
    created = state.replicas.get(row, cells.Replica.CREATE_TIME)
    if not created or at.time_ns < created:
        state.replicas.set(row, cells.Replica.CREATE_TIME, at.time_ns)
    state.replicas.raise_to(row, cells.Replica.CHANGE_TIME, at.time_ns)
    return row


def leave(state: State, at: At, placement: Row) -> None:
    """Raise the latest time at which the replica was said to be gone."""
    key = PAIR.pack(placement, at.region)
    row = state.replicas.find(key)
    if row == ABSENT:
        row, _ = state.replicas.add(key)
        state.indexes.add_replica(placement, at.region)
    if state.replicas.raise_to(row, cells.Replica.GONE, at.order_ns):
        state.replicas.raise_to(row, cells.Replica.CHANGE_TIME, at.time_ns)


def tag_row(state: State, repository: Row, tag: str) -> Row:
    """Return the row of a tag, added if it is new."""
    key = tag_key(repository, tag)
    row = state.tags.find(key)
    if row == ABSENT:
        row, _ = state.tags.add(key)
        state.indexes.add_tag(repository, row)
    return row


def point(state: State, at: At, tag: Row, digest: Digest | None) -> None:
    """Let *tag* point to *digest*, or to nothing."""
    pointed = 0 if digest is None else state.digest_row(digest) + 1
    values = (pointed, at.region, at.order_ns, at.time_ns, at.sequence)
    for column, value in enumerate(values):
        state.tags.set(tag, column, value)


def own(state: State, at: At, repository: Row) -> Row:
    """Return the app that the fact counts for, and let the repository belong to it.

    What the event says wins, then what was declared, then the repository's own name.
    """
    declared = state.repositories.get(repository, cells.Repository.DECLARED_ORDER)
    current = state.repositories.get(repository, cells.Repository.APP)
    if current and (declared or not at.event.app):
        return Row(current - 1)
    name = state.repository_at(repository)
    organization = at.event.organization or name.partition("/")[0]
    app = app_row(state, organization, at.event.app or name)
    state.repositories.set(repository, cells.Repository.APP, app + 1)
    return app


def app_row(state: State, organization: str, app: str) -> Row:
    """Return the row of an app, added if it is new."""
    return state.apps.find_or_add(f"{organization}\0{app}".encode())


def named(table: Table, name: str) -> int:
    """Return the row of *name* plus one; 0, not known, once the table is full."""
    key = name.encode()
    row = table.find(key)
    if row == ABSENT:
        if len(table) >= VOCABULARY_MAX:
            return 0
        row, _ = table.add(key)
    return row + 1


def platform_key(platform: Platform) -> str:
    """Return a platform as it is kept in ``platforms``."""
    return "\0".join((platform.os, platform.architecture, platform.variant))


def descriptors_of(fact: Fact) -> Iterable[Descriptor]:
    """Yield every descriptor that *fact* attests."""
    match fact:
        case ContentPushed(content=content, references=references):
            yield content
            yield from references
        case ContentAnnounced(content=content):
            yield content
        case ContentReplicated(contents=contents, references=references):
            yield from contents
            yield from references
        case InventoryTaken(contents=entries):
            for entry in entries:
                yield entry.content
                yield from entry.references
        case _:
            return


def contradicts(state: State, fact: Fact) -> bool:
    """Say whether *fact* gives a known digest another size or kind: one of them lies."""
    attested: dict[str, int] = {}
    for content in descriptors_of(fact):
        if not content.size_bytes:
            continue
        if attested.setdefault(content.digest, content.size_bytes) != content.size_bytes:
            return True
        digest = state.find_digest(content.digest)
        if digest == ABSENT:
            continue
        size = state.size_bytes(digest)
        if size and size != content.size_bytes:
            return True
        if _kinds_differ(state.kind(digest), content_kind(content.media_type)):
            return True
    return False


def _kinds_differ(known: ContentKind, stated: ContentKind) -> bool:
    graph = {ContentKind.MANIFEST, ContentKind.INDEX}
    return known != stated and known in graph and stated in graph
