"""From where to where of a log: sequences, or times that become sequences."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from placement.core.errors import InputError
from placement.ports import EventLog, LogStatus

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SEQUENCE: Final = re.compile(r"[1-9]\d{0,18}")

Bound = tuple[int, int]
"""A sequence, or a time in nanoseconds since 1970; the other one is 0."""


def parse_bound(text: str, field: str) -> Bound:
    """Return a sequence, or a time of ISO 8601, which is UTC unless it says otherwise.

    Raises InputError, which names *field*.
    """
    said = text.strip()
    if _SEQUENCE.fullmatch(said):
        return int(said), 0
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        remedy = (
            "give a sequence of the log such as 12000, or a time such as 2026-11-30 or "
            "2026-11-30T12:00:00Z"
        )
        raise InputError(field, text, remedy) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return 0, (found - _EPOCH) // _MICROSECOND * 1_000


def told_bound(bound: Bound) -> str:
    """Return a bound in words."""
    sequence, time_ns = bound
    if not time_ns:
        return str(sequence)
    return (_EPOCH + time_ns // 1_000 * _MICROSECOND).isoformat()


async def first_from(log: EventLog, status: LogStatus, bound: Bound) -> int:
    """Return the first message at *bound* or after it; of a time, stored then or later.

    One past the last where there is none. Asks the log about thirty times.
    """
    sequence, time_ns = bound
    if not time_ns:
        return sequence
    low, high = status.first_sequence, status.last_sequence + 1
    while low < high:
        middle = (low + high) // 2
        message = await log.message(middle)
        if message is not None and message.store_time_ns < time_ns:
            low = middle + 1
        else:
            high = middle
    return low


async def last_before(log: EventLog, status: LogStatus, bound: Bound) -> int:
    """Return the last message of *bound*: that sequence, or stored before that time."""
    sequence, time_ns = bound
    if not time_ns:
        return min(sequence, status.last_sequence)
    return await first_from(log, status, bound) - 1
