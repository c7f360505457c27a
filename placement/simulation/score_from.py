"""From when on a back-test is scored: a date, or a fraction of the time it spans."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from placement.core.errors import InputError

WARM_UP: Final = 0.3
SECOND_NS: Final = 10**9
_REMEDY: Final = "give a date such as 2024-01-01 (UTC), or a fraction from 0 up to 1"


@dataclass(frozen=True, slots=True)
class ScoreFrom:
    """One of the two; without a date it is the fraction, 0 <= fraction < 1."""

    fraction: float = WARM_UP
    date_ns: int | None = None

    @property
    def told(self) -> str:
        """Return it as it is given."""
        if self.date_ns is None:
            return f"{self.fraction:g}"
        return f"{datetime.fromtimestamp(self.date_ns // SECOND_NS, UTC):%Y-%m-%d}"

    def time_ns(self, first_ns: int, last_ns: int) -> int:
        """Return the moment, in what lasts from *first_ns* to *last_ns*."""
        if self.date_ns is not None:
            return self.date_ns
        return first_ns + round(self.fraction * (last_ns - first_ns))


def parse_score_from(text: str, field: str = "score-from") -> ScoreFrom:
    """Return *text* as one of the two; raises InputError, naming *field*."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _fraction(text, field)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return ScoreFrom(date_ns=round(midnight.timestamp()) * SECOND_NS)


def _fraction(text: str, field: str) -> ScoreFrom:
    try:
        fraction = float(text)
    except ValueError:
        raise InputError(field, text, _REMEDY) from None
    if not 0 <= fraction < 1:
        raise InputError(field, text, _REMEDY)
    return ScoreFrom(fraction)
