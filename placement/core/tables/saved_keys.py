"""Packed keys to a checkpoint and back."""

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import Final

import numpy as np

from placement.core.tables.finding import Rows
from placement.core.tables.packed_keys import KeyBytes, PackedKeys
from placement.core.tables.restored_pages import Counting, size_of
from placement.core.tables.slots import Slots

_COUNT: Final = Struct("<I")
_ODD: Final = Struct("<II")
_FREE: Final = 0xFFFFFFFF
"""In place of the length of a key that a row has not."""


class SavedKeys(PackedKeys):
    """Rows by keys of one size, which can be saved."""

    __slots__ = ()

    def pack(self, rows: Rows | slice) -> Iterator[bytes]:
        """Yield the parts of a chunk that hold the keys of *rows*."""
        packed = self._words.array[rows].view(np.uint8)[:, : self.size]
        odd: dict[int, bytes | None] = {}
        if self._gaps is not None:
            gaps = np.flatnonzero(self._gaps.array[rows])
            named = np.arange(self.count)[rows] if isinstance(rows, slice) else rows
            odd_rows = zip(gaps.tolist(), named[gaps].tolist(), strict=True)
            odd = {position: self._odd_keys.get(row) for position, row in odd_rows}
        yield _COUNT.pack(len(odd))
        for position, key in odd.items():
            yield _ODD.pack(position, _FREE if key is None else len(key))
            yield key or b""
        yield packed.tobytes()

    def restore(
        self, body: bytes, at: int, rows: Rows | slice, counts: Counting
    ) -> int:
        """Let *rows* have the keys from *at* on, and return where those end.

        Only those rows that count; ``index`` comes after.
        """
        odd: dict[int, bytes | None] = {}
        (odd_count,) = _COUNT.unpack_from(body, at)
        at += _COUNT.size
        for _ in range(odd_count):
            position, length = _ODD.unpack_from(body, at)
            at += _ODD.size
            odd[position] = None if length == _FREE else body[at : at + length]
            at += 0 if length == _FREE else length
        count = size_of(rows)
        keys = np.frombuffer(body, np.uint8, count * self.size, at)
        keys = keys.reshape(count, self.size)
        if counts is not None and not isinstance(rows, slice):
            places = np.cumsum(counts) - 1
            odd = {int(places[i]): key for i, key in odd.items() if counts[i]}
            rows, keys = rows[counts], keys[counts]
        self._restore(rows, keys, odd)
        return at + count * self.size

    def extend(self, keys: Sequence[bytes | None]) -> None:
        """Add a row for each key, or a free one."""
        nothing = bytes(self.size)
        odd = {
            row: key
            for row, key in enumerate(keys)
            if key is None or len(key) != self.size
        }
        same = (nothing if row in odd else key for row, key in enumerate(keys))
        packed = np.frombuffer(b"".join(key for key in same if key), np.uint8)
        rows = slice(self.count, self.count + len(keys))
        self._restore(rows, packed.reshape(len(keys), self.size), odd)

    def _restore(
        self, rows: Rows | slice, keys: KeyBytes, odd: Mapping[int, bytes | None]
    ) -> None:
        if not len(keys):
            return
        self._extend(rows.stop if isinstance(rows, slice) else int(rows.max()) + 1)
        self._words.array[rows] = self._words_of(keys)
        if self._gaps is None and not odd:
            return
        numbers = np.arange(self.count)[rows] if isinstance(rows, slice) else rows
        if self._gaps is not None:
            for row in numbers[self._gaps.array[rows] != 0].tolist():
                self._odd_keys.pop(row, None)
            self._gaps.array[rows] = 0
        for position, key in odd.items():
            row = int(numbers[position])
            self._mark_gap(row)
            if key is not None:
                self._odd_keys[row] = key

    def free(self) -> list[int]:
        """Return the rows that have no key."""
        if self._gaps is None:
            return []
        gaps = np.flatnonzero(self._gaps.array[: self.count])
        return [row for row in gaps.tolist() if row not in self._odd_keys]

    def index(self, slots: Slots | None = None, seed: int = 0) -> None:
        """Let the keys that were added by ``extend`` and ``restore`` be found.

        By *slots* of a hash of *seed*, if they hold just the rows that they should.
        """
        self._odd.update((key, row) for row, key in self._odd_keys.items())
        gaps = 0
        if self._gaps is not None:
            gaps = int(np.count_nonzero(self._gaps.array[: self.count]))
        self.live = self.count - gaps + len(self._odd_keys)
        if slots is not None and slots.holds(self.count - gaps, self.count):
            self._use_seed(seed)
            self._index.use(slots, self.count)
        else:
            self._index.fill(self.count)
