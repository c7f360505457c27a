"""Memory that grows where it is: one cell, or a few, for each row of a table.

What is small lives on the heap. What is large is mapped, and the kernel moves a map's
pages without copying them, so that growing takes no longer for ten million rows than
for a hundred thousand. A new row's cells are zero.
"""

from functools import lru_cache
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Code = Literal["B", "i", "I", "q"]
BYTE: Final = "B"
INT32: Final = "i"
INT64: Final = "q"
WORD32: Final = "I"

_MAPPED_BYTES: Final = 2**17
"""From this size on memory is mapped; what is smaller is copied when it grows."""
_MAP: Final = MAP_PRIVATE | MAP_ANONYMOUS
_NOTHING: Final[NDArray[Any]] = np.empty(0, np.uint8)
_NO_MEMORY: Final = bytearray()
_NO_CELLS: Final = memoryview(b"")
"""What columns without rows share: most columns of most states have none."""


class Column:
    """Cells by row: ``cells`` for one at a time, ``array`` for many.

    Both are made anew whenever the column grows; who still holds an older ``array``
    reads what was there then, and makes the growth a copy.
    """

    __slots__ = (
        "_code",
        "_dtype",
        "_row_bytes",
        "_shape",
        "array",
        "cells",
        "memory",
        "rows",
    )

    def __init__(self, code: Code = INT64, width: int | None = None) -> None:
        """Begin without rows, of *width* cells each; *code* as in ``struct``.

        With an even *width*, ``array`` holds words that are twice as wide.
        """
        self._code = code
        self._dtype, self._shape, self._row_bytes, self.array = _layout(code, width)
        self.rows = 0
        """How many rows there is memory for."""
        self.memory: bytearray | mmap = _NO_MEMORY
        self.cells = _NO_CELLS

    def grow(self, rows: int) -> None:
        """Have memory for *rows*, which are more than there were."""
        assert rows > self.rows, "a column only grows"
        size = rows * self._row_bytes
        if self.rows:
            self.cells.release()
        self.array = _NOTHING
        self.memory = _grown(self.memory, size)
        self.rows = rows
        self.cells = memoryview(self.memory).cast(self._code)
        count = size // self._dtype.itemsize
        self.array = np.frombuffer(self.memory, self._dtype, count).reshape(self._shape)


def _grown(memory: bytearray | mmap, size: int) -> bytearray | mmap:
    if isinstance(memory, mmap):
        try:
            memory.resize(size)
        except (BufferError, SystemError):  # somebody reads it; no such system call
            pass
        else:
            return memory
    found = bytearray(size) if size < _MAPPED_BYTES else mmap(-1, size, flags=_MAP)
    with memoryview(memory) as before:
        found[: len(memory)] = before
    return found


@lru_cache
def _layout(
    code: Code, width: int | None
) -> tuple[np.dtype[Any], tuple[int, ...], int, NDArray[Any]]:
    """Return the type of words, an array's shape, a row's bytes, and an empty array."""
    dtype, shape = np.dtype(code), (-1,)
    row_bytes = dtype.itemsize * (width or 1)
    if width is None:
        return dtype, shape, row_bytes, np.empty(0, dtype)
    if width % 2 == 0:
        dtype = np.dtype(f"u{2 * dtype.itemsize}")
    words = row_bytes // dtype.itemsize
    return dtype, (-1, words), row_bytes, np.empty((0, words), dtype)
