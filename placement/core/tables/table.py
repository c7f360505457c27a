"""Rows of integer columns behind keys of bytes: the one shape in which state is held.

A table finds or adds rows for keys and reads and writes integers; it does not know what
they mean. Rows travel to and from a checkpoint in chunks of CHUNK_ROWS.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from placement.core.tables import older, packing
from placement.core.tables.keyed import Keyed
from placement.core.tables.packed_keys import KeyBytes, PackedKeys
from placement.core.tables.rows import ABSENT, CHUNK_ROWS, Row, RowNumbers

__all__ = ["ABSENT", "CHUNK_ROWS", "KeyBytes", "Row", "RowNumbers", "Table"]

_PIECE: Final = 8192
"""Keys that are added at once, at the most."""


class Table(Keyed):
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
            for key in map(bytes, replaced):
                self._recent.pop(key, None)
        self._clear(used)
        self._make(more)
        packed.put_many(rows, keys)
        self._added += count
        self._mark_many(rows)
        return rows, replaced

    @property
    def _packed(self) -> PackedKeys:
        assert isinstance(self._keys, PackedKeys), f"keys of {self.name} vary in size"
        return self._keys

    # To a checkpoint and back.

    def take_dirty(self, count_max: int | None = None) -> list[tuple[int, bytes]]:
        """Return the packed chunks that changed since they were taken, by number.

        With *count_max*, at most so many of them; the rest stay for the next call.
        """
        return [(number, self._chunk(number)) for number in self._taken(count_max)]

    def _chunk(self, number: int) -> bytes:
        first = number * self._chunk_rows
        last = min(first + self._chunk_rows, self._made)
        known = len(self.columns)
        links = len(self._columns) - known
        rows = (last - first, self._chunk_rows)
        head = packing.Head(self._added, *rows, known, links)
        keys = self._keys.pack(first, last)
        columns = packing.pack_columns(
            column.array[first:last] for column in self._columns
        )
        return b"".join((packing.pack_head(head), *keys, *columns))

    def load(
        self,
        chunks: Sequence[bytes],
        *,
        of_this_version: bool = True,
        renamed: Callable[[bytes], bytes] = bytes,
    ) -> bool:
        """Fill an empty table from its packed chunks, in order.

        Those of another fold version may lack the last columns, which are then zero.
        *renamed* turns a key of the first layout into one of this table. Returns
        whether the links were there, too. Raises ValueError when a chunk does not have
        the shape of this table.
        """
        assert not self._made, f"table {self.name} is not empty"
        anew, linked = False, True
        for position, body in enumerate(chunks):
            before = self._made
            try:
                head, values = self._read(body, renamed)
                self._fill(before, head, values, of_this_version=of_this_version)
            except Exception as error:
                message = f"chunk {position} of table {self.name} is malformed"
                raise ValueError(message) from error
            full = self._made - before == head.rows_when_full
            if position < len(chunks) - 1 and not full:
                message = f"chunk {position} of table {self.name} is not full"
                raise ValueError(message)
            anew |= head.rows_when_full != self._chunk_rows
            linked &= head.links == len(self._columns) - len(self.columns)
        self._keys.index()
        self._free = self._keys.free() if self._capacity is None else []
        if anew or not linked:
            self.mark_all_dirty()
        return linked

    def _read(
        self, body: bytes, renamed: Callable[[bytes], bytes]
    ) -> tuple[packing.Head, list[NDArray[Any]]]:
        """Add the rows of a chunk, without values; return those, and its head."""
        if packing.layout_of(body) != packing.LAYOUT:
            added, keys, found = older.unpack(body)
            self._keys.extend([None if key is None else renamed(key) for key in keys])
            head = packing.Head(added, len(keys), older.ROWS_WHEN_FULL, len(found), 0)
            return head, found
        head, at = packing.unpack_head(body)
        at = self._keys.unpack(body, at, head.rows)
        found, at = packing.unpack_columns(
            body, at, head.rows, head.columns + head.links
        )
        if at != len(body):
            message = f"{len(body) - at} bytes too many"
            raise ValueError(message)
        return head, found

    def _fill(
        self,
        first: int,
        head: packing.Head,
        values: list[NDArray[Any]],
        *,
        of_this_version: bool,
    ) -> None:
        """Let the rows from *first* on have the values that were read."""
        known = len(self.columns)
        if head.columns > known or (of_this_version and head.columns < known):
            message = f"{head.columns} columns in place of {known}"
            raise ValueError(message)
        self._make(self._keys.count)
        self._added = max(self._added, head.added)
        columns = self._columns[: head.columns]
        if head.links == len(self._columns) - known:
            columns += self._columns[known:]
        for column, value in zip(columns, values, strict=False):
            column.array[first : self._made] = value
