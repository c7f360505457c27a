"""Figures and times as pages print them: short, exact, and the same everywhere."""

import math
from datetime import UTC, datetime
from typing import Final

NS: Final = 1_000_000_000
MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
CENT: Final = 0.01
DIGEST_SHOWN: Final = 12
NOTHING: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_STEP: Final = 1_000
_TWO_DIGITS: Final = 10
_THREE_DIGITS: Final = 100


def size(count: float) -> str:
    """Return bytes in the unit that leaves one to three digits before the point."""
    value, unit = float(count), 0
    while abs(value) >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    if not unit:
        return f"{value:.0f} {_UNITS[0]}" if value != 1 else "1 byte"
    return f"{_three_digits(value)} {_UNITS[unit]}"


def seconds(value: float) -> str:
    """Return a duration in seconds as people say it: 0.33 s, 53.5 s, 4 min, 3 h."""
    sign, value = (MINUS if value < 0 else ""), abs(value)
    if math.isinf(value):
        return f"{sign}∞"
    if value < 1:
        return f"{sign}{value:.2f} s"
    if value < 2 * MINUTE:
        return f"{sign}{_three_digits(value)} s"
    if value < 2 * HOUR:
        return f"{sign}{value / MINUTE:.0f} min"
    if value < 2 * DAY:
        return f"{sign}{_three_digits(value / HOUR)} h"
    return f"{sign}{value / DAY:,.0f} days"


def nanoseconds(value: int) -> str:
    """Return a duration in nanoseconds as people say it."""
    return seconds(value / NS)


def whole_seconds(value: float) -> str:
    """Return a number of seconds, whatever it is, in seconds: they are to be added."""
    return f"{value:,.0f}".replace("-", MINUS)


def count(value: float) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,.0f}".replace("-", MINUS)


def share(value: float | None) -> str:
    """Return a share of one in percent; a dash for that of nothing."""
    if value is None:
        return NOTHING
    percent = 100 * value
    digits = 0 if not percent or percent >= _TWO_DIGITS else 1
    return f"{percent:.{digits}f} %"


def money(amount: float, currency: str) -> str:
    """Return an amount of money to the cent; a little is not nothing."""
    if 0 < amount < CENT:
        return f"< {CENT} {currency}"
    return f"{amount:,.2f} {currency}"


def moment(time_ns: int) -> str:
    """Return a time to the second in UTC; a dash for 0, which is never."""
    if not time_ns:
        return NOTHING
    return datetime.fromtimestamp(time_ns / NS, UTC).strftime("%Y-%m-%d %H:%M:%S Z")


def machine_time(time_ns: int) -> str:
    """Return a time as ``datetime`` attributes hold it; empty for 0."""
    if not time_ns:
        return ""
    return datetime.fromtimestamp(time_ns / NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(time_ns: int, now_ns: int) -> str:
    """Return how long ago a time was, in one unit; ``never`` for 0."""
    if not time_ns:
        return "never"
    passed = (now_ns - time_ns) / NS
    if passed < 0:
        return f"in {span(-passed)}"
    return f"{span(passed)} ago" if passed >= 1 else "now"


def span(value: float) -> str:
    """Return how many seconds passed, in whole units of one kind."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if value >= 2 * unit or (unit == MINUTE and value >= unit):
            return f"{value / unit:.0f} {name}"
    return f"{value:.0f} s"


def digest(value: str) -> str:
    """Return as much of a digest as tells it from others, without its algorithm."""
    return value.partition(":")[2][:DIGEST_SHOWN] or value[:DIGEST_SHOWN]


def word(value: str) -> str:
    """Return an enumeration's name as words: ``OBSERVE_ONLY`` is ``observe only``."""
    return value.lower().replace("_", " ")


def _three_digits(value: float) -> str:
    if abs(value) < _TWO_DIGITS:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < _THREE_DIGITS else f"{value:,.0f}"
