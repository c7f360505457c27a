"""Keys of any size, such as names: there are few, and each is an object."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from placement.core.tables.finding import NOWHERE
from placement.core.tables.restored_pages import (
    Counting,
    RowNumbers,
    numbers_of,
    size_of,
)

_FREE: Final = 0xFFFFFFFF
"""In place of the length of a key that a row has not."""


class NamedKeys:
    """Rows by keys, whatever their sizes."""

    __slots__ = ("_keys", "rows_by_key")

    def __init__(self) -> None:
        """Begin without keys."""
        self.rows_by_key: dict[bytes, int] = {}
        self._keys: list[bytes | None] = []

    @property
    def count(self) -> int:
        """How many rows have or had a key."""
        return len(self._keys)

    @property
    def live(self) -> int:
        """How many rows have a key."""
        return len(self.rows_by_key)

    def find(self, key: bytes) -> int:
        """Return the row of *key*, or NOWHERE."""
        return self.rows_by_key.get(key, NOWHERE)

    def key(self, row: int) -> bytes:
        """Return the key of a row that is in use."""
        key = self._keys[row]
        assert key is not None, f"row {row} is free"
        return key

    def put(self, row: int, key: bytes) -> None:
        """Let *row* have a new *key*; the row is the next one, or has none."""
        self.rows_by_key[key] = row
        if row == len(self._keys):
            self._keys.append(key)
        else:
            self._keys[row] = key

    def drop(self, row: int) -> None:
        """Let *row* no longer have a key."""
        self.rows_by_key.pop(self.key(row), None)
        self._keys[row] = None

    def rows(self) -> Iterator[tuple[bytes, int]]:
        """Yield each key and its row, by row."""
        for row, key in enumerate(self._keys):
            if key is not None:
                yield key, row

    def pack(self, rows: RowNumbers | slice) -> Iterable[bytes]:
        """Yield the parts of a chunk that hold the keys of *rows*."""
        keys = [self._keys[row] for row in numbers_of(rows)]
        lengths = [_FREE if key is None else len(key) for key in keys]
        yield np.array(lengths, "<u4").tobytes()
        yield from (key for key in keys if key is not None)

    def restore(
        self, body: bytes, at: int, rows: RowNumbers | slice, counts: Counting
    ) -> int:
        """Let *rows* have the keys from *at* on, and return where those end.

        Only those rows that count; ``index`` comes after.
        """
        count = size_of(rows)
        lengths = np.frombuffer(body, "<u4", count, at).tolist()
        at += 4 * count
        wanted = [True] * count if counts is None else counts.tolist()
        numbers = numbers_of(rows)
        self._keys.extend([None] * (numbers[-1] + 1 - len(self._keys)))
        for row, length, counted in zip(numbers, lengths, wanted, strict=True):
            key = None
            if length != _FREE:
                key = body[at : at + length]
                at += length
            if counted:
                self._keys[row] = key
        return at

    def extend(self, keys: Iterable[bytes | None]) -> None:
        """Add a row for each key, or a free one."""
        self._keys.extend(keys)

    def free(self) -> list[int]:
        """Return the rows that have no key."""
        return [row for row, key in enumerate(self._keys) if key is None]

    def index(self) -> None:
        """Let the keys that were added by ``extend`` and ``restore`` be found."""
        self.rows_by_key.update(
            (key, row) for row, key in enumerate(self._keys) if key is not None
        )
