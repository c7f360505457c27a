"""Many rows of the state read at once, as columns of numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from placement.core.oci import Digest, content_kind
from placement.core.packed import (
    KEY_BYTES,
    WORD_REGIONS,
    Bytes,
    Keys,
    Numbers,
    Words,
    digest_key,
    word_count,
)
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import PlacementLink, ReplicaPhase
from placement.core.tables.keys import TAG_OWNER_BYTES, pair_keys
from placement.core.tables.table import Row

Rows = NDArray[np.int64]
Coming = NDArray[np.int64]
"""What is on its way: a position among the rows, a region's row, phase, bytes held."""

_REGION_PART = 1
"""Of a replica's key."""


def owners_and_contents(state: State, rows: Rows) -> tuple[Rows, Rows]:
    """Return the repository's and the digest's row of each placement."""
    parts = [state.placements.parts(part)[rows].astype(np.int64) for part in (0, 1)]
    return parts[0], parts[1]


def owners_of(tag_keys: Sequence[bytes]) -> Rows:
    """Return the repository's row of each tag, by its key."""
    heads = b"".join([key[:TAG_OWNER_BYTES] for key in tag_keys])
    return np.frombuffer(heads, "<u4").astype(np.int64)


def presence(state: State, rows: Rows) -> tuple[Words, Words, Coming]:
    """Return where each placement is whole, where it was verified, and what comes.

    Masks are by the rows of ``regions``.
    """
    words = word_count(len(state.regions))
    complete = np.zeros((len(rows), words), np.uint64)
    bits = state.placements.column(PlacementLink.PRESENT)[rows]
    complete[:, 0] = (bits & (cells.BEYOND_BIT - 1)).view(np.uint64)
    detailed = state.placements.column(PlacementLink.DETAILED)[rows] != 0
    told = np.flatnonzero(detailed | (bits & cells.BEYOND_BIT != 0))
    verified = np.zeros((len(rows), words), np.uint64)
    coming = _read_replicas(state, told, rows[told], complete, verified)
    return complete, verified, coming


def _read_replicas(
    state: State, told: Rows, rows: Rows, complete: Words, verified: Words
) -> Coming:
    """Read what the replicas of *rows*, which stand at positions *told*, tell more."""
    replicas, found = state.replicas, [np.empty((0, 4), np.int64)]
    columns = [replicas.column(cell) for cell in range(cells.Replica.HELD + 1)]
    regions = replicas.parts(_REGION_PART) if len(replicas) else None
    link = state.placements.column(PlacementLink.FIRST_REPLICA)[rows]
    while len(told):
        there = link > 0
        told, at = told[there], link[there].astype(np.int64) - 1
        if regions is None or not len(at):
            break
        gone, announced, whole, read, held = (column[at] for column in columns)
        region = regions[at].astype(np.int64)
        word, bit = region // WORD_REGIONS, (region % WORD_REGIONS).astype(np.uint64)
        bit = np.uint64(1) << bit
        is_read, is_whole = read > gone, (read > gone) | (whole > gone)
        complete[told[is_whole], word[is_whole]] |= bit[is_whole]
        verified[told[is_read], word[is_read]] |= bit[is_read]
        comes = (announced > gone) & ~is_whole
        phase = np.where(held > 0, ReplicaPhase.PARTIAL, ReplicaPhase.ANNOUNCED)
        found.append(np.stack([told, region, phase, held], axis=1)[comes])
        link = replicas.column(cells.ReplicaLink.NEXT)[at]
    return np.concatenate(found)


def sizes_of(state: State, contents: Rows) -> Numbers:
    """Return the size of each content in bytes; 0 when not known."""
    sizes: Numbers = state.digests.column(cells.Digest.SIZE)[contents]
    return sizes


def kinds_by_type(state: State) -> Bytes:
    """Return the ContentKind of each media type, by its row plus one."""
    types = [state.media_types.key(Row(row)) for row in range(len(state.media_types))]
    return np.array([0, *(content_kind(one.decode()) for one in types)], np.uint8)


def keys_of(state: State, contents: Rows) -> tuple[Keys, tuple[Digest, ...]]:
    """Return the key of each content, and those digests that keys do not tell."""
    keys = state.digests.keys_at(contents)
    odd = state.digests.odd_among(contents)
    others = [state.digest_at(Row(int(contents[at]))) for at in odd]
    for at, digest in zip(odd, others, strict=True):
        keys[at] = np.frombuffer(digest_key(digest), np.uint8, KEY_BYTES)
    return keys, tuple(dict.fromkeys(others))


def described(state: State, contents: Rows) -> Rows:
    """Return those of *contents* that refer to others, or were made of another one."""
    edges = state.digests.column(cells.Digest.EDGES)[contents]
    originals = state.digests.column(cells.Digest.ORIGINAL)[contents]
    return contents[(edges > 0) | (originals > 0)]


def references_of(state: State, contents: Rows) -> tuple[Rows, Rows, Rows]:
    """Return what *contents* refer to: how many, and then all, one after another.

    Counts, the digests' rows and the platforms' rows plus one.
    """
    counts = state.digests.column(cells.Digest.EDGES)[contents].astype(np.int64)
    if not counts.any():
        return counts, counts[:0], counts[:0]
    parents = np.repeat(contents, counts)
    positions = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    edges = state.edges.find_many(pair_keys(parents, positions))
    children = state.edges.column(cells.Edge.CHILD)[edges].astype(np.int64)
    platforms = state.edges.column(cells.Edge.PLATFORM)[edges].astype(np.int64)
    return counts, children, platforms


def originals_of(state: State, contents: Rows) -> Rows:
    """Return the row of what each content was made of, plus one; 0 for most."""
    found: Rows = state.digests.column(cells.Digest.ORIGINAL)[contents]
    return found.astype(np.int64)


def distinct(values: Rows, room: int) -> tuple[list[int], Rows]:
    """Return the distinct *values*, which are below *room*, and each one's position.

    In no order, and without sorting: a value that comes again finds who came last.
    """
    last = np.zeros(room, np.int64)
    last[values] = np.arange(len(values))
    firsts = values[last[values] == np.arange(len(values))]
    last[firsts] = np.arange(len(firsts))
    return firsts.tolist(), last[values]
