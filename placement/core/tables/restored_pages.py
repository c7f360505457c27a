"""What a checkpoint says of pages, as it is read."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

RowNumbers = NDArray[np.int64]
Counting = NDArray[np.bool_] | None
"""Which rows of a delta count; None: all of them."""

DELTAS: Final = 2**40
"""Of a delta's chunk the number is its stamp and this; a page's is that of the page."""


def size_of(rows: RowNumbers | slice) -> int:
    """Return how many *rows* there are."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def numbers_of(rows: RowNumbers | slice) -> Sequence[int]:
    """Return the numbers of *rows*, which ascend."""
    if isinstance(rows, slice):
        return range(rows.start, rows.stop)
    numbers: list[int] = rows.tolist()
    return numbers


class RestoredPages:
    """Which pages and deltas there are: pages come in order, deltas after them."""

    def __init__(self, page_rows: int) -> None:
        """Begin with nothing; a page has *page_rows*."""
        self.page_rows = page_rows
        self.stamps: list[int] = []
        self._held: list[int] = []
        """How many rows of each page are there."""
        self.deltas: dict[int, tuple[RowNumbers, RowNumbers]] = {}
        """Of each that counts the pages, and the rows that do."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        pages = len(self._held)
        return (pages - 1) * self.page_rows + self._held[-1] if pages else 0

    def page(self, number: int, stamp: int, count: int) -> slice:
        """Return the rows of page *number*, the next one, which holds *count* of them.

        Raises ValueError unless there may be such a page.
        """
        if number != len(self._held) or not 0 < count <= self.page_rows or stamp < 1:
            message = f"no page {number} of {count} rows and stamp {stamp} may come"
            raise ValueError(message)
        self._held.append(count)
        self.stamps.append(stamp)
        first = number * self.page_rows
        return slice(first, first + count)

    def delta(self, number: int, stamp: int, rows: RowNumbers) -> NDArray[np.bool_]:
        """Return which of a delta's *rows* count: those of older pages.

        Raises ValueError when pages are not there.
        """
        pages = rows // self.page_rows
        if number != DELTAS + stamp or rows.min() < 0 or pages.max() >= len(self._held):
            message = f"chunk {number} of stamp {stamp} rests on no page"
            raise ValueError(message)
        counts: NDArray[np.bool_] = np.array(self.stamps)[pages] < stamp
        if counts.any():
            resting, _ = pages_of(rows[counts], self.page_rows)
            self.deltas[stamp] = (resting, rows[counts])
            for page, last in zip(*pages_of(rows, self.page_rows), strict=True):
                held = int(last) + 1 - int(page) * self.page_rows
                self._held[page] = max(self._held[page], held)
        return counts

    def require_whole(self) -> None:
        """Raise ValueError unless every row of every page but the last is there."""
        for number, count in enumerate(self._held[:-1]):
            if count != self.page_rows:
                message = f"page {number} is not full"
                raise ValueError(message)


def pages_of(rows: RowNumbers, page_rows: int) -> tuple[RowNumbers, RowNumbers]:
    """Return the pages that *rows* are on, and the last row on each; all ascend.

    ``numpy.unique`` would do, but loads a fifth of a second of code when first called.
    """
    pages = rows // page_rows
    last = np.flatnonzero(np.diff(pages, append=-1))
    return pages[last], rows[last]
