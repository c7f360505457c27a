"""An open-addressing index: which rows a key may be in, by its hash.

Slots lie in lines of sixteen, which fill up from the front. A key belongs into the line
that its hash names, or the next one that has room; so a line whose last slot was never
used ends every search. A slot holds its row, and a tag of eight further bits of the
hash, so that nearly no key is compared in vain.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from placement.core.tables.columns import BYTE, INT32, Column
from placement.core.tables.compiled import COMPILED
from placement.core.tables.finding import (
    DROPPED,
    EMPTY,
    LINE,
    NOWHERE,
    TAG_BITS,
    TAGS,
    Arrays,
    Rows,
    Words,
)
from placement.core.tables.hashing import Hashes
from placement.core.tables.pages import Pages
from placement.core.tables.restored_pages import Counting

PAGE_LINES: Final = 4096

_PAGE_BYTES: Final = 4096
_WORD_BITS: Final = 64
_BYTES: Final = tuple(bytes((value,)) for value in range(256))
_TAG_OF: Final = tuple(max(value, TAGS) for value in range(256))


class Slots:
    """*lines*, a power of two, of slots; it never grows, another one takes over."""

    __slots__ = (
        "_mask",
        "_rows",
        "_shift",
        "_tags",
        "_touched",
        "dropped",
        "pages",
        "probes_max",
        "used",
    )

    def __init__(self, lines: int) -> None:
        """Begin with every slot empty."""
        assert lines & (lines - 1) == 0, "a power of two"
        self._mask = lines - 1
        self._shift = _WORD_BITS - self._mask.bit_length()
        self._tags, self._rows = Column(BYTE), Column(INT32)
        self._tags.grow(lines * LINE)
        self._rows.grow(lines * LINE)
        self.pages = Pages(PAGE_LINES)
        """Which lines changed since they were saved."""
        self.pages.reserve(lines)
        self.pages.rows = lines
        self._touched = 0
        self.used = 0
        """Slots that are in use, or were and cannot be emptied."""
        self.dropped = 0
        """Slots that were in use and cannot be emptied: their lines were full."""
        self.probes_max = 0
        """Lines looked at for the key that is the farthest from its own line."""

    def touch(self, pages: int) -> bool:
        """Use so many further pages of memory for the first time; say if all were used.

        That takes time, which whoever places the first rows would have to wait for.
        """
        parts = (self._tags.array, self._rows.array.view(np.uint8))
        for part in parts:
            first = min(self._touched, len(part))
            last = min(first + pages * _PAGE_BYTES, len(part))
            part[first:last:_PAGE_BYTES] |= 0
        self._touched += pages * _PAGE_BYTES
        return self._touched >= len(parts[-1])

    @property
    def count(self) -> int:
        """How many slots there are."""
        return (self._mask + 1) * LINE

    @property
    def live(self) -> int:
        """How many slots hold a row."""
        return self.used - self.dropped

    # One at a time.

    def place(self, hashed: int, row: int) -> None:
        """Let *row* be found by a hash by which it is not found yet."""
        tags, line, probes = self._tags.memory, hashed >> self._shift, 1
        while True:
            at = self._vacant(line * LINE)
            if at != NOWHERE:
                break
            line = (line + 1) & self._mask
            probes += 1
        if tags[at] == DROPPED:
            self.dropped -= 1
        else:
            self.used += 1
        tags[at] = _TAG_OF[hashed >> TAG_BITS & 0xFF]
        self._rows.cells[at] = row
        self.pages.mark(line)
        self.probes_max = max(self.probes_max, probes)

    def _vacant(self, begin: int) -> int:
        tags, end = self._tags.memory, begin + LINE
        if self.dropped:
            at = tags.find(_BYTES[DROPPED], begin, end)
            if at != NOWHERE:
                return at
        return tags.find(_BYTES[EMPTY], begin, end)

    def candidates(self, hashed: int) -> list[int]:
        """Return the rows that may be those of a key, nearly always one at most."""
        tags, rows, line = self._tags.memory, self._rows.cells, hashed >> self._shift
        tag, found = _BYTES[_TAG_OF[hashed >> TAG_BITS & 0xFF]], []
        while True:
            begin = line * LINE
            end = begin + LINE
            at = tags.find(tag, begin, end)
            while at != NOWHERE:
                found.append(rows[at])
                at = tags.find(tag, at + 1, end)
            if tags[end - 1] == EMPTY:
                return found
            line = (line + 1) & self._mask

    def drop(self, hashed: int, row: int) -> None:
        """Let *row* no longer be found by the hash by which it was placed."""
        tags, rows, line = self._tags.memory, self._rows.cells, hashed >> self._shift
        tag = _BYTES[_TAG_OF[hashed >> TAG_BITS & 0xFF]]
        while True:
            end = line * LINE + LINE
            at = tags.find(tag, end - LINE, end)
            while at != NOWHERE and rows[at] != row:
                at = tags.find(tag, at + 1, end)
            if at != NOWHERE:
                break
            assert tags[end - 1] != EMPTY, f"row {row} has no slot"
            line = (line + 1) & self._mask
        self.pages.mark(line)
        if tags[end - 1] == EMPTY:  # nobody searches beyond: close the gap
            tags[at : end - 1] = tags[at + 1 : end]
            rows[at : end - 1] = rows[at + 1 : end]
            self.used -= 1
        else:
            tags[at] = DROPPED
            self.dropped += 1

    # Many at once.

    def search(self, hashes: Hashes, keys: Words, wanted: Words) -> Rows:
        """Return the rows whose *keys* are those *wanted*, NOWHERE for none.

        *keys* has a row of words for each row, *wanted* one for each hash.
        """
        found = np.full(len(hashes), NOWHERE, np.int64)
        COMPILED.kernels.search(hashes, self._arrays, keys, wanted, found)
        return found

    @property
    def _arrays(self) -> Arrays:
        return self._tags.array, self._rows.array, self._shift

    def place_many(self, hashes: Hashes, rows: Rows) -> None:
        """Let *rows* be found by hashes by which they are not found yet."""
        lines = np.empty(len(rows), np.int64)
        again, probes, *_ = COMPILED.kernels.place(hashes, self._arrays, rows, lines)
        self.dropped -= again
        self.used += len(rows) - again
        self.pages.mark_many(lines)
        self.probes_max = max(self.probes_max, probes)

    def drop_many(self, hashes: Hashes, rows: Rows) -> None:
        """Let *rows* no longer be found by the hashes by which they were placed."""
        lines = np.empty(len(rows), np.int64)
        emptied, *_ = COMPILED.kernels.drop(hashes, self._arrays, rows, lines)
        assert (lines != NOWHERE).all(), "each row has a slot"
        self.used -= emptied
        self.dropped += len(rows) - emptied
        self.pages.mark_many(lines)

    # To a checkpoint and back.

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self._mask + 1

    def pack(self, lines: Rows | slice) -> Iterator[bytes]:
        """Yield the parts of a chunk that hold *lines*."""
        yield self._tags.array.reshape(-1, LINE)[lines].tobytes()
        yield self._rows.array.reshape(-1, LINE)[lines].astype("<i4").tobytes()

    def restore(
        self, body: bytes, at: int, lines: Rows | slice, counts: Counting
    ) -> None:
        """Let those *lines* that count be as they are from *at* on, to the end.

        Raises ValueError when that is not as much. ``holds`` comes after.
        """
        rest = len(body) - at
        count, size = rest // (5 * LINE), LINE * (rest // (5 * LINE))
        tags = np.frombuffer(body, np.uint8, size, at).reshape(count, LINE)
        rows = np.frombuffer(body, "<i4", -1, at + size).reshape(count, LINE)
        if counts is not None and not isinstance(lines, slice):
            lines, tags, rows = lines[counts], tags[counts], rows[counts]
        self._tags.array.reshape(-1, LINE)[lines] = tags
        self._rows.array.reshape(-1, LINE)[lines] = rows

    def holds(self, live: int, rows: int) -> bool:
        """Count what was restored; say whether it is *live* rows, all below *rows*."""
        tags = self._tags.array
        self.dropped = int(np.count_nonzero(tags == DROPPED))
        self.used = int(np.count_nonzero(tags))
        return self.live == live and not (self._rows.array >= rows).any()
