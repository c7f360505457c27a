"""Columns of integers by row; which of them changed is noted in pages."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NewType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placement.core.tables.columns import Code, Column
from placement.core.tables.compiled import COMPILED
from placement.core.tables.finding import Room
from placement.core.tables.pages import Pages

Row = NewType("Row", int)
RowNumbers = NDArray[np.int64]

ABSENT: Final = Row(-1)
CHUNK_ROWS: Final = 16_384

_ROWS_FIRST: Final = 8


class Rows:
    """Integers by row and column. A row is used, and may be free again.

    Columns from ``columns`` are what is known. Beside them are *links*, whose positions
    follow: they are derived, so that ``values`` leaves them out.
    """

    __slots__ = (
        "_cells",
        "_changed",
        "_columns",
        "_known",
        "_made",
        "_pages",
        "columns",
        "name",
    )

    def __init__(
        self, name: str, columns: Sequence[str], codes: Sequence[Code]
    ) -> None:
        """Begin without rows; *codes* of the columns and links, as in ``struct``."""
        self.name = name
        self.columns = tuple(columns)
        self._columns = [Column(code) for code in codes]
        self._cells = [column.cells for column in self._columns]
        self._known = self._cells[: len(columns)]
        self._pages = Pages(CHUNK_ROWS)
        self._changed = self._pages.changed
        self._made = 0
        """Rows that are or were in use."""

    # One row at a time.

    def get(self, row: Row, column: int) -> int:
        """Return the integer at *row* and *column* (its position in ``columns``)."""
        return self._cells[column][row]

    def set(self, row: Row, column: int, value: int) -> None:
        """Store *value*; a value that is there already changes nothing.

        Raises ValueError for a value that the column has no room for.
        """
        cells = self._cells[column]
        if cells[row] != value:
            cells[row] = value
            if not self._changed.cells[row]:
                self._pages.mark(row)

    def set_all(self, row: Row, values: Iterable[int]) -> None:
        """Store *values* in the columns of *row*, from the first one on."""
        for cells, value in zip(self._cells, values, strict=False):
            cells[row] = value
        self._pages.mark(row)

    def raise_to(self, row: Row, column: int, value: int) -> bool:
        """Store *value* if it is greater than what is there; say whether it was."""
        if value <= self._cells[column][row]:
            return False
        self.set(row, column, value)
        return True

    def increase(self, row: Row, column: int, by: int = 1) -> None:
        """Add *by* to the integer at *row* and *column*."""
        self.set(row, column, self._cells[column][row] + by)

    def values(self, row: Row) -> tuple[int, ...]:
        """Return all integers of *row*, in the order of ``columns``."""
        return tuple([cells[row] for cells in self._known])

    def clear_links(self) -> None:
        """Let every link lead nowhere."""
        for column in self._columns[len(self.columns) :]:
            column.array[: self._made] = 0

    def chain(self, first: int, link: int) -> list[Row]:
        """Return the rows that *link* leads to from *first* on, the last one first.

        *first* is a link, too: a row plus one, or 0 for none.
        """
        cells, found = self._cells[link], []
        while first:
            found.append(Row(first - 1))
            first = cells[first - 1]
        found.reverse()
        return found

    # Many rows at once.

    def column(self, column: int) -> NDArray[Any]:
        """Return a column by row, of every row that is or was in use.

        It is to be read only, and only until the next row is added.
        """
        return self._columns[column].array[: self._made]

    def set_many(self, rows: RowNumbers, column: int, values: ArrayLike) -> None:
        """Store a value in each of *rows*, the last one where a row is named twice."""
        cells = self._columns[column].array
        cells[rows] = self._fitting(column, np.asarray(values))
        self._pages.mark_many(rows)

    def set_columns(self, rows: RowNumbers, values: NDArray[Any]) -> None:
        """Store *values*, a row each, in the columns of *rows*, from the first one on.

        The last one counts where a row is named twice.
        """
        for column in range(values.shape[1]):
            told = self._fitting(column, values[:, column])
            self._columns[column].array[rows] = told
        self._pages.mark_many(rows)

    def add_at(self, rows: RowNumbers, column: int, amounts: ArrayLike = 1) -> None:
        """Add an amount to each of *rows*, as often as it is named."""
        cells, rows = self._columns[column].array, np.ascontiguousarray(rows)
        told = np.full(rows.shape, amounts, np.int64)
        if not COMPILED.kernels.add_at(cells, rows, told, room_of(cells.dtype)):
            named, where = np.unique(rows, return_inverse=True)
            sums = cells[named].astype(np.int64)
            np.add.at(sums, where, told)
            cells[named] = self._fitting(column, sums)
        self._pages.mark_many(rows)

    def raise_many(self, rows: RowNumbers, column: int, values: ArrayLike) -> None:
        """Store a value in each of *rows* where it is greater than what is there."""
        cells, rows = self._columns[column].array, np.ascontiguousarray(rows)
        told = np.full(rows.shape, values, np.int64)
        if cells.dtype != np.int64:
            self._fitting(column, np.maximum(told, 0))
        COMPILED.kernels.raise_at(cells, rows, told)
        self._pages.mark_many(rows)

    def _fitting(self, column: int, values: NDArray[Any]) -> NDArray[Any]:
        dtype = self._columns[column].array.dtype
        if dtype == np.int64 or not values.size:
            return values
        least, greatest = room_of(dtype)
        if values.min() < least or values.max() > greatest:
            message = f"a value does not fit into column {column} of {self.name}"
            raise ValueError(message)
        return values

    def _tally(self, column: int) -> Counter[int]:
        found, counts = np.unique(self.column(column), return_counts=True)
        return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    # Rows come and go.

    def _make(self, count: int) -> None:
        """Let there be *count* rows, the new ones with zeros."""
        if count > self._changed.rows:
            rows = max(count, 2 * self._changed.rows, _ROWS_FIRST)
            for column in self._columns:
                column.grow(rows)
            self._pages.reserve(rows)
            self._cells[:] = [column.cells for column in self._columns]
            self._known = self._cells[: len(self.columns)]
        self._made = self._pages.rows = max(self._made, count)

    def _clear(self, rows: int | RowNumbers) -> None:
        for column in self._columns:
            column.array[rows] = 0


@lru_cache
def room_of(dtype: np.dtype[Any]) -> Room:
    """Return the least and the greatest integer that a cell of *dtype* holds."""
    kind = np.iinfo(dtype)
    return int(kind.min), int(kind.max)
