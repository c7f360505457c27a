"""Rows of integer columns behind keys of bytes: the one shape in which state is held.

A table finds or adds rows for keys and reads and writes integers; it does not know what
they mean. Rows travel to and from a checkpoint in chunks of CHUNK_ROWS.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, NewType

Row = NewType("Row", int)

ABSENT: Final = Row(-1)
CHUNK_ROWS: Final = 1024

_HEAD: Final = Struct("<qI")
_FREE: Final = 0xFFFFFFFF


class Table:
    """Rows by key. With a *capacity* it forgets: a new row replaces the oldest one."""

    __slots__ = (
        "_added",
        "_capacity",
        "_columns",
        "_dirty",
        "_free",
        "_keys",
        "_rows",
        "columns",
        "name",
    )

    def __init__(
        self, name: str, columns: Sequence[str], capacity: int | None = None
    ) -> None:
        """Make an empty table; *capacity* in rows, None for no bound."""
        self.name = name
        self.columns = tuple(columns)
        self._capacity = capacity
        self._rows: dict[bytes, Row] = {}
        self._keys: list[bytes | None] = []
        self._columns = tuple(array("q") for _ in self.columns)
        self._free: list[Row] = []
        self._added = 0
        self._dirty: set[int] = set()

    def __len__(self) -> int:
        """Return how many rows are in use."""
        return len(self._rows)

    def find(self, key: bytes) -> Row:
        """Return the row of *key*, or ABSENT."""
        return self._rows.get(key, ABSENT)

    def find_or_add(self, key: bytes) -> Row:
        """Return the row of *key*; a new row holds zeros."""
        row = self._rows.get(key)
        if row is None:
            row, _ = self.add(key)
        return row

    def add(self, key: bytes) -> tuple[Row, bytes | None]:
        """Add a row for the new *key*; return it and the key it replaced, if any."""
        row, replaced = self._vacant()
        if replaced is not None:
            del self._rows[replaced]
        self._rows[key] = row
        self._keys[row] = key
        for column in self._columns:
            column[row] = 0
        self._added += 1
        self._dirty.add(row // CHUNK_ROWS)
        return row, replaced

    def _vacant(self) -> tuple[Row, bytes | None]:
        if self._capacity is not None and len(self._keys) == self._capacity:
            row = Row(self._added % self._capacity)
            return row, self._keys[row]
        if self._free:
            return self._free.pop(), None
        self._keys.append(None)
        for column in self._columns:
            column.append(0)
        return Row(len(self._keys) - 1), None

    def remove(self, key: bytes) -> None:
        """Forget *key*, which must be there. Tables with a capacity forget by age."""
        assert self._capacity is None, "a bounded table forgets by itself"
        row = self._rows.pop(key)
        self._keys[row] = None
        self._free.append(row)
        self._dirty.add(row // CHUNK_ROWS)

    def get(self, row: Row, column: int) -> int:
        """Return the integer at *row* and *column* (its position in ``columns``)."""
        return self._columns[column][row]

    def set(self, row: Row, column: int, value: int) -> None:
        """Store *value*; a value that is there already changes nothing."""
        values = self._columns[column]
        if values[row] != value:
            values[row] = value
            self._dirty.add(row // CHUNK_ROWS)

    def set_all(self, row: Row, values: Iterable[int]) -> None:
        """Store *values* in the columns of *row*, from the first one on."""
        for column, value in zip(self._columns, values, strict=False):
            column[row] = value
        self._dirty.add(row // CHUNK_ROWS)

    def raise_to(self, row: Row, column: int, value: int) -> bool:
        """Store *value* if it is greater than what is there; say whether it was."""
        if value <= self._columns[column][row]:
            return False
        self.set(row, column, value)
        return True

    def increase(self, row: Row, column: int, by: int = 1) -> None:
        """Add *by* to the integer at *row* and *column*."""
        self.set(row, column, self._columns[column][row] + by)

    def key(self, row: Row) -> bytes:
        """Return the key of a row that is in use."""
        key = self._keys[row]
        assert key is not None, f"row {row} of {self.name} is free"
        return key

    def values(self, row: Row) -> tuple[int, ...]:
        """Return all integers of *row*, in the order of ``columns``."""
        return tuple([column[row] for column in self._columns])

    def rows(self) -> Iterator[tuple[bytes, Row]]:
        """Yield each key and its row, in no order that means anything."""
        yield from self._rows.items()

    def newest_first(self, after: Row = ABSENT) -> Iterator[Row]:
        """Yield the rows of a table with a capacity, the latest added first.

        Only those that were added before row *after*, if one is given. What is added
        meanwhile may be missed.
        """
        assert self._capacity is not None, "only a bounded table knows its rows' ages"
        count, newest = len(self._keys), self._added - 1
        first = 0 if after == ABSENT else (newest - after) % self._capacity + 1
        for age in range(first, count):
            yield Row((newest - age) % self._capacity)

    def tally(self, column: int) -> Counter[int]:
        """Return of a table with a capacity how many rows hold each integer there."""
        assert self._capacity is not None, "rows of other tables may be free"
        return Counter(self._columns[column])

    def take_dirty(self, count_max: int | None = None) -> list[tuple[int, bytes]]:
        """Return the packed chunks that changed since they were taken, by number.

        With *count_max*, at most so many of them; the rest stay for the next call.
        """
        numbers = sorted(self._dirty)[:count_max]
        self._dirty.difference_update(numbers)
        return [(number, self._packed(number)) for number in numbers]

    @property
    def chunk_count(self) -> int:
        """How many chunks the table is packed into, changed or not."""
        return -(-len(self._keys) // CHUNK_ROWS)

    def mark_dirty(self, number: int) -> None:
        """Let the next ``take_dirty`` return chunk *number* (a save failed)."""
        self._dirty.add(number)

    def mark_all_dirty(self) -> None:
        """Let the next ``take_dirty`` return every chunk (the checkpoint is gone)."""
        self._dirty.update(range(self.chunk_count))

    def _packed(self, number: int) -> bytes:
        first = number * CHUNK_ROWS
        keys = self._keys[first : first + CHUNK_ROWS]
        lengths = [_FREE if key is None else len(key) for key in keys]
        parts = [_HEAD.pack(self._added, len(keys))]
        parts.append(Struct(f"<{len(keys)}I").pack(*lengths))
        parts.extend(key for key in keys if key is not None)
        for column in self._columns:
            values = column[first : first + CHUNK_ROWS]
            parts.append(Struct(f"<{len(values)}q").pack(*values))
        return b"".join(parts)

    def load(self, chunks: Sequence[bytes], *, of_this_version: bool = True) -> None:
        """Fill an empty table from its packed chunks, in order.

        Those of another fold version may lack the last columns, which are then zero.
        Raises ValueError when a chunk does not have the shape of this table.
        """
        assert not self._keys, f"table {self.name} is not empty"
        for position, body in enumerate(chunks):
            try:
                self._unpack(body, of_this_version=of_this_version)
            except Exception as error:
                message = f"chunk {position} of table {self.name} is malformed"
                raise ValueError(message) from error
            if position < len(chunks) - 1 and len(self._keys) % CHUNK_ROWS:
                message = f"chunk {position} of table {self.name} is not full"
                raise ValueError(message)

    def _unpack(self, body: bytes, *, of_this_version: bool) -> None:
        added, count = _HEAD.unpack_from(body)
        self._added = max(self._added, added)
        at = _HEAD.size
        lengths = Struct(f"<{count}I").unpack_from(body, at)
        at += 4 * count
        for length in lengths:
            row = Row(len(self._keys))
            if length == _FREE:
                self._keys.append(None)
                self._free.append(row)
                continue
            key = body[at : at + length]
            at += length
            self._keys.append(key)
            self._rows[key] = row
        for column in self._columns:
            if at == len(body) and not of_this_version:
                column.extend([0] * count)
                continue
            column.extend(Struct(f"<{count}q").unpack_from(body, at))
            at += 8 * count
        if at != len(body):
            message = f"{len(body) - at} bytes too many"
            raise ValueError(message)
