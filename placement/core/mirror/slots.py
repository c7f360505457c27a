"""Which row a key is in: open addressing that is filled by the thousand.

Made for rows that are never removed and keys that are looked up one by one: whoever
looks one up walks ``cells`` itself, from ``hash >> shift`` on, until a slot is 0.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.tables.columns import INT32, Column

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
Same = Callable[[Rows, Rows], NDArray[np.bool_]]
"""Says which rows hold the keys that are looked for at some positions."""

HASH_BITS: Final = 64
FIRST_BITS: Final = 10
FULL: Final = 0.5
"""The share of slots in use from which on a larger table is filled beside."""
CROWDED: Final = 0.75
"""The share that is never exceeded: many rows at once make room for themselves."""
FEW: Final = 64
"""So many are placed faster one by one."""
MOVED_PER_ROW: Final = 8
MOVED_MIN: Final = 2**13
"""Slots that are moved to the larger table for each row added, and at the least."""


class RowSlots:
    """Slots of rows, plus one; 0 is free. It grows in slices while rows are added."""

    __slots__ = (
        "_hash",
        "_moved",
        "_next",
        "_since",
        "cells",
        "column",
        "count",
        "mask",
        "shift",
    )

    def __init__(self, hash_rows: Callable[[Rows], Hashes], room: int = 0) -> None:
        """Have room for so many rows; *hash_rows* tells the hashes of known rows."""
        self._hash = hash_rows
        self._next: RowSlots | None = None
        self._moved = self._since = 0
        self.count = 0
        bits = max(FIRST_BITS, int(room / FULL).bit_length())
        self.mask = (1 << bits) - 1
        self.shift = HASH_BITS - bits
        self.column = Column(INT32)
        self.column.grow(1 << bits)
        self.cells = self.column.cells

    @property
    def bytes_held(self) -> int:
        """Return how large the slots are."""
        return self.column.array.nbytes

    def add(self, hashes: Hashes, rows: Rows) -> None:
        """Let *rows* be found, each of which is after all that were added before."""
        if self.count + len(rows) > CROWDED * (self.mask + 1):  # more than its slices
            self._begin(2 * (self.count + len(rows)), int(rows.min()))
            assert self._next is not None, "just begun"
            self._move(self._next, self.mask + 1)
        self.place(hashes, rows)
        if self._next is not None:
            self._next.place(hashes, rows)
            self._move(self._next, max(MOVED_MIN, MOVED_PER_ROW * len(rows)))
        elif self.count > FULL * (self.mask + 1):
            self._begin(2 * self.count, int(rows.max()) + 1)

    def _begin(self, room: int, since: int) -> None:
        """Fill a larger table beside, itself given the rows from *since* on."""
        self._next = RowSlots(self._hash, room)
        self._moved, self._since = 0, since

    def _move(self, larger: "RowSlots", step: int) -> None:
        """Let *larger* find what the next slots hold, but what it was given itself."""
        found = self.column.array[self._moved : self._moved + step]
        rows = found[found > 0].astype(np.int64) - 1
        rows = rows[rows < self._since]
        larger.place(self._hash(rows), rows)
        self._moved += step
        if self._moved > self.mask:
            self.column, self.cells = larger.column, larger.cells
            self.mask, self.shift = larger.mask, larger.shift
            self._next = None

    def place(self, hashes: Hashes, rows: Rows) -> None:
        """Let *rows* be found, whether or not there is room enough."""
        slots, at = self.column.array, self._home(hashes)
        self.count += len(rows)
        marks = (rows + 1).astype(np.int32)
        while len(marks) > FEW:
            free = np.flatnonzero(slots.take(at) == 0)
            slots[at.take(free)] = marks.take(free)
            # Taken before, or by another one just now.
            late = np.flatnonzero(slots.take(at) != marks)
            at, marks = (at.take(late) + 1) & self.mask, marks.take(late)
        for home, mark in zip(at.tolist(), marks.tolist(), strict=True):
            slot = home
            while self.cells[slot]:
                slot = (slot + 1) & self.mask
            self.cells[slot] = mark

    def find(self, hashes: Hashes, same: Same) -> Rows:
        """Return the row for each hash whose key is the *same*; -1: there is none."""
        found = np.full(len(hashes), -1, np.int64)
        left, at = np.arange(len(hashes)), self._home(hashes)
        while len(left):
            rows = self.column.array[at].astype(np.int64) - 1
            used = rows >= 0
            left, at, rows = left[used], at[used], rows[used]
            alike = same(rows, left)
            found[left[alike]] = rows[alike]
            left, at = left[~alike], (at[~alike] + 1) & self.mask
        return found

    def _home(self, hashes: Hashes) -> Rows:
        return (hashes >> np.uint64(self.shift)).astype(np.int64)
