"""How long starts waited for their images, counted beside the state while it is folded.

Nothing of it is saved. It counts what the log stored from a moment on, so whoever folds
the same messages again, after a restart or beside the state that answers, comes to the
same counts: a replay counts nothing twice.
"""

from enum import IntEnum
from typing import Final

import numpy as np

from placement.core.tables.table import Row, RowNumbers

LIMITS_SECONDS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""What a start waited at most; what is above all of them is beyond."""
LIMITS_NS: Final = np.array([round(limit * 1e9) for limit in LIMITS_SECONDS], np.int64)
NEVER_NS: Final = 2**63 - 1


class CameFrom(IntEnum):
    """Where a machine had its image from; its name is the label of a metric."""

    HOST = 0
    REGION = 1
    REMOTE = 2
    UNKNOWN = 3


class StartWaits:
    """Starts that told how long they waited, by region and where the image was."""

    def __init__(self) -> None:
        """Count nothing before ``since_ns`` is set."""
        self.since_ns = NEVER_NS
        """Messages that were stored before this count for nothing."""
        self._counts = np.zeros((0, len(CameFrom), len(LIMITS_NS) + 1), np.int64)
        self._wait_ns = np.zeros((0, len(CameFrom)), np.int64)

    def note(self, region: Row, came_from: CameFrom, wait_ns: int) -> None:
        """Count one start in *region*; wait_ns >= 0."""
        self._grow(region)
        bucket = np.searchsorted(LIMITS_NS, wait_ns)
        self._counts[region, came_from, bucket] += 1
        self._wait_ns[region, came_from] += wait_ns

    def note_many(
        self, region: RowNumbers, came_from: RowNumbers, wait_ns: RowNumbers
    ) -> None:
        """Count one start for each of the columns' numbers; all wait_ns >= 0."""
        if not len(region):
            return
        self._grow(Row(int(region.max())))
        bucket = np.searchsorted(LIMITS_NS, wait_ns)
        np.add.at(self._counts, (region, came_from, bucket), 1)
        np.add.at(self._wait_ns, (region, came_from), wait_ns)

    def of(self, region: Row, came_from: CameFrom) -> tuple[tuple[int, ...], float]:
        """Return how many waited at most each limit, the last: all; and their seconds.

        *region* may be ABSENT, or one that nothing was counted for.
        """
        if not 0 <= region < len(self._counts):
            return (0,) * (len(LIMITS_NS) + 1), 0.0
        counts = np.cumsum(self._counts[region, came_from]).tolist()
        return tuple(counts), int(self._wait_ns[region, came_from]) / 1e9

    def _grow(self, region: Row) -> None:
        missing = region + 1 - len(self._counts)
        if missing > 0:
            wider = ((0, missing), (0, 0))
            self._counts = np.pad(self._counts, (*wider, (0, 0)))
            self._wait_ns = np.pad(self._wait_ns, wider)
