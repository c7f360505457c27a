"""Slots that grow in slices, so that no key pays for the growth of all of them.

While larger slots are filled, a few rows for each key that is added, those before
answer. The larger ones take over once they hold every row. Their memory is touched
first, a few pages at a time: rows lie all over it, and a page that nobody used yet
costs as much as moving many of them.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.tables.finding import LINE, Rows
from placement.core.tables.hashing import Hashes
from placement.core.tables.slots import Slots

_FIRST_LINES: Final = 4
_GROWS_AT: Final = 0.6
"""The share of slots in use from which on others are filled."""
_FULL_AT: Final = 0.8
"""The share that is never exceeded."""
_SPARSE: Final = 0.3
"""The share of slots that hold a row below which others are only to be swept out."""
_MOVED_PER_KEY: Final = 6
"""Rows that move for each key that is added: all of them, before _FULL_AT."""
_KEYS_PER_PAGE: Final = 16
"""Keys that are added before another page of memory is touched: soon they all are."""
_SLICE: Final = 512
"""Rows that move at once, where keys are added one by one."""
_READ: Final = 2**16
"""Rows that move at once, where a whole table is read."""

Moving = Callable[[int, int], tuple[Hashes, Rows]]
"""Return those rows from the first to before the last that have a slot, hashed."""


class Index:
    """Rows by hash, however many there are."""

    __slots__ = ("_moved", "_moving", "_next", "_owed", "_slots", "count")

    def __init__(self, moving: Moving) -> None:
        """Begin without rows; *moving* tells the hashes of what is there."""
        self._moving = moving
        self._slots = Slots(_FIRST_LINES)
        self._next: Slots | None = None
        self._moved = self._owed = 0
        self.count = 0
        """Rows that have or had a slot; who adds one says so after ``make_room``."""

    @property
    def slots(self) -> Slots:
        """The slots that answer now, and that a checkpoint holds."""
        return self._slots

    def candidates(self, hashed: int) -> list[int]:
        """Return the rows that may be those of a key, nearly always one at most."""
        return self._slots.candidates(hashed)

    def search(
        self,
        hashes: Hashes,
        keys: NDArray[np.generic],
        wanted: NDArray[np.generic],
    ) -> Rows:
        """Return the rows whose *keys* are those *wanted*, as ``Slots`` does."""
        return self._slots.search(hashes, keys, wanted)

    def place(self, hashed: int, row: int) -> None:
        """Let *row* be found by its hash."""
        self._slots.place(hashed, row)
        if self._next is not None and row < self._moved:
            self._next.place(hashed, row)

    def place_many(self, hashes: Hashes, rows: Rows) -> None:
        """Let *rows* be found by their hashes."""
        self._slots.place_many(hashes, rows)
        if self._next is not None:
            moved = rows < self._moved
            self._next.place_many(hashes[moved], rows[moved])

    def drop(self, hashed: int, row: int) -> None:
        """Let *row* no longer be found."""
        self._slots.drop(hashed, row)
        if self._next is not None and row < self._moved:
            self._next.drop(hashed, row)

    def drop_many(self, hashes: Hashes, rows: Rows) -> None:
        """Let *rows* no longer be found."""
        self._slots.drop_many(hashes, rows)
        if self._next is not None:
            moved = rows < self._moved
            self._next.drop_many(hashes[moved], rows[moved])

    def make_room(self, more: int) -> None:
        """Have slots for *more* keys, before they have rows."""
        if self._next is None:
            if self._slots.used + more <= _GROWS_AT * self._slots.count:
                return
            self._begin_next(more)
        self._owed += more
        if _MOVED_PER_KEY * self._owed >= _SLICE:
            self._go_on()
        while self._slots.used + more > _FULL_AT * self._slots.count:
            if self._next is None:
                self._begin_next(more)
            self._move(self.count)

    def _go_on(self) -> None:
        """Do what is due for the keys that were added."""
        assert self._next is not None, "there are slots to move to"
        if self._next.touch(-(-self._owed // _KEYS_PER_PAGE)):
            self._move(_MOVED_PER_KEY * self._owed)
        self._owed = 0

    def _begin_next(self, more: int) -> None:
        self._next = Slots(_lines_for(self._slots, more))
        self._moved = self._owed = 0

    def fill(self, count: int) -> None:
        """Find *count* rows that came without slots, where there were none."""
        self.count = count
        self._begin_next(count)
        while self._next is not None:
            self._move(_READ)

    def use(self, slots: Slots, count: int) -> None:
        """Find *count* rows by *slots* that were filled before."""
        self.count, self._slots, self._next = count, slots, None

    def _move(self, count: int) -> None:
        """Move *count* rows to the next slots, which take over once they hold all."""
        following = self._next
        assert following is not None, "there are slots to move to"
        last = min(self._moved + count, self.count)
        following.place_many(*self._moving(self._moved, last))
        self._moved = last
        if last == self.count:
            self._slots, self._next = following, None


def _lines_for(slots: Slots, more: int) -> int:
    count = slots.count
    if slots.live + more > _SPARSE * count:
        count *= 2
    while slots.live + more > _GROWS_AT * count:
        count *= 2
    return count // LINE
