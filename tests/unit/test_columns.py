"""Memory of columns: it grows where it is, and keeps what it holds."""

import numpy as np
import pytest

from placement.core.tables import columns as module
from placement.core.tables.columns import INT32, INT64, WORD32, Column

MAPPED_ROWS = 2 * module._MAPPED_BYTES // 8  # noqa: SLF001 - where growing changes


@pytest.mark.parametrize("rows", [8, MAPPED_ROWS])
def test_column_keeps_its_cells_when_it_grows(rows: int) -> None:
    """On the heap and mapped; what is new is zero."""
    column = Column(INT64)
    column.grow(rows)
    column.cells[rows - 1] = -5
    column.array[0] = 7

    column.grow(4 * rows)

    assert (column.rows, len(column.array)) == (4 * rows, 4 * rows)
    assert (column.cells[0], column.array[rows - 1]) == (7, -5)
    assert np.count_nonzero(column.array) == 2


def test_mapped_memory_is_moved_and_not_copied() -> None:
    """The kernel moves the pages of an anonymous private map."""
    column = Column(INT64)
    column.grow(MAPPED_ROWS)
    mapped = column.memory

    column.grow(2 * MAPPED_ROWS)

    assert column.memory is mapped


@pytest.mark.parametrize("rows", [8, MAPPED_ROWS])
def test_who_still_reads_keeps_what_was_there(rows: int) -> None:
    """A column that is read while it grows is copied."""
    column = Column(INT64)
    column.grow(rows)
    read = column.array

    column.grow(2 * rows)
    column.cells[0] = 1

    assert read[0] == 0
    assert column.array[0] == 1


def test_value_that_does_not_fit_is_refused() -> None:
    """Nothing wraps around."""
    column = Column(INT32)
    column.grow(1)

    with pytest.raises(ValueError, match="invalid value"):
        column.cells[0] = 2**31


def test_words_are_read_by_halves_and_in_pairs() -> None:
    """A key's cells are words of 32 bits, and its row in the array of 64."""
    column = Column(WORD32, 4)
    column.grow(2)

    column.cells[5] = 3

    assert column.array.shape == (2, 2)
    assert column.array[1, 0] == 3 << 32
