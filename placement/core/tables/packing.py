"""Chunks of a checkpoint: how a table's rows are packed, and how they come back.

A chunk begins with the number of its layout and its stamp (``pages``), then how many
rows were ever added, how many it holds and a page could hold, and how many columns and
links. A delta says which rows it holds. The keys follow, as they pack themselves, and
then the columns: raw and little-endian, in as few bytes a value as the chunk needs. A
column that holds one value throughout is that one value; a wide column that is near the
wide one before it, as times of one event are, is its differences to that.
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
_ONE_DIFFERENCE: Final = b"0"
_VALUE: Final = Struct("<q")
_CODES: Final[dict[bytes, np.dtype[Any]]] = {
    b"b": np.dtype("<i1"),
    b"h": np.dtype("<i2"),
    b"i": np.dtype("<i4"),
    b"q": np.dtype("<i8"),
}
"""By width."""
_ROOM: Final = {
    code: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for code, dtype in _CODES.items()
}
_WIDE: Final = b"q"
_DIFFERENCES: Final = frozenset({_ONE_DIFFERENCE, b"B", b"H", b"I"})
"""Codes of columns that are kept as differences to the last wide one before."""


Values = NDArray[Any] | int
"""A column's, by row; or the one value of every row."""


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
    before: NDArray[np.int64] | None = None
    for column in columns:
        low, high = int(column.min()), int(column.max())
        if low == high:
            yield _ONE_VALUE
            yield _VALUE.pack(low)
            continue
        code = _narrowest(low, high)
        if code != _WIDE:
            yield code
            yield column.astype(_CODES[code]).tobytes()
            continue
        if before is not None:
            yield from _pack_beside(column, before)
        else:
            yield _WIDE
            yield column.tobytes()
        before = column


def _pack_beside(
    column: NDArray[np.int64], before: NDArray[np.int64]
) -> Iterator[bytes]:
    """Yield the parts of a wide column, as differences if those are narrow."""
    differences = column - before
    low, high = int(differences.min()), int(differences.max())
    code = _narrowest(low, high)
    if low == high:
        yield _ONE_DIFFERENCE
        yield _VALUE.pack(low)
    elif code != _WIDE:
        yield code.upper()
        yield differences.astype(_CODES[code]).tobytes()
    else:
        yield _WIDE
        yield column.tobytes()


def _narrowest(low: int, high: int) -> bytes:
    for code, (least, most) in _ROOM.items():
        if least <= low and high <= most:
            return code
    return _WIDE


def unpack_columns(
    body: bytes, at: int, rows: int, count: int
) -> tuple[list[Values], int]:
    """Return *count* columns from *at* on, and where they end."""
    found: list[Values] = []
    before: NDArray[Any] = np.zeros(rows, np.int64)
    for _ in range(count):
        code = body[at : at + 1]
        at += 1
        values: Values
        if code in {_ONE_VALUE, _ONE_DIFFERENCE}:
            values = int(_VALUE.unpack_from(body, at)[0])
            at += _VALUE.size
        else:
            dtype = _CODES[code.lower()]
            values = np.frombuffer(body, dtype, rows, at)
            at += rows * dtype.itemsize
        if code in _DIFFERENCES:
            values = before + values
        if code in _DIFFERENCES or code == _WIDE:
            assert not isinstance(values, int), "a wide column differs from row to row"
            before = values
        found.append(values)
    return found, at
