"""What a watcher in columns is told: a snapshot in chunks, then changes in batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from placement.core.packed import Packed, PackedContents, size_of
from placement.core.packing.gathering import Rows, described
from placement.core.packing.network import NetworkTeller
from placement.core.packing.packer import Packer
from placement.core.state import State
from placement.core.tables.changes import Changes
from placement.core.tables.table import Table
from placement.core.watched import Interest, Scene, Watchable

BLOCK_ROWS: Final = 2**14
"""Rows of one chunk: at 61 bytes each for 64 regions it stays below 1 MiB."""
TAG_ROWS: Final = 2**9
"""Tags of one chunk, whose names are read one by one."""
CONTENT_ROWS: Final = 2**10
"""Contents of one chunk; ten references each come to 450 KiB."""
DIGEST_ROWS: Final = 2**12
"""Contents that are looked through at once for those that refer to others: a chunk, or
several where they are that many."""
NOTES_READ: Final = 512
"""Changes that are packed at once."""
KEPT_BYTES_MAX: Final = 32 * 1024**2
"""Of chunks kept for other watchers of the same snapshot, each as columns and as it is
sent: 64 MiB of placements and tags, and as much of references."""
NOTES_SHARED: Final = 2**12
"""Changes since a snapshot began that another watcher joins: it is told them, too."""


Key = tuple[str, int]
"""What a chunk tells, and the first row of a block of it."""
REFERENCES: Final = "references"


@dataclass(eq=False, slots=True)
class KeptChunks:
    """The last chunks of one kind that were packed, as far as there is room."""

    chunks: dict[Key, Packed] = field(default_factory=dict)
    size_bytes: int = 0

    def clear(self) -> None:
        """Forget all of them."""
        self.chunks.clear()
        self.size_bytes = 0

    def keep(self, key: Key, chunk: Packed) -> None:
        """Keep a chunk that was just packed, in place of the oldest ones."""
        size = size_of(chunk)
        if size > KEPT_BYTES_MAX:
            return
        self.chunks[key] = chunk
        self.size_bytes += size
        while self.size_bytes > KEPT_BYTES_MAX:
            oldest = next(iter(self.chunks))
            self.size_bytes -= size_of(self.chunks.pop(oldest))


@dataclass(eq=False, slots=True)
class SharedChunks:
    """The last chunks that were packed, for whoever reads the same snapshot.

    They are of one state, none older than the note at *began*.
    """

    state: State | None = None
    began: int = 0
    described_again: int = 0
    """How much had been learned of known content when *references* were packed."""
    rows: KeptChunks = field(default_factory=KeptChunks)
    """Placements and tags."""
    references: KeptChunks = field(default_factory=KeptChunks)

    def begin(self, state: State) -> int:
        """Return from which note on a new watcher of *state* has to be told changes."""
        changes = state.indexes.changes
        known = state is self.state and not changes.lost(self.began)
        if not known or changes.end - self.began > NOTES_SHARED:
            self.state, self.began = state, changes.end
            self.rows.clear()
            self.references.clear()
        return self.began

    def of(
        self, state: State, key: Key, pack: Callable[[], Packed | None]
    ) -> Packed | None:
        """Return the chunk of *key*; *pack* makes it unless somebody just did."""
        if state is not self.state:
            return pack()
        kept = self.rows
        if key[0] == REFERENCES:
            kept = self.references
            if self.described_again != state.indexes.changes.described_again:
                self.described_again = state.indexes.changes.described_again
                kept.clear()
        found = kept.chunks.get(key)
        if found is None:
            found = pack()
            if found is not None:
                kept.keep(key, found)
        return found


@dataclass(frozen=True, slots=True)
class PackedInterest(Watchable[Packed]):
    """An interest that is told in columns; *shared* by all watchers of one service."""

    interest: Interest
    shared: SharedChunks = field(default_factory=SharedChunks)

    @property
    def trusting(self) -> bool:
        """Whether it is told what is known, however old that is."""
        return self.interest.trusting

    def select(self, state: State) -> "PackedSelection":
        """Return how what is watched looks in *state*."""
        return PackedSelection(state, self.interest, self.shared)


class PackedSelection(Scene[Packed]):
    """One interest in one state, told in columns to one watcher."""

    def __init__(self, state: State, interest: Interest, shared: SharedChunks) -> None:
        """Tell of *state* what *interest* means."""
        self.state = state
        self._tags = interest.tags
        self._packer = Packer(state, interest)
        whole = interest.everywhere and not interest.regions
        self._shared = shared if whole else None
        self._network = NetworkTeller(state)
        self._contents: list[Rows] = []
        """Of the placements that a filtered snapshot told of, where they refer on."""

    @property
    def changes(self) -> Changes:
        """Return the notes of what changed."""
        return self.state.indexes.changes

    @property
    def chunked(self) -> bool:
        """Whether many things are told as one: they are."""
        return True

    @property
    def room(self) -> int:
        """Return how many placements a snapshot tells of, where it tells of all."""
        return 0 if self._shared is None else len(self.state.placements)

    # A snapshot.

    def begin(self) -> int:
        """Return from which note on a snapshot that begins now is out of date."""
        if self._shared is None:
            return self.changes.end
        return self._shared.begin(self.state)

    def parts(self) -> Iterator[Callable[[int], Packed | None]]:
        """Yield what packs the next chunk, of what is added late too."""
        placements, tags = self.state.placements, self.state.tags
        yield from self._blocks(placements, BLOCK_ROWS, self._placements)
        if self._shared is None:
            yield from self._referring(np.concatenate([*self._contents, _NO_ROWS]))
        else:
            yield from self._all_referring()
        if self._tags:
            yield from self._blocks(tags, TAG_ROWS, self._packer.tags)

    def _blocks(
        self, table: Table, step: int, pack: Callable[[Rows], Packed | None]
    ) -> Iterator[Callable[[int], Packed | None]]:
        first = 0
        while first < len(table):
            end = min(first + step, len(table))
            full = end - first == step
            yield partial(self._block, (table.name, first), pack, end, full=full)
            first = end

    def _block(
        self,
        key: Key,
        pack: Callable[[Rows], Packed | None],
        end: int,
        now_ns: int,
        *,
        full: bool,
    ) -> Packed | None:
        """Pack the rows up to *end*, unless somebody else just did."""
        del now_ns  # it looks the same at any time
        packs = partial(pack, np.arange(key[1], end))
        if self._shared is None or not full:
            return packs()
        return self._shared.of(self.state, key, packs)

    def _placements(self, rows: Rows) -> Packed | None:
        found = self._packer.placements(rows, fresh=True)
        if found is None:
            return None
        packed, contents = found
        if self._shared is None:
            self._contents.append(described(self.state, contents))
        return packed

    def _all_referring(self) -> Iterator[Callable[[int], Packed | None]]:
        """Yield what packs the references of all contents that have any.

        That content refers to others is noted when it is learned, so that whoever reads
        a chunk that was packed for another is told of it afterwards.
        """
        first = 0
        while first < len(self.state.digests):
            end = min(first + DIGEST_ROWS, len(self.state.digests))
            contents = described(self.state, np.arange(first, end))
            if end - first == DIGEST_ROWS and len(contents) <= CONTENT_ROWS:
                yield partial(self._references, first, contents)
            else:
                yield from self._packs(contents)
            first = end

    def _references(self, first: int, contents: Rows, now_ns: int) -> Packed | None:
        """Pack what *contents* refer to, unless somebody else just did.

        They are those of the block from *first* on that refer to anything.
        """
        del now_ns  # it looks the same at any time
        if self._shared is None or not len(contents):
            return None
        packs = partial(self._packer.contents, contents)
        return self._shared.of(self.state, (REFERENCES, first), packs)

    def _referring(self, contents: Rows) -> Iterator[Callable[[int], Packed | None]]:
        """Yield what packs the references of *contents*, and of what those refer to."""
        yield from self._packs(self._packer.closure(np.unique(contents)))

    def _packs(self, contents: Rows) -> Iterator[Callable[[int], Packed | None]]:
        for first in range(0, len(contents), CONTENT_ROWS):
            block = contents[first : first + CONTENT_ROWS]
            yield partial(_contents, self._packer, block)

    # Changes.

    def following(self, position: int, now_ns: int) -> tuple[int, Iterable[Packed]]:
        """Return the position after the next changes, and those that are meant."""
        del now_ns  # it looks the same at any time
        placements: dict[int, None] = {}
        tags: dict[int, None] = {}
        end = min(self.changes.end, position + NOTES_READ)
        while position < end:
            position, noted = self.changes.read(position)
            if noted is not None:
                row, is_tag = noted
                (tags if is_tag else placements)[row] = None
        found: list[Packed] = []
        told = self._packer.placements(_rows(placements), fresh=False)
        if told is not None:
            packed, contents = told
            closed = self._packer.closure(described(self.state, np.unique(contents)))
            blocks = range(0, len(closed), CONTENT_ROWS)
            found = [packed]
            found += [
                self._packer.contents(closed[first : first + CONTENT_ROWS])
                for first in blocks
            ]
        moved = self._packer.tags(_rows(tags)) if self._tags else None
        return position, found if moved is None else [*found, moved]

    def beside(self, now_ns: int) -> Iterable[Packed]:
        """Return what is new of the network, if it is time to tell."""
        found = self._network.news(now_ns)
        return () if found is None else (found,)


_NO_ROWS: Final = np.empty(0, np.int64)


def _contents(packer: Packer, rows: Rows, now_ns: int) -> PackedContents:
    del now_ns  # it looks the same at any time
    return packer.contents(rows)


def _rows(found: Iterable[int]) -> Rows:
    return np.fromiter(found, np.int64)
