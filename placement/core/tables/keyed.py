"""Rows behind keys of bytes, one at a time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from placement.core.tables.columns import INT64, Code
from placement.core.tables.named_keys import NamedKeys
from placement.core.tables.rows import ABSENT, Row, RowNumbers, Rows
from placement.core.tables.saved_keys import SavedKeys

_RECENT_MAX: Final = 2**14
"""Keys of one size that are found without a search: the latest that were asked for."""


class Keyed(Rows):
    """Rows by key. With a *capacity* it forgets: a new row replaces the oldest one."""

    __slots__ = ("_added", "_capacity", "_free", "_keys", "_recent")

    def __init__(  # noqa: PLR0913 - what a table is, all but its name by keyword
        self,
        name: str,
        columns: Sequence[str],
        capacity: int | None = None,
        *,
        key_bytes: int | None = None,
        codes: Sequence[Code] = (),
        links: Sequence[Code] = (),
        seed: int = 0,
    ) -> None:
        """Make an empty table; *capacity* in rows, None for no bound.

        With *key_bytes* most keys have that size, and can be found many at a time.
        *codes* and *links* are those of columns, as in ``struct``; a column without
        one has 64 bits. *seed* says where keys are looked for, and changes no answer.
        """
        wide: list[Code] = [INT64] * (len(columns) - len(codes))
        super().__init__(name, columns, [*codes, *wide, *links])
        self._capacity = capacity
        self._keys: NamedKeys | SavedKeys
        if key_bytes is None:
            self._keys = NamedKeys(seed)
            self._recent = self._keys.rows_by_key
        else:
            self._keys = SavedKeys(key_bytes, seed)
            self._recent = {}
        self._free: list[int] = []
        self._added = 0

    def __len__(self) -> int:
        """Return how many rows are in use."""
        return self._keys.live

    @property
    def capacity(self) -> int | None:
        """How many rows there may be at the most; None for no bound."""
        return self._capacity

    def find(self, key: bytes) -> Row:
        """Return the row of *key*, or ABSENT."""
        row = self._recent.get(key)
        return self._search(key) if row is None else Row(row)

    def find_each(self, names: Iterable[str]) -> Sequence[int] | RowNumbers:
        """Return the row of each of *names*, or ABSENT."""
        if isinstance(self._keys, NamedKeys):
            return self._keys.find_each(names)
        return [self.find(name.encode()) for name in names]

    def _search(self, key: bytes) -> Row:
        row = self._keys.find(key)
        if row != ABSENT:
            self._remember(key, row)
        return Row(row)

    def _remember(self, key: bytes, row: int) -> None:
        if isinstance(self._keys, SavedKeys):
            if len(self._recent) >= _RECENT_MAX:
                self._recent.clear()
            self._recent[key] = row

    def find_or_add(self, key: bytes) -> Row:
        """Return the row of *key*; a new row holds zeros."""
        row = self.find(key)
        if row == ABSENT:
            row, _ = self.add(key)
        return row

    def add(self, key: bytes) -> tuple[Row, bytes | None]:
        """Add a row for the new *key*; return it and the key it replaced, if any."""
        replaced = None
        if self._capacity is not None and self._made == self._capacity:
            row = self._added % self._capacity
            replaced = self._keys.key(row)
            self._recent.pop(replaced, None)
            self._keys.drop(row)
            self._clear(row)
        elif self._free:
            row = self._free.pop()
            self._clear(row)
        else:
            row = self._made
            self._make(row + 1)
        self._keys.put(row, key)
        self._remember(key, row)
        self._added += 1
        self._pages.mark(row)
        return Row(row), replaced

    def remove(self, key: bytes) -> None:
        """Forget *key*, which must be there. Tables with a capacity forget by age."""
        assert self._capacity is None, "a bounded table forgets by itself"
        row = self._keys.find(key)
        assert row != ABSENT, f"{key!r} is not in {self.name}"
        self._recent.pop(key, None)
        self._keys.drop(row)
        self._free.append(row)
        self._pages.mark(row)

    def key(self, row: Row) -> bytes:
        """Return the key of a row that is in use."""
        return self._keys.key(row)

    def rows(self) -> Iterator[tuple[bytes, Row]]:
        """Yield each key and its row, in no order that means anything."""
        for key, row in self._keys.rows():
            yield key, Row(row)

    def newest_first(self, after: Row = ABSENT) -> Iterator[Row]:
        """Yield the rows of a table with a capacity, the latest added first.

        Only those that were added before row *after*, if one is given. What is added
        meanwhile may be missed.
        """
        assert self._capacity is not None, "only a bounded table knows its rows' ages"
        count, newest = self._made, self._added - 1
        first = 0 if after == ABSENT else (newest - after) % self._capacity + 1
        for age in range(first, count):
            yield Row((newest - age) % self._capacity)

    def tally(self, column: int) -> Counter[int]:
        """Return of a table with a capacity how many rows hold each integer there."""
        assert self._capacity is not None, "rows of other tables may be free"
        return self._tally(column)
