"""Periods of whole days, and the weeks that days fall in; in UTC, by the log's time."""

from dataclasses import dataclass
from typing import Final

from placement.core.counts import DAY_NS

WEEK_DAYS: Final = 7
DAYS_DEFAULT: Final = 7
_THURSDAY: Final = 3
"""1970 began on one, days of the week counted from Monday; a week has its year's."""
_DAYS_TO_1970: Final = 719_527
"""From the first day of the year 0 of the Gregorian calendar."""
_DAYS_OF_400_YEARS: Final = 146_097


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days since 1970: from *first_day* on, up to *end_day*, which is not in."""

    first_day: int
    end_day: int

    @property
    def start_ns(self) -> int:
        """Return when it begins."""
        return self.first_day * DAY_NS

    @property
    def end_ns(self) -> int:
        """Return when it is over."""
        return self.end_day * DAY_NS

    def has_day(self, day: int) -> bool:
        """Say whether a day is one of it."""
        return self.first_day <= day < self.end_day

    def has(self, time_ns: int) -> bool:
        """Say whether a moment is in it."""
        return self.has_day(time_ns // DAY_NS)


def period_of(start_ns: int | None, end_ns: int) -> Period:
    """Return the whole days that a span of time touches; at least one day.

    Without a start, the DAYS_DEFAULT days up to the end.
    """
    end = -(-end_ns // DAY_NS)
    if start_ns is None:
        return Period(end - DAYS_DEFAULT, end)
    first = start_ns // DAY_NS
    return Period(first, max(first + 1, end))


def iso_week(day: int) -> str:
    """Return the week of a day since 1970 by ISO 8601, such as ``2026-W48``.

    A week belongs to the year that its Thursday is in.
    """
    thursday = day - (day + _THURSDAY) % WEEK_DAYS + _THURSDAY
    year = _year(thursday)
    week = (thursday - _new_year(year)) // WEEK_DAYS + 1
    return f"{year:04d}-W{week:02d}"


def _year(day: int) -> int:
    """Return the year of a day since 1970."""
    year = 1970 + day * 400 // _DAYS_OF_400_YEARS
    while _new_year(year) > day:
        year -= 1
    while _new_year(year + 1) <= day:
        year += 1
    return year


def _new_year(year: int) -> int:
    """Return the first day of a year, in days since 1970."""
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400
    return year * 365 + leaps - _DAYS_TO_1970
