"""How many machines start together when a version first starts in a region.

They all wait for the same image, so a copy saves each of them its wait.
"""

from typing import Final

from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row

BURST_NS: Final = 60 * 1_000_000_000
"""Starts so long after a version's first start in a region belong to its burst."""


def burst_began(state: State, app: Row, region: Row, time_ns: int) -> None:
    """Count a version's first start in a region."""
    row = state.bursts.find_or_add(PAIR.pack(app, region))
    state.bursts.increase(row, cells.Burst.FIRST_STARTS)
    state.bursts.increase(row, cells.Burst.STARTS)
    state.bursts.raise_to(row, cells.Burst.LAST_TIME, time_ns)


def burst_went_on(state: State, app: Row, region: Row, time_ns: int) -> None:
    """Count a further start, if it belongs to the app's latest burst there."""
    row = state.bursts.find(PAIR.pack(app, region))
    if row != ABSENT:
        since_ns = time_ns - state.bursts.get(row, cells.Burst.LAST_TIME)
        if 0 <= since_ns <= BURST_NS:
            state.bursts.increase(row, cells.Burst.STARTS)


def burst_counts(state: State, app: Row, region: Row) -> tuple[int, int]:
    """Return (first starts, starts of their bursts) of an app in a region."""
    row = ABSENT if app == ABSENT else state.bursts.find(PAIR.pack(app, region))
    if row == ABSENT:
        return 0, 0
    firsts, starts, _ = state.bursts.values(row)
    return firsts, starts
