"""Integer counts per hour in a bounded window: a ring that forgets by being reused.

A slot belongs to the newest hour that was written to it, so counts commute: any order
of the same events leaves the same integers. Nothing here weighs; ``demand`` does.
"""

from typing import Final

HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS
WINDOW_HOURS: Final = 168
"""One week: what happened longer ago is not counted by the hour any more."""


def hour_of(time_ns: int) -> int:
    """Return the hours since 1970 at *time_ns*."""
    return time_ns // HOUR_NS


def slot_of(hour: int) -> int:
    """Return the slot of the ring that *hour* is counted in."""
    return hour % WINDOW_HOURS
