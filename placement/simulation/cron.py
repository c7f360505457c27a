"""Schedules of five fields, as cron reads them: when they are due, in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from placement.core.errors import InputError

DAY_S: Final = 86_400
PART_COUNT_MAX: Final = 60
_RANGES: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_REMEDY: Final = "give five fields of numbers, as in */10 7-20 * * 1-5"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is due; Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Both kinds of days are restricted: then one of the two is enough."""

    def times_s(self, first_s: int, end_s: int) -> Iterator[int]:
        """Yield when it is due from *first_s* up to and without *end_s*, unix time."""
        for midnight_s in range(first_s - first_s % DAY_S, end_s, DAY_S):
            if self._due_on(datetime.fromtimestamp(midnight_s, UTC)):
                for hour in self.hours:
                    for minute in self.minutes:
                        time_s = midnight_s + hour * 3600 + minute * 60
                        if first_s <= time_s < end_s:
                            yield time_s

    def _due_on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        found = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return any(found) if self.either_day else all(found)


def parse_schedule(text: str, field: str = "schedule") -> Schedule:
    """Return *text* as a schedule; raises InputError, naming *field*."""
    parts = text.split()
    if len(parts) != len(_RANGES):
        raise InputError(field, text, _REMEDY)
    minutes, hours, days, months, weekdays = (
        _numbers(part, text, field, *limits)
        for part, limits in zip(parts, _RANGES, strict=True)
    )
    return Schedule(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(weekday % 7 for weekday in weekdays),
        not parts[2].startswith("*") and not parts[4].startswith("*"),
    )


def _numbers(  # noqa: PLR0913, PLR0917 - a field, where it stands, and its range
    part: str, text: str, field: str, name: str, least: int, most: int
) -> set[int]:
    found: set[int] = set()
    for one in part.split(",")[:PART_COUNT_MAX]:
        span, _, step = one.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            first, last = str(least), str(most)
        elif not dash:
            last = str(most) if step else first
        numbers = (first, last, step or "1")
        if not all(x.isascii() and x.isdecimal() and len(x) <= 2 for x in numbers):  # noqa: PLR2004 - two digits
            raise InputError(field, text, _REMEDY)
        low, high, by = map(int, numbers)
        if not (least <= low <= high <= most and by):
            remedy = f"{_REMEDY}; the {name} is {least} to {most}"
            raise InputError(field, text, remedy)
        found.update(range(low, high + 1, by))
    return found
