"""What is carried out first."""

from enum import IntEnum


class Priority(IntEnum):
    """Of a decided copy; the least comes first."""

    SOMEBODY_WAITS = 1
    FORESEEN = 2
    TOO_FEW = 3
    BACKFILL = 4
