"""Keys of various sizes, most of them short, packed so that many are found at once.

A dict reads three places of the memory for each key, one after the other; of a hundred
thousand names that is what takes the time. Here all keys of a call are looked for
together. It may know some of the keys only: what it does not find, the dict is asked.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from placement.core.tables.columns import INT32, Column
from placement.core.tables.finding import NOWHERE, Rows
from placement.core.tables.packed_keys import KeyBytes, PackedKeys

SHORTER: Final = 48
"""Keys of so many bytes or more are not here; the last byte is a key's size."""
_SIZE_MAX: Final = 255


class ShortKeys:
    """Rows by keys of fewer than SHORTER bytes; none is ever dropped."""

    __slots__ = ("_packed", "_rows")

    def __init__(self, seed: int) -> None:
        """Begin without keys; *seed* says where they are looked for."""
        self._packed = PackedKeys(SHORTER, seed)
        self._rows = Column(INT32)

    def add(self, keys: Sequence[bytes], rows: Sequence[int]) -> None:
        """Let new *keys* have *rows*; those that are not short are left out."""
        packed = _packed(keys)
        [short] = (packed[:, -1] < SHORTER).nonzero()
        if not short.size:
            return
        count = self._packed.count + len(short)
        if count > self._rows.rows:
            self._rows.grow(2 * count)
        numbers = np.arange(self._packed.count, count)
        self._rows.array[numbers] = np.array(rows, np.int32)[short]
        self._packed.put_many(numbers, packed[short])

    def find(self, keys: Sequence[bytes]) -> Rows:
        """Return the row of each key, or NOWHERE: it is not here."""
        found = self._packed.find_many(_packed(keys))
        [here] = (found != NOWHERE).nonzero()
        found[here] = self._rows.array[found[here]]
        return found


def _packed(keys: Sequence[bytes]) -> KeyBytes:
    """Return *keys* filled up with zeros, and their sizes behind them."""
    packed = np.array(keys, f"S{SHORTER}").view(np.uint8).reshape(-1, SHORTER)
    sizes = np.fromiter(map(len, keys), np.int64, len(keys))
    packed[:, -1] = np.minimum(sizes, _SIZE_MAX)
    return packed
