"""Many rows of the state read at once, as columns of numbers."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from placement.core.oci import Digest
from placement.core.packed import (
    KEY_BYTES,
    WORD_REGIONS,
    Bytes,
    Keys,
    Numbers,
    Words,
    digest_key,
    other_digests,
    word_count,
)
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row

Rows = NDArray[np.int64]

Coming = NDArray[np.int64]
"""What is on its way: a position among the rows, a region's row, phase, bytes held."""


def owners_and_contents(state: State, rows: Rows) -> tuple[Rows, Rows]:
    """Return the repository's and the digest's row of each placement."""
    key = state.placements.key
    packed = b"".join([key(Row(row)) for row in rows.tolist()])
    pairs = np.frombuffer(packed, "<u4").reshape(-1, 2).astype(np.int64)
    return pairs[:, 0], pairs[:, 1]


def presence(state: State, rows: Rows) -> tuple[Words, Words, Coming]:
    """Return where each placement is whole, where it was verified, and what comes.

    Masks are by the rows of ``regions``.
    """
    words = word_count(len(state.regions))
    complete = np.zeros((len(rows), words), np.uint64)
    verified = np.zeros((len(rows), words), np.uint64)
    coming = []
    for position, row in enumerate(map(Row, rows.tolist())):
        for region in state.indexes.regions_of(row):
            replica = state.replicas.find(PAIR.pack(row, region))
            phase = state.phase_at(replica)
            word, bit = divmod(region, WORD_REGIONS)
            if phase >= ReplicaPhase.COMPLETE:
                complete[position, word] |= np.uint64(1 << bit)
            if phase is ReplicaPhase.VERIFIED:
                verified[position, word] |= np.uint64(1 << bit)
            if ReplicaPhase.ABSENT < phase < ReplicaPhase.COMPLETE:
                held = state.replicas.get(replica, cells.Replica.HELD)
                coming.append((position, region, phase, held))
    return complete, verified, np.array(coming, np.int64).reshape(-1, 4)


def sizes_of(state: State, contents: Rows) -> Numbers:
    """Return the size of each content in bytes; 0 when not known."""
    found = [state.size_bytes(Row(row)) for row in contents.tolist()]
    return np.array(found, np.int64)


def kinds_of(state: State, contents: Rows) -> Bytes:
    """Return the ContentKind of each content."""
    return np.array([state.kind(Row(row)) for row in contents.tolist()], np.uint8)


def keys_of(state: State, contents: Rows) -> tuple[Keys, tuple[Digest, ...]]:
    """Return the key of each content, and those digests that keys do not tell."""
    digests = [state.digest_at(Row(row)) for row in contents.tolist()]
    return key_column(digests), other_digests(digests)


def key_column(digests: Iterable[str]) -> Keys:
    """Return the keys of *digests*, a row for each."""
    packed = b"".join(map(digest_key, digests))
    return np.frombuffer(packed, np.uint8).reshape(-1, KEY_BYTES)


def described(state: State, contents: Rows) -> Rows:
    """Return those of *contents* that refer to others, or were made of another one."""
    found = [
        row
        for row in contents.tolist()
        if state.digests.get(row, cells.Digest.EDGES)
        or state.digests.get(row, cells.Digest.ORIGINAL)
    ]
    return np.array(found, np.int64)


def references_of(state: State, contents: Rows) -> tuple[Rows, Rows, Rows]:
    """Return what *contents* refer to: how many, and then all, one after another.

    Counts, the digests' rows and the platforms' rows plus one.
    """
    counts, children, platforms = [], [], []
    for row in contents.tolist():
        count = state.digests.get(row, cells.Digest.EDGES)
        counts.append(count)
        for position in range(count):
            edge = state.edges.find(PAIR.pack(row, position))
            children.append(state.edges.get(edge, cells.Edge.CHILD))
            platforms.append(state.edges.get(edge, cells.Edge.PLATFORM))
    return _rows(counts), _rows(children), _rows(platforms)


def originals_of(state: State, contents: Rows) -> Rows:
    """Return the row of what each content was made of, plus one; 0 for most."""
    return _rows([state.digests.get(r, cells.Digest.ORIGINAL) for r in contents])


def _rows(values: Sequence[int]) -> Rows:
    return np.array(values, np.int64)


def distinct(values: Rows, room: int) -> tuple[list[int], Rows]:
    """Return the distinct *values*, which are below *room*, and each one's position.

    In no order, and without sorting: a value that comes again finds who came last.
    """
    last = np.zeros(room, np.int64)
    last[values] = np.arange(len(values))
    firsts = values[last[values] == np.arange(len(values))]
    last[firsts] = np.arange(len(firsts))
    return firsts.tolist(), last[values]
