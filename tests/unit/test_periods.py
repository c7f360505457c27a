"""Whole days and weeks, held against the calendar of the standard library."""

from datetime import UTC, date, datetime, timedelta

import pytest

from placement.core.reporting.periods import Period, iso_week, period_of
from tests.builders import DAY_NS

EPOCH = date(1970, 1, 1)


def test_week_is_that_of_the_calendar() -> None:
    """Every day of 150 years, whatever the year it is called by."""
    for day in range(150 * 366):
        year, week, _ = (EPOCH + timedelta(day)).isocalendar()
        assert iso_week(day) == f"{year}-W{week:02d}"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-01-01", "2026-W01"),
        ("2027-01-03", "2026-W53"),
        ("2024-12-30", "2025-W01"),
    ],
)
def test_week_belongs_to_the_year_of_its_thursday(said: str, expected: str) -> None:
    """The first days of January may be of last year's week, and the other way round."""
    assert iso_week((date.fromisoformat(said) - EPOCH).days) == expected


def moment_ns(said: str) -> int:
    """Return a moment of UTC in nanoseconds since 1970."""
    time = datetime.fromisoformat(said).replace(tzinfo=UTC)
    return int(time.timestamp()) * 10**9


def day(said: str) -> int:
    """Return a day as days since 1970."""
    return (date.fromisoformat(said) - EPOCH).days


def test_days_that_are_touched_count_whole() -> None:
    """From midnight to midnight; a period that ends at midnight ends there."""
    within = period_of(moment_ns("2026-11-20T12:00"), moment_ns("2026-11-22T06:00"))
    exact = period_of(moment_ns("2026-11-20T00:00"), moment_ns("2026-11-22T00:00"))

    assert within == Period(day("2026-11-20"), day("2026-11-23"))
    assert exact == Period(day("2026-11-20"), day("2026-11-22"))


def test_without_a_start_it_is_the_last_seven_days() -> None:
    """Today is the last of them."""
    found = period_of(None, moment_ns("2026-11-24T15:00"))

    assert found == Period(day("2026-11-18"), day("2026-11-25"))
    assert found.has(moment_ns("2026-11-18T00:00"))
    assert not found.has(moment_ns("2026-11-18T00:00") - 1)
    assert not found.has_day(found.end_day)
    assert found.end_ns - found.start_ns == 7 * DAY_NS
