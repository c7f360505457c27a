"""Which rows changed since they were saved, and what of them a checkpoint holds.

Rows lie in pages. A page is saved whole: when it is new, when much of it changed, and
now and then to keep what follows short. Otherwise the rows that changed, of any page,
are saved together, as a delta. Whatever is saved gets a stamp, each one higher than all
before, so that a reader knows: a row of a delta counts if its page is older.

As many rows as are saved in deltas, ROLLED times as many are saved again in whole
pages, those first that keep the oldest delta alive. So after a while every delta is
older than all of its pages and is dropped, a checkpoint holds no more than the state
and half as much, and no save is a whole one after the first.
"""

from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

import numpy as np

from placement.core.tables.columns import BYTE, INT64, Column
from placement.core.tables.restored_pages import (
    DELTAS,
    RestoredPages,
    RowNumbers,
    pages_of,
)

ROLLED: Final = 2
DELTA_ROWS: Final = 4_096
"""A delta is full with so many rows, give or take what one look finds."""

_WHOLE: Final = 1 + ROLLED
"""A page is saved whole if one of so many of its rows changed: a delta costs more."""
_SMALL_ROWS: Final = 1_024
"""Deltas of no more rows are small."""
_SMALL_MAX: Final = 16
"""So many small deltas are saved again as one, lest there be a delta for each save."""
_WHOLE_ROWS: Final = 256
"""A page of no more rows is saved whole in any case."""
_LOOK_PAGES: Final = 16
"""Pages looked at in one step."""
_NONE: Final = np.empty(0, np.int64)
_UNSAVED: Final = 0


class Taken(NamedTuple):
    """What is to be saved in one chunk: a run of rows, or a delta's."""

    number: int
    stamp: int
    rows: RowNumbers | slice


class _Delta(NamedTuple):
    pages: RowNumbers
    size: int
    rows: RowNumbers | None
    """None: it is not small."""


class Pages:
    """The pages of some rows; who changes a row marks it."""

    __slots__ = (
        "_credit",
        "_deltas",
        "_stamp",
        "_stamps",
        "_touched",
        "are_changed",
        "changed",
        "page_rows",
        "rows",
    )

    def __init__(self, page_rows: int) -> None:
        """Begin without rows; a page has *page_rows*."""
        self.page_rows = page_rows
        self.rows = 0
        self.changed = Column(BYTE)
        """Whether each row is marked."""
        self.are_changed = False
        """Whether anything is marked."""
        self._touched = Column(BYTE)
        self._stamps = Column(INT64)
        self._deltas: dict[int, _Delta] = {}
        self._stamp = _UNSAVED
        self._credit = 0
        """Rows that are to be saved again in whole pages."""

    @property
    def count(self) -> int:
        """How many pages there are."""
        return -(-self.rows // self.page_rows)

    def reserve(self, rows: int) -> None:
        """Have memory for *rows*, which are more than there were."""
        self.changed.grow(rows)
        pages = -(-rows // self.page_rows)
        if pages > self._touched.rows:
            self._touched.grow(pages)
            self._stamps.grow(pages)

    # What changed.

    @property
    def are_rolling(self) -> bool:
        """Whether there are deltas, and pages are due to be saved again."""
        return self._credit > 0 and bool(self._deltas)

    def mark(self, row: int) -> None:
        """Note that a row changed."""
        self.changed.cells[row] = 1
        self._touched.cells[row // self.page_rows] = 1
        self.are_changed = True

    def mark_many(self, rows: RowNumbers) -> None:
        """Note that *rows* changed."""
        self.changed.array[rows] = 1
        self._touched.array[rows // self.page_rows] = 1
        self.are_changed = True

    def mark_page(self, page: int) -> None:
        """Let a page be saved whole."""
        self._stamps.cells[page] = _UNSAVED
        self._touched.cells[page] = 1
        self.are_changed = True

    def mark_all(self) -> None:
        """Let everything be saved: nothing of it is in the checkpoint."""
        self._stamps.array[: self.count] = _UNSAVED
        self._touched.array[: self.count] = 1
        self.are_changed = True
        self._deltas.clear()
        self._credit = 0

    # What is saved.

    def take(self) -> Generator[Taken | None]:
        """Yield what changed, chunk by chunk; it counts as unchanged from there on.

        Rows may change between two steps; they are marked again then. None: there is
        nothing to save yet. Who ends early closes it, so that the rest stays marked.
        """
        waiting: list[RowNumbers] = []
        self._join_small()
        self.are_changed, all_taken = False, False
        try:
            for first in range(0, self.count, _LOOK_PAGES):
                rows, whole = self._look(first)
                if len(rows):
                    waiting.append(rows)
                for page in whole.tolist():
                    yield self._take_page(page)
                if sum(map(len, waiting)) >= DELTA_ROWS:
                    delta, waiting = np.concatenate(waiting), []
                    yield self._take_delta(delta)
                else:
                    yield None
            if waiting:
                delta, waiting = np.concatenate(waiting), []
                yield self._take_delta(delta)
            all_taken = True
        finally:
            self.are_changed |= not all_taken
            for rows in waiting:
                self.mark_many(rows)

    def _look(self, first: int) -> tuple[RowNumbers, RowNumbers]:
        """Return the rows of some pages that changed, and which pages to take whole.

        The rows are those of the other pages, and are no longer marked.
        """
        last = min(first + _LOOK_PAGES, self.count)
        if not self._touched.array[first:last].any():
            return _NONE, _NONE
        begin, end = first * self.page_rows, min(last * self.page_rows, self.rows)
        changed = self.changed.array[begin:end]
        found = np.flatnonzero(changed.view(np.bool_))
        counts = np.bincount(found // self.page_rows, minlength=last - first)
        sizes = np.full(last - first, self.page_rows)
        sizes[-1] = end - (last - 1) * self.page_rows
        dense = (counts * _WHOLE >= sizes) | ((sizes <= _WHOLE_ROWS) & (counts > 0))
        whole = dense | (self._stamps.array[first:last] == _UNSAVED)
        rows = found[~whole[found // self.page_rows]]
        changed[rows] = 0
        self._touched.array[first:last][~whole] = 0
        return rows + begin, np.flatnonzero(whole) + first

    def _take_page(self, page: int) -> Taken:
        rows = self.rows_of(page)
        self.changed.array[rows] = 0
        self._touched.cells[page] = 0
        self._stamp += 1
        self._stamps.cells[page] = self._stamp
        return Taken(page, self._stamp, rows)

    def _take_delta(self, rows: RowNumbers) -> Taken:
        self._stamp += 1
        self._credit += ROLLED * len(rows)
        self._add_delta(self._stamp, pages_of(rows, self.page_rows)[0], rows)
        return Taken(DELTAS + self._stamp, self._stamp, rows)

    def _add_delta(self, stamp: int, pages: RowNumbers, rows: RowNumbers) -> None:
        small = len(rows) <= _SMALL_ROWS
        self._deltas[stamp] = _Delta(pages, len(rows), rows if small else None)

    def _join_small(self) -> None:
        """Let the rows of small deltas be saved again, if there are many of those."""
        small = {
            stamp: delta.rows
            for stamp, delta in self._deltas.items()
            if delta.rows is not None
        }
        if len(small) >= _SMALL_MAX:
            for stamp, rows in small.items():
                self.mark_many(rows)
                del self._deltas[stamp]

    def rows_of(self, page: int) -> slice:
        """Return the rows of a page."""
        first = page * self.page_rows
        return slice(first, min(first + self.page_rows, self.rows))

    def roll(self) -> Iterator[Taken]:
        """Yield pages that deltas rest on, as many as are due for what was taken."""
        while self._credit > 0 and (oldest := self._oldest()) is not None:
            page = int(self._resting_on(oldest)[0])
            rows = self.rows_of(page)
            if rows.stop - rows.start > self._credit:
                return
            self._credit -= rows.stop - rows.start
            yield self._take_page(page)

    def give_back(self, taken: Taken) -> None:
        """Note that what was taken may not be in the checkpoint after all."""
        if isinstance(taken.rows, slice):
            self.mark_page(taken.number)
        else:
            self._deltas.pop(taken.stamp, None)
            self.mark_many(taken.rows)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the chunks that a checkpoint of all this has."""
        self._oldest()
        yield from range(self.count)
        yield from (DELTAS + stamp for stamp in self._deltas)

    def _oldest(self) -> int | None:
        """Return the stamp of the oldest delta; those without use are forgotten."""
        for stamp in list(self._deltas):
            if len(self._resting_on(stamp)):
                return stamp
            del self._deltas[stamp]
        return None

    def _resting_on(self, stamp: int) -> RowNumbers:
        """Return the pages that are older than a delta with rows of theirs."""
        pages = self._deltas[stamp].pages
        return pages[self._stamps.array[pages] < stamp]

    # What was saved.

    def restore(self, restored: RestoredPages) -> None:
        """Begin with what was saved, unchanged since; there is memory for it."""
        self.rows = restored.rows
        self._stamps.array[: self.count] = restored.stamps
        for stamp, (pages, rows) in restored.deltas.items():
            self._add_delta(stamp, pages, rows)
        self._stamp = max((*restored.stamps, *self._deltas), default=_UNSAVED)
        due = ROLLED * sum(delta.size for delta in self._deltas.values())
        self._credit = max(0, due - self.rows)
