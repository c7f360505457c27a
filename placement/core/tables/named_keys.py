"""Keys of any size, such as names: there are few, and each is an object."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from placement.core.tables.finding import NOWHERE
from placement.core.tables.restored_pages import (
    Counting,
    RowNumbers,
    numbers_of,
    size_of,
)
from placement.core.tables.short_keys import ShortKeys

_FREE: Final = 0xFFFFFFFF
"""In place of the length of a key that a row has not."""
_MANY_KEYS: Final = 4096
"""A dict of fewer is small enough to be near."""
_MANY_NAMES: Final = 64
"""Fewer names are not worth a look for all of them."""
_ADDED: Final = 1024
"""Keys that are packed at once, so that nobody waits for all of them."""


class NamedKeys:
    """Rows by keys, whatever their sizes."""

    __slots__ = ("_keys", "_seed", "_short", "_short_rows", "rows_by_key")

    def __init__(self, seed: int = 0) -> None:
        """Begin without keys; *seed* says where many are looked for."""
        self.rows_by_key: dict[bytes, int] = {}
        self._keys: list[bytes | None] = []
        self._seed = seed
        self._short: ShortKeys | None = None
        self._short_rows = 0
        """Rows whose keys are found by ``_short``, if they are short."""

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

    def find_each(self, names: Iterable[str]) -> Sequence[int] | RowNumbers:
        """Return the row of each of *names*, or NOWHERE."""
        get = self.rows_by_key.get
        keys = [name.encode() for name in names]
        if len(keys) < _MANY_NAMES or len(self.rows_by_key) < _MANY_KEYS:
            return [get(key, NOWHERE) for key in keys]
        rows = self._packed().find(keys)
        for place in np.flatnonzero(rows == NOWHERE).tolist():
            rows[place] = get(keys[place], NOWHERE)
        return rows

    def _packed(self) -> ShortKeys:
        """Return those keys that are packed, after packing some more."""
        short = self._short = self._short or ShortKeys(self._seed)
        first, last = self._short_rows, self._short_rows + _ADDED
        told = [
            (key, row)
            for row, key in enumerate(self._keys[first:last], first)
            if key is not None
        ]
        if told:
            short.add(*zip(*told, strict=True))
        self._short_rows = min(last, len(self._keys))
        return short

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
        if row < self._short_rows:
            self._short, self._short_rows = None, 0

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
