"""Rows of integer columns behind keys of bytes: the one shape in which state is held.

A table finds or adds rows for keys and reads and writes integers; it does not know what
they mean. Rows travel to and from a checkpoint in chunks of CHUNK_ROWS.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.tables.packed_keys import KeyBytes, PackedKeys
from placement.core.tables.restored import RestoredTable
from placement.core.tables.rows import ABSENT, CHUNK_ROWS, Row, RowNumbers

__all__ = ["ABSENT", "CHUNK_ROWS", "KeyBytes", "Row", "RowNumbers", "Table"]

_PIECE: Final = 8192
"""Keys that are added at once, at the most."""


class Table(RestoredTable):
    """Rows by key, one or many at a time, that can be packed into chunks."""

    __slots__ = ()

    # Many keys at once: of one size, a row of bytes each.

    def find_many(self, keys: KeyBytes) -> RowNumbers:
        """Return the row of each key, or ABSENT."""
        return self._packed.find_many(keys)

    def find_or_add_many(self, keys: KeyBytes) -> tuple[RowNumbers, NDArray[np.bool_]]:
        """Return the row of each key, and which keys were new where they were named.

        Rows are those that ``find_or_add`` gives, key by key; new ones hold zeros.
        """
        rows = self.find_many(keys)
        new = rows == ABSENT
        if not new.any():
            return rows, new
        if self._replaces_any(rows[~new], len(keys)):
            return self._one_by_one(keys)
        absent = np.flatnonzero(new)
        first, which = self._packed.first_named(keys[absent])
        added, _ = self.add_many(keys[absent[first]])
        rows[absent] = added[which]
        new[:] = False
        new[absent[first]] = True
        return rows, new

    def _replaces_any(self, rows: RowNumbers, count: int) -> bool:
        """Say whether adding *count* rows may replace any of *rows*, or one of them."""
        if self._capacity is None or self._added + count <= self._capacity:
            return False
        return count > self._capacity or not self.stay(rows, count).all()

    def stay(self, rows: RowNumbers, count: int) -> NDArray[np.bool_]:
        """Return which of *rows* are not replaced by adding *count* rows."""
        if self._capacity is None or self._added + count <= self._capacity:
            return np.ones(len(rows), np.bool_)
        return (rows - self._added) % self._capacity >= count

    def _one_by_one(self, keys: KeyBytes) -> tuple[RowNumbers, NDArray[np.bool_]]:
        rows, new = np.empty(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        for position, key in enumerate(map(bytes, keys)):
            before = self._added
            rows[position] = self.find_or_add(key)
            new[position] = self._added > before
        return rows, new

    def add_many(self, keys: KeyBytes) -> tuple[RowNumbers, KeyBytes]:
        """Add rows for new *keys*, no two the same; return also what they replaced.

        Rows are those that ``add`` gives, key by key.
        """
        piece = min(_PIECE, self._capacity or _PIECE)
        found = [
            self._add_piece(keys[first : first + piece])
            for first in range(0, len(keys), piece)
        ] or [(np.empty(0, np.int64), keys)]
        rows, replaced = zip(*found, strict=True)
        return np.concatenate(rows), np.concatenate(replaced)

    def _add_piece(self, keys: KeyBytes) -> tuple[RowNumbers, KeyBytes]:
        packed, count, made = self._packed, len(keys), self._made
        if self._capacity is None:
            again = [self._free.pop() for _ in range(min(count, len(self._free)))]
            more = made + count - len(again)
            rows = np.concatenate([np.array(again, np.int64), np.arange(made, more)])
            used = rows[: len(again)]
        else:
            more = min(made + count, self._capacity)
            rows = np.arange(self._added, self._added + count) % self._capacity
            used = rows[more - made :]
        replaced = keys[:0]
        if used.size and self._capacity is not None:
            replaced = packed.keys_at(used)
            packed.drop_many(used)
            self._recent.clear()
        self._clear(used)
        self._make(more)
        packed.put_many(rows, keys)
        self._added += count
        self._pages.mark_many(rows)
        return rows, replaced

    # What keys are made of: 32-bit words, where all are of one size.

    def part(self, row: Row, position: int) -> int:
        """Return the word at *position* of a row's key."""
        return self._packed.part(row, position)

    def parts(self, position: int) -> NDArray[np.uint32]:
        """Return the word at *position* of every key, by row, as ``column`` does."""
        return self._packed.parts(position)

    # For whoever measures it.

    @property
    def key_bytes(self) -> int:
        """How long keys are that can be found many at a time."""
        return self._packed.size

    @property
    def column_count(self) -> int:
        """How many columns there are, links too."""
        return len(self._columns)

    @property
    def probes_max(self) -> int:
        """Lines of slots looked at for the key that is the farthest from its own."""
        return self._packed.slots.probes_max

    @property
    def slot_count(self) -> int:
        """How many slots there are, used or not."""
        return self._packed.slots.count

    @property
    def slot_load(self) -> float:
        """The share of slots that are in use."""
        return self._packed.slots.used / self.slot_count

    def keys_at(self, rows: RowNumbers) -> KeyBytes:
        """Return the keys of *rows*; of another size, see ``odd_among``: any bytes."""
        return self._packed.keys_at(rows)

    def in_use(self, first: int, last: int) -> NDArray[np.bool_]:
        """Return which of the rows from *first* to before *last* have a key."""
        return self._packed.in_use(first, last)

    @property
    def packs_keys(self) -> bool:
        """Whether keys have one size, and can be read many at a time."""
        return isinstance(self._keys, PackedKeys)

    def odd_among(self, rows: RowNumbers) -> list[int]:
        """Return where in *rows* there are keys of another size than most."""
        return self._packed.odd_among(rows)

    @property
    def _packed(self) -> PackedKeys:
        assert isinstance(self._keys, PackedKeys), f"keys of {self.name} vary in size"
        return self._keys
