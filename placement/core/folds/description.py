"""What content is: its size and type, what it refers to, and what contradicts that."""

from collections.abc import Iterable

from placement.core.event import (
    ContentAnnounced,
    ContentPushed,
    ContentReplicated,
    Fact,
    InventoryTaken,
)
from placement.core.oci import ContentKind, Descriptor, Digest, Platform, content_kind
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, VOCABULARY_MAX
from placement.core.tables.table import ABSENT, Row, Table

OCTETS = "application/octet-stream"
_GRAPH = frozenset({ContentKind.MANIFEST, ContentKind.INDEX})


def describe(state: State, content: Descriptor) -> Row:
    """Remember a content's size and type, the first that was attested, and return it.

    Registries call every blob an octet stream; a more telling type replaces that. Who
    places it does so afterwards: content that is new is described for the first time.
    """
    known_count = len(state.digests)
    digest = state.digest_row(content.digest)
    learned = False
    if content.size_bytes and not state.size_bytes(digest):
        state.digests.set(digest, cells.Digest.SIZE, content.size_bytes)
        learned = True
    known = state.media_type(digest)
    if content.media_type not in {"", known} and known in {"", OCTETS}:
        # What an image is must be known, however many other types were named before.
        kind = content_kind(content.media_type)
        media = named(state.media_types, content.media_type, always=kind in _GRAPH)
        if media:
            learned |= kind is not state.kind(digest)
            state.digests.set(digest, cells.Digest.MEDIA, media)
    if learned and digest < known_count:
        state.indexes.changes.described_again += 1
        _note(state, digest)
    return digest


def _note(state: State, digest: Row) -> None:
    """Let whoever watches be told what is known of a content, wherever it is."""
    for placement in state.indexes.placements_of(digest):
        if state.indexes.regions_of(placement):
            state.indexes.changes.note_placement(placement)


def refer(state: State, parent: Row, references: tuple[Descriptor, ...]) -> None:
    """Remember what *parent* refers to. Content never changes: once is enough.

    After it has arrived, so that whoever watches is told.
    """
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
    _note(state, parent)


def convert(state: State, digest: Row, original: Digest | None) -> None:
    """Remember that a copy changed the digest of the same image."""
    if original is not None:
        row = state.digest_row(original)
        known = state.digests.get(digest, cells.Digest.ORIGINAL)
        if row != digest and not known:
            state.digests.set(digest, cells.Digest.ORIGINAL, row + 1)
            state.indexes.add_conversion(row, digest)
            _note(state, digest)


def named(table: Table, name: str, *, always: bool = False) -> int:
    """Return the row of *name* plus one; 0, not known, once the table is full.

    A name that is *always* kept is added to a full table, too.
    """
    key = name.encode()
    row = table.find(key)
    if row == ABSENT:
        if len(table) >= VOCABULARY_MAX and not always:
            return 0
        row, _ = table.add(key)
    return row + 1


def platform_key(platform: Platform) -> str:
    """Return a platform as it is kept in ``platforms``."""
    return f"{platform.os}\0{platform.architecture}\0{platform.variant}"


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
    """Say whether *fact* gives a known digest another size or kind."""
    attested: dict[str, int] = {}
    for content in descriptors_of(fact):
        if not content.size_bytes:
            continue
        if (
            attested.setdefault(content.digest, content.size_bytes)
            != content.size_bytes
        ):
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
    return known != stated and known in _GRAPH and stated in _GRAPH
