"""Keys of one size, packed in a column of words, and the index that finds them."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.tables.columns import BYTE, WORD32, Column
from placement.core.tables.compiled import hash_of_many
from placement.core.tables.finding import NOWHERE, Rows, equal
from placement.core.tables.hashing import Hashes, hash_of_one
from placement.core.tables.index import Index
from placement.core.tables.slots import Slots

KeyBytes = NDArray[np.uint8]
"""Keys of one size, a row each."""

_READ: Final = 4096
"""Keys that are read at once by who reads them all."""


class PackedKeys:
    """Rows by keys of *size* bytes; a key of another size is kept by itself."""

    __slots__ = (
        "_gaps",
        "_hash",
        "_hash_many",
        "_index",
        "_odd",
        "_odd_keys",
        "_padding",
        "_stride",
        "_words",
        "count",
        "live",
        "seed",
        "size",
    )

    def __init__(self, size: int, seed: int = 0) -> None:
        """Begin without keys; *seed* is for the hash alone and changes no answer."""
        self.size = size
        words = -(-size // 4)
        self._stride = 4 * words
        self._padding = bytes(self._stride - size)
        self._words = Column(WORD32, words)
        self._use_seed(seed)
        self._index = Index(self._moving)
        self._gaps: Column | None = None
        """Which rows have no slot, once there are any: free, or of an odd key."""
        self._odd: dict[bytes, int] = {}
        self._odd_keys: dict[int, bytes] = {}
        self.count = 0
        """Rows that have or had a key."""
        self.live = 0

    def find(self, key: bytes) -> int:
        """Return the row of *key*, or NOWHERE."""
        if len(key) != self.size:
            return self._odd.get(key, NOWHERE)
        packed = key + self._padding
        words, stride = self._words.memory, self._stride
        for row in self._index.candidates(self._hash(packed)):
            if words[row * stride : (row + 1) * stride] == packed:
                return row
        return NOWHERE

    def key(self, row: int) -> bytes:
        """Return the key of a row that is in use."""
        if self._gaps is not None and self._gaps.cells[row]:
            odd = self._odd_keys.get(row)
            assert odd is not None, f"row {row} is free"
            return odd
        begin = row * self._stride
        return bytes(self._words.memory[begin : begin + self.size])

    def part(self, row: int, position: int) -> int:
        """Return the 32-bit word at *position* of a row's key."""
        return self._words.cells[row * self._stride // 4 + position]

    def parts(self, position: int) -> NDArray[np.uint32]:
        """Return the 32-bit word at *position* of every key, by row."""
        words: NDArray[np.uint32] = self._words.array[: self.count].view("<u4")
        return words[:, position]

    def put(self, row: int, key: bytes) -> None:
        """Let *row* have a new *key*; the row is the next one, or has none."""
        self.live += 1
        if len(key) != self.size:
            self._extend(row + 1)
            self._odd[key] = row
            self._odd_keys[row] = key
            self._mark_gap(row)
            return
        packed = key + self._padding
        self._index.make_room(1)
        self._extend(row + 1)
        self._words.memory[row * self._stride : (row + 1) * self._stride] = packed
        if self._gaps is not None:
            self._gaps.cells[row] = 0
        self._index.place(self._hash(packed), row)

    def drop(self, row: int) -> None:
        """Let *row* no longer have a key."""
        self.live -= 1
        if row in self._odd_keys:
            del self._odd[self._odd_keys.pop(row)]
            return
        self._index.drop(self._hash(self.key(row) + self._padding), row)
        self._mark_gap(row)

    def rows(self) -> Iterator[tuple[bytes, int]]:
        """Yield each key and its row, by row."""
        for first in range(0, self.count, _READ):
            last = min(first + _READ, self.count)
            packed = bytes(
                self._words.memory[first * self._stride : last * self._stride]
            )
            for row in range(first, last):
                if self._gaps is not None and self._gaps.cells[row]:
                    if row in self._odd_keys:
                        yield self._odd_keys[row], row
                    continue
                at = (row - first) * self._stride
                yield packed[at : at + self.size], row

    # Many at once.

    def find_many(self, keys: KeyBytes) -> Rows:
        """Return the row of each key, or NOWHERE."""
        words = self._words_of(keys)
        hashes = self._hash_many(words.view("<u4"))
        return self._index.search(hashes, self._words.array, words)

    def keys_at(self, rows: Rows) -> KeyBytes:
        """Return the keys of rows that have one of this size."""
        found = self._words.array.take(rows, axis=0).view(np.uint8)
        return found[:, : self.size]

    def put_many(self, rows: Rows, keys: KeyBytes) -> None:
        """Let *rows* have new *keys*, as ``put`` does one after the other."""
        words = self._words_of(keys)
        self._index.make_room(len(rows))
        self._extend(int(rows.max()) + 1)
        self._words.array[rows] = words
        self.live += len(rows)
        if self._gaps is not None:
            self._gaps.array[rows] = 0
        self._index.place_many(self._hash_many(words.view("<u4")), rows)

    def drop_many(self, rows: Rows) -> None:
        """Let *rows* no longer have a key, which is one of this size."""
        words = self._words.array.take(rows, axis=0)
        self._index.drop_many(self._hash_many(words.view("<u4")), rows)
        self.live -= len(rows)
        self._mark_gap(rows)

    def in_use(self, first: int, last: int) -> NDArray[np.bool_]:
        """Return which of the rows from *first* to before *last* have a key."""
        found = np.ones(last - first, np.bool_)
        if self._gaps is not None:
            found &= self._gaps.array[first:last] == 0
            for row in self._odd_keys:
                if first <= row < last:
                    found[row - first] = True
        return found

    def all_of_size(self, rows: Rows) -> bool:
        """Say whether every one of *rows* has a key of this size."""
        return self._gaps is None or not self._gaps.array[rows].any()

    def odd_among(self, rows: Rows) -> list[int]:
        """Return where in *rows* there are keys of another size."""
        if not self._odd_keys or self.all_of_size(rows):
            return []
        return [at for at, row in enumerate(rows.tolist()) if row in self._odd_keys]

    def _words_of(self, keys: KeyBytes) -> NDArray[np.uint64] | NDArray[np.uint32]:
        if self._padding:
            padded = np.zeros((len(keys), self._stride), np.uint8)
            padded[:, : self.size] = keys
            keys = padded
        return np.ascontiguousarray(keys).view(self._words.array.dtype)

    def _extend(self, count: int) -> None:
        if count > self._words.rows:
            self._words.grow(max(count, 2 * self._words.rows))
        if self._gaps is not None and self._gaps.rows < self._words.rows:
            self._gaps.grow(self._words.rows)
        self.count = self._index.count = max(self.count, count)

    def _mark_gap(self, row: int | Rows) -> None:
        if self._gaps is None:
            self._gaps = Column(BYTE)
            self._gaps.grow(self._words.rows)
        self._gaps.array[row] = 1

    def first_named(self, keys: KeyBytes) -> tuple[Rows, Rows]:
        """Return where in *keys* each key is first, and which of those each one is."""
        words = self._words_of(keys)
        hashes = self._hash_many(words.view("<u4"))
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        if not equal(words, words[first[which]]).all():  # a hash of two keys
            packed = words.view(f"V{self._stride}").ravel()
            _, first, which = np.unique(packed, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return first[order], rank[which]

    def _use_seed(self, seed: int) -> None:
        self.seed = seed
        words = self._stride // 4
        self._hash = hash_of_one(seed, words)
        self._hash_many = hash_of_many(seed, words)

    @property
    def slots(self) -> Slots:
        """The slots by which keys are found now."""
        return self._index.slots

    def _moving(self, first: int, last: int) -> tuple[Hashes, Rows]:
        rows = np.arange(first, last)
        if self._gaps is not None:
            rows = rows[self._gaps.array[first:last] == 0]
        words = self._words.array.take(rows, axis=0)
        return self._hash_many(words.view("<u4")), rows
