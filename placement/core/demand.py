"""Demand as it is weighed when somebody asks: what was counted, halved with its age."""

from typing import Final

from placement.core.counts import DAY_NS, WINDOW_HOURS, hour_of
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, TRIPLE
from placement.core.tables.table import ABSENT, Row

HALF_LIFE_HOURS: Final = 24


def decayed(value: float, age_hours: int, half_life_hours: int) -> float:
    """Return *value* halved once per half-life.

    value >= 0; age_hours >= 0 and half_life_hours > 0. The result is at most *value*.
    Source: Cormode et al., "Forward Decay", ICDE 2009.
    """
    halved: float = 0.5 ** (age_hours / half_life_hours)
    return value * halved


def app_demand(state: State, app: Row, region: Row, now_ns: int) -> float:
    """Return the app's pulls and starts of the last week in *region*, by age."""
    now_hour = hour_of(now_ns)
    total = 0.0
    for slot in range(WINDOW_HOURS):
        row = state.demand.find(TRIPLE.pack(app, region, slot))
        if row == ABSENT:
            continue
        hour, pulls, starts = state.demand.values(row)
        age = max(0, now_hour - hour)
        if age < WINDOW_HOURS:
            total += decayed(pulls + starts, age, HALF_LIFE_HOURS)
    return total


def started_within(
    state: State, app: Row, now_ns: int, days: int
) -> list[tuple[Row, int, int]]:
    """Return (start region, last start, starts) of *app* in the last *days*.

    Where nobody reports machine starts of any app at all, pulls stand in for them.
    """
    last, count = cells.Membership.LAST_START, cells.Membership.STARTS
    if not reports_starts(state):
        last, count = cells.Membership.LAST_PULL, cells.Membership.PULLS
    oldest_ns = now_ns - days * DAY_NS
    found = []
    for region in state.indexes.members_of(app):
        row = state.memberships.find(PAIR.pack(app, region))
        time_ns = state.memberships.get(row, last)
        if time_ns and time_ns >= oldest_ns:
            found.append((region, time_ns, state.memberships.get(row, count)))
    return found


def reports_starts(state: State) -> bool:
    """Say whether any scheduler has ever reported a machine start."""
    return state.count("machine_started") > 0
