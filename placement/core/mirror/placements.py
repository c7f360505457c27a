"""Where contents are, in columns, found by digest and repository."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.mirror.slots import Hashes, Rows, RowSlots
from placement.core.packed import KEY_BYTES, WORD_REGIONS, Keys, PackedPlacements, Words
from placement.core.tables.columns import BYTE, INT64, WORD32, Code, Column
from placement.core.tables.hashing import factors

WORDS: Final = KEY_BYTES // 8
UNPACK: Final = Struct(f"<{WORDS}Q").unpack
LOW_64: Final = 2**64 - 1
ROOM_MIN: Final = 1024
GROWS_BY: Final = 1.5
_NONE: Final = np.zeros(1, np.uint64)

Coming = dict[int, tuple[int, int]]
"""By a region's row: how far the content has come, and what of it is there."""
Where = slice | Rows


class MirroredPlacements:
    """Rows of placements, of which none is ever removed: what is gone is nowhere."""

    def __init__(self, seed: int, room: int = 0) -> None:
        """Have room for so many rows; *seed* is for the hash and changes no answer."""
        self.factors = tuple(factors(seed, WORDS + 1))
        """By which the words of a key and the owner's row count in the hash."""
        self._factors = np.array(self.factors, np.uint64)
        self.count = 0
        self.words = 1
        """How many words a mask of regions has."""
        self.keys = Column(WORD32, 2 * WORDS)
        self.owners = Column(WORD32)
        self.sizes = Column(INT64)
        self.kinds = Column(BYTE)
        self.complete = [Column(INT64)]
        self.verified: list[Column] = []
        """As many, once anything was verified."""
        self.coming: dict[int, Coming] = {}
        self.slots = RowSlots(self._hash_rows, room)
        self._grow(max(ROOM_MIN, room))

    @property
    def bytes_held(self) -> int:
        """Return how large the columns and the index are."""
        columns = [self.keys, self.owners, self.sizes, self.kinds]
        columns += [*self.complete, *self.verified]
        return self.slots.bytes_held + sum(column.array.nbytes for column in columns)

    def find(self, key: bytes, owner: int) -> int:
        """Return the row of a digest's key in a repository, or -1."""
        first, second, third, fourth = UNPACK(key)
        a, b, c, d, e = self.factors
        slots = self.slots
        hashed = first * a + second * b + third * c + fourth * d + owner * e
        at: int = (hashed & LOW_64) >> slots.shift
        cells, owners, keys = slots.cells, self.owners.cells, self.keys.memory
        while mark := cells[at]:
            row: int = mark - 1
            if owners[row] == owner and keys[row << 5 : mark << 5] == key:
                return row
            at = (at + 1) & slots.mask
        return -1

    def key(self, row: int) -> bytes:
        """Return the digest's key of a row."""
        return bytes(self.keys.memory[row << 5 : (row << 5) + 32])

    def mask(self, row: int) -> int:
        """Return where a placement is whole: a bit for each region's row."""
        if self.words == 1:
            return self.complete[0].cells[row] & LOW_64
        return _joined(self.complete, row)

    def verified_mask(self, row: int) -> int:
        """Return where it was read back by digest."""
        if self.words == 1 and self.verified:
            return self.verified[0].cells[row] & LOW_64
        return _joined(self.verified, row)

    # Written by what is told.

    def apply(
        self, told: PackedPlacements, owners: Sequence[int], regions: Sequence[int]
    ) -> Rows:
        """Take in what is told, and return the rows that it is about.

        *owners* and *regions* are the rows of the repositories and regions of its
        lists; masks have room for all regions.
        """
        owner_rows = np.array(owners, np.uint32)[told.owners]
        hashes = self._hash(told.digests, owner_rows)
        if told.fresh:
            rows = self._added(told.digests, owner_rows, hashes)
            self._set(slice(self.count - len(rows), self.count), told, regions)
        else:
            rows = self._found(told.digests, owner_rows, hashes)
            new = rows < 0
            if new.any():
                keys = told.digests[new]
                rows[new] = self._added(keys, owner_rows[new], hashes[new])
            self._set(rows, told, regions)
        self._set_coming(told, rows, regions)
        return rows

    def _set(
        self, where: Where, told: PackedPlacements, regions: Sequence[int]
    ) -> None:
        """Let the rows at *where* be as they are told."""
        self.sizes.array[where] = told.sizes
        self.kinds.array[where] = told.kinds
        self._set_masks(self.complete, where, told.complete, regions)
        if len(told.verified) and not self.verified:
            self.verified = [self._column(INT64) for _ in self.complete]
        if self.verified:
            verified = told.verified
            if not len(verified):
                verified = np.zeros_like(told.complete)
            self._set_masks(self.verified, where, verified, regions)

    def widen(self, region_count: int) -> None:
        """Have room for so many regions in each mask."""
        while self.words * WORD_REGIONS < region_count:
            self.words += 1
            self.complete.append(self._column(INT64))
            if self.verified:
                self.verified.append(self._column(INT64))

    def _set_masks(
        self, columns: list[Column], where: Where, told: Words, regions: Sequence[int]
    ) -> None:
        if list(regions) == list(range(len(regions))):
            masks = told
        else:
            masks = moved_bits(told, regions, self.words)
        for word, column in enumerate(columns):
            told_words = masks[:, word] if word < masks.shape[1] else _NONE
            column.array[where] = told_words.view(np.int64)

    def _set_coming(
        self, told: PackedPlacements, rows: Rows, regions: Sequence[int]
    ) -> None:
        if self.coming and not told.fresh:
            for row in rows.tolist():
                self.coming.pop(row, None)
        columns = (told.coming, told.coming_regions, told.coming_phases)
        for at, region, phase, held in zip(
            *(column.tolist() for column in columns),
            told.coming_held.tolist(),
            strict=True,
        ):
            found = self.coming.setdefault(int(rows[at]), {})
            found[regions[region]] = (phase, held)

    def _added(self, keys: Keys, owners: NDArray[np.uint32], hashes: Hashes) -> Rows:
        first = self.count
        rows = np.arange(first, first + len(owners))
        if not len(rows):
            return rows
        self.count += len(rows)
        if self.count > self.keys.rows:
            self._grow(max(self.count, int(GROWS_BY * self.keys.rows)))
        self.keys.array[first : self.count] = _as_words(keys)
        self.owners.array[first : self.count] = owners
        self.slots.add(hashes, rows)
        return rows

    def _found(self, keys: Keys, owners: NDArray[np.uint32], hashes: Hashes) -> Rows:
        words = _as_words(keys)

        def same(rows: Rows, positions: Rows) -> NDArray[np.bool_]:
            alike: NDArray[np.bool_] = self.owners.array[rows] == owners[positions]
            for word in range(WORDS):
                alike &= self.keys.array[rows, word] == words[positions, word]
            return alike

        return self.slots.find(hashes, same)

    def _grow(self, rows: int) -> None:
        for column in (self.keys, self.owners, self.sizes, self.kinds):
            column.grow(rows)
        for column in (*self.complete, *self.verified):
            column.grow(rows)

    def _column(self, code: Code) -> Column:
        column = Column(code)
        column.grow(self.keys.rows)
        return column

    def _hash(self, keys: Keys, owners: NDArray[np.uint32]) -> Hashes:
        words = _as_words(keys)
        total: Hashes = owners.astype(np.uint64) * self._factors[WORDS]
        for word in range(WORDS):
            total += words[:, word] * self._factors[word]
        return total

    def _hash_rows(self, rows: Rows) -> Hashes:
        words = self.keys.array[rows]
        owners = self.owners.array[rows].astype(np.uint64)
        total: Hashes = owners * self._factors[WORDS]
        for word in range(WORDS):
            total += words[:, word] * self._factors[word]
        return total


def moved_bits(masks: Words, regions: Sequence[int], words: int) -> Words:
    """Return *masks* with the bit of the first region at *regions[0]*, and so on."""
    found = np.zeros((len(masks), words), np.uint64)
    for bit, region in enumerate(regions):
        told = masks[:, bit // WORD_REGIONS] >> np.uint64(bit % WORD_REGIONS)
        to_word, to_bit = divmod(region, WORD_REGIONS)
        found[:, to_word] |= (told & np.uint64(1)) << np.uint64(to_bit)
    return found


def _as_words(keys: Keys) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys).view("<u8")


def _joined(columns: list[Column], row: int) -> int:
    found = 0
    for word, column in enumerate(columns):
        found |= (column.cells[row] & LOW_64) << (WORD_REGIONS * word)
    return found
