"""The first layout of a checkpoint's chunks, which is only read.

Keys in full, each with its length, and every column as 64-bit integers; no links.
"""

from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ROWS_WHEN_FULL: Final = 1024

_HEAD: Final = Struct("<qI")
_FREE: Final = 0xFFFFFFFF


def unpack(body: bytes) -> tuple[int, list[bytes | None], list[NDArray[Any]]]:
    """Return how many rows were ever added, the keys by row, and the columns."""
    added, count = _HEAD.unpack_from(body)
    at = _HEAD.size
    lengths = np.frombuffer(body, "<u4", count, at).tolist()
    at += 4 * count
    keys: list[bytes | None] = []
    for length in lengths:
        if length == _FREE:
            keys.append(None)
            continue
        keys.append(body[at : at + length])
        at += length
    columns, left = divmod(len(body) - at, 8 * count) if count else (0, 0)
    if left or at > len(body):
        message = f"{left} bytes too many"
        raise ValueError(message)
    shape = (columns, count)
    values = np.frombuffer(body, "<i8", columns * count, at).reshape(shape)
    return added, keys, list(values)
