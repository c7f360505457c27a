"""Outcomes weighed: a share of hits that newer outcomes count more for.

Each level's share is drawn towards the next more general one by a weight in outcomes:
a Beta posterior whose prior is the level above. Source: policy of record, section 2.2;
Gelman et al., "Bayesian Data Analysis", 3rd ed., chapter 5.
"""

from functools import cache
from typing import Final, NamedTuple

from placement.core.tables.outcomes import Kept, lag_codes, newest_first
from placement.core.tables.table import ABSENT, Row, Table

_BYTE: Final = 256


class Weighed(NamedTuple):
    """Outcomes with their ages weighed: hits, and all; 0 <= hits <= total."""

    hits: float
    total: float

    def share(self, presumed: float, weight: float) -> float:
        """Return the share of hits, drawn towards *presumed* by *weight* outcomes."""
        return (self.hits + weight * presumed) / (self.total + weight)


NOTHING: Final = Weighed(0.0, 0.0)


def weighed_outcomes(table: Table, row: Row, decay: float) -> Weighed:
    """Return the outcomes of *row*, each counting *decay* of the next newer one.

    0 < decay <= 1. ABSENT has none.
    """
    if row == ABSENT:
        return NOTHING
    bits, count = newest_first(table, row)
    by_byte, step = _byte_weights(decay), decay**8
    hits, scale = 0.0, 1.0
    for byte in bits.to_bytes(-(-count // 8), "little"):
        hits += scale * by_byte[byte]
        scale *= step
    return Weighed(hits, _geometric(decay, count))


def weighed_timely(table: Table, row: Row, decay: float, needed_s: float) -> Weighed:
    """Return the newest hits of *row*: all, and those that took *needed_s* or longer.

    Lags are kept by powers of two: of those around *needed_s*, a share counts.
    """
    if row == ABSENT:
        return NOTHING
    timely, scale, codes = 0.0, 1.0, lag_codes(table, row)
    for code in codes:
        least = 2.0 ** (code - 1)
        timely += scale * min(1.0, max(0.0, (2 * least - needed_s) / least))
        scale *= decay
    return Weighed(timely, _geometric(decay, len(codes)))


@cache
def _byte_weights(decay: float) -> tuple[float, ...]:
    """Return, for each byte, the weight of its bits, bit 0 being the newest."""
    weights = [decay**bit for bit in range(8)]
    return tuple(
        sum(weight for bit, weight in enumerate(weights) if byte >> bit & 1)
        for byte in range(_BYTE)
    )


def _geometric(decay: float, count: int) -> float:
    return float(count) if decay == 1 else (1 - decay**count) / (1 - decay)


class Posteriors:
    """What was weighed already: outcomes are weighed again when there are new ones."""

    def __init__(self) -> None:
        """Begin empty."""
        self._outcomes: dict[tuple[str, Row, float], tuple[int, Weighed]] = {}
        self._timely: dict[tuple[str, Row, float, float], tuple[int, Weighed]] = {}

    def outcomes(self, table: Table, row: Row, decay: float) -> Weighed:
        """Return what ``weighed_outcomes`` does."""
        if row == ABSENT:
            return NOTHING
        total, key = table.get(row, Kept.TOTAL), (table.name, row, decay)
        found = self._outcomes.get(key)
        if found is None or found[0] != total:
            found = (total, weighed_outcomes(table, row, decay))
            self._outcomes[key] = found
        return found[1]

    def timely(self, table: Table, row: Row, decay: float, needed_s: float) -> Weighed:
        """Return what ``weighed_timely`` does."""
        if row == ABSENT:
            return NOTHING
        total, key = table.get(row, Kept.TOTAL), (table.name, row, decay, needed_s)
        found = self._timely.get(key)
        if found is None or found[0] != total:
            found = (total, weighed_timely(table, row, decay, needed_s))
            self._timely[key] = found
        return found[1]
