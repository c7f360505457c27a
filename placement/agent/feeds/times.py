"""Moments and durations as registries write them, to the nanosecond and without float.

Sources: RFC 3339 (timestamps); Go's ``time.Duration.String`` (durations).
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from placement.core.errors import TimeInvalidError
from placement.core.event import DurationNs, TimeNs
from placement.wire.fields import DURATION_NS_MAX, TIME_NS_MAX

SECOND_NS: Final = 1_000_000_000
FRACTION_DIGITS: Final = 9
DURATION_LENGTH_MAX: Final = 40
"""The longest that Go writes is ``-2562047h47m16.854775808s``."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_UNIT_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "\N{MICRO SIGN}s": 1_000,
    "\N{GREEK SMALL LETTER MU}s": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_PART: Final = rf"([0-9]+)(?:\.([0-9]+))?({'|'.join(_UNIT_NS)})"
_DURATION_PART: Final = re.compile(_PART)
_DURATION: Final = re.compile(rf"(?:{_PART})+|0")


def parse_timestamp_ns(text: str, field: str) -> TimeNs:
    """Return an RFC 3339 moment of any offset; raises TimeInvalidError, naming *field*.

    Digits beyond the nanosecond are cut off. After 1970 and before 2116.
    """
    remedy = "give an RFC 3339 time after 1970 and before 2116, with its offset"
    match = _TIMESTAMP.fullmatch(text.upper())
    if match is None:
        raise TimeInvalidError(field, text, remedy)
    seconds, fraction, offset = match.groups(default="")
    try:
        moment = datetime.fromisoformat(seconds + offset)
    except ValueError:  # a 13th month, a 25th hour
        raise TimeInvalidError(field, text, remedy) from None
    time_ns = (moment - _EPOCH) // timedelta(seconds=1) * SECOND_NS
    time_ns += int(fraction[:FRACTION_DIGITS].ljust(FRACTION_DIGITS, "0"))
    if not 0 < time_ns <= TIME_NS_MAX:
        raise TimeInvalidError(field, text, remedy)
    return TimeNs(time_ns)


def parse_go_duration_ns(text: str) -> DurationNs | None:
    """Return a duration such as ``1m2.3s``; None for what is none.

    Nor is a negative one, nor one of more than a year.
    """
    if len(text) > DURATION_LENGTH_MAX or not _DURATION.fullmatch(text):
        return None
    total_ns = 0
    for whole, fraction, unit in _DURATION_PART.findall(text):
        total_ns += int(whole) * _UNIT_NS[unit]
        total_ns += int(fraction or "0") * _UNIT_NS[unit] // 10 ** len(fraction)
    return DurationNs(total_ns) if total_ns <= DURATION_NS_MAX else None
