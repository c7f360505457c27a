"""Which repositories share a content: its placements, chained behind the first one."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.mirror.placements import (
    LOW_64,
    UNPACK,
    WORDS,
    MirroredPlacements,
)
from placement.core.mirror.slots import Hashes, Rows, RowSlots, Same
from placement.core.tables.columns import INT32, Column

STEP_ROWS: Final = 2**14


class Sharers:
    """An index by digest alone, filled in steps up to what was asked about."""

    def __init__(self, placements: MirroredPlacements) -> None:
        """Begin with no row indexed."""
        self._placements = placements
        self._slots = RowSlots(self._hash_rows)
        self._next = Column(INT32)
        """The row of the next placement of the same content, plus one; 0: none."""
        self._indexed = 0
        self._by_word = np.array(placements.factors, np.uint64)

    @property
    def bytes_held(self) -> int:
        """Return how large the index is."""
        return self._next.array.nbytes + self._slots.bytes_held

    @property
    def far_behind(self) -> bool:
        """Whether more than one step is left."""
        return self._placements.count - self._indexed > STEP_ROWS

    def step(self) -> bool:
        """Index the next STEP_ROWS rows; say whether any are left."""
        first, count = self._indexed, self._placements.count
        end = min(count, first + STEP_ROWS)
        if end > first:
            if self._next.rows < end:
                self._next.grow(max(count, self._placements.keys.rows))
            self._index(np.arange(first, end))
            self._indexed = end
        return end < count

    def _index(self, rows: Rows) -> None:
        """Chain *rows* of the same content, behind those that were chained before."""
        hashes = self._hash_rows(rows)
        order = np.argsort(hashes, kind="stable")
        rows, hashes = rows[order], hashes[order]
        words = self._placements.keys.array[rows]
        same = (words[1:] == words[:-1]).all(axis=1)
        chain = self._next.array
        chain[rows[:-1][same]] = rows[1:][same] + 1
        heads = np.flatnonzero(np.concatenate(([True], ~same)))
        tails = np.flatnonzero(np.concatenate((~same, [True])))
        before = self._slots.find(hashes[heads], self._alike(words[heads]))
        known = before >= 0
        chain[rows[tails[known]]] = chain[before[known]]
        chain[before[known]] = rows[heads[known]] + 1
        new = heads[~known]
        if len(new):
            self._slots.add(hashes[new], rows[new])

    def _alike(self, words: NDArray[np.uint64]) -> Same:
        keys = self._placements.keys.array

        def same(rows: Rows, positions: Rows) -> NDArray[np.bool_]:
            alike: NDArray[np.bool_] = keys[rows, 0] == words[positions, 0]
            for word in range(1, WORDS):
                alike &= keys[rows, word] == words[positions, word]
            return alike

        return same

    def of(self, key: bytes) -> Iterator[int]:
        """Yield the rows of all placements of a content, in no order."""
        while self.step():
            pass
        slots, keys = self._slots, self._placements.keys.memory
        at = sum(
            w * by for w, by in zip(UNPACK(key), self._placements.factors, strict=False)
        )
        at = (at & LOW_64) >> slots.shift
        while row := slots.cells[at]:
            if keys[row - 1 << 5 : (row - 1 << 5) + 32] == key:
                while row:
                    yield row - 1
                    row = self._next.cells[row - 1]
                return
            at = (at + 1) & slots.mask

    def _hash_rows(self, rows: Rows) -> Hashes:
        words = self._placements.keys.array[rows]
        total: Hashes = words[:, 0] * self._by_word[0]
        for word in range(1, WORDS):
            total += words[:, word] * self._by_word[word]
        return total
