"""Chunks of a checkpoint: how a table's rows are packed, and how they come back.

A chunk begins with the number of its layout and its stamp (``pages``), then how many
rows were ever added, how many it holds and a page could hold, and how many columns and
links. A delta says which rows it holds. The keys follow, as they pack themselves, and
then the columns: raw and little-endian, in as few bytes a value as the chunk needs. A
column that holds one value throughout is that one value.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

LAYOUT: Final = -2
"""Of chunks from here on; the first layout began with a number that is not negative."""

_HEAD: Final = Struct("<qqqIIHH")
_LAYOUT: Final = Struct("<q")
_ONE_VALUE: Final = b"1"
_VALUE: Final = Struct("<q")
_WIDTHS: Final = tuple(np.dtype(f"<i{size}") for size in (1, 2, 4, 8))
_CODES: Final = {dtype.char.encode(): dtype for dtype in _WIDTHS}


class Head(NamedTuple):
    """What a chunk holds."""

    stamp: int
    added: int
    rows: int
    rows_when_full: int
    columns: int
    links: int


def layout_of(body: bytes) -> int:
    """Return the layout of a chunk; not negative for the first one."""
    layout: int = _LAYOUT.unpack_from(body)[0]
    return layout


def pack_head(head: Head) -> bytes:
    """Return how a chunk begins."""
    return _HEAD.pack(LAYOUT, *head)


def unpack_head(body: bytes) -> tuple[Head, int]:
    """Return what a chunk holds, and where its keys begin."""
    _, *values = _HEAD.unpack_from(body)
    return Head(*values), _HEAD.size


def pack_numbers(rows: NDArray[np.int64]) -> bytes:
    """Return the part of a delta that says which rows it holds."""
    return rows.astype("<u4").tobytes()


def unpack_numbers(body: bytes, at: int, count: int) -> tuple[NDArray[np.int64], int]:
    """Return which *count* rows a delta holds, and where they end."""
    rows = np.frombuffer(body, "<u4", count, at).astype(np.int64)
    return rows, at + 4 * count


def pack_columns(columns: Iterable[NDArray[Any]]) -> Iterator[bytes]:
    """Yield the parts of a chunk that hold *columns*, each of one row at least."""
    for column in columns:
        low, high = int(column.min()), int(column.max())
        if low == high:
            yield _ONE_VALUE
            yield _VALUE.pack(low)
            continue
        dtype = next(
            each
            for each in _WIDTHS
            if np.iinfo(each).min <= low and high <= np.iinfo(each).max
        )
        yield dtype.char.encode()
        yield column.astype(dtype).tobytes()


def unpack_columns(
    body: bytes, at: int, rows: int, count: int
) -> tuple[list[NDArray[Any]], int]:
    """Return *count* columns from *at* on, and where they end."""
    found: list[NDArray[Any]] = []
    for _ in range(count):
        code = body[at : at + 1]
        at += 1
        if code == _ONE_VALUE:
            found.append(np.full(rows, _VALUE.unpack_from(body, at)[0], np.int64))
            at += _VALUE.size
        else:
            dtype = _CODES[code]
            found.append(np.frombuffer(body, dtype, rows, at))
            at += rows * dtype.itemsize
    return found, at
