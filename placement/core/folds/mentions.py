"""Regions that events only mention: how many of them may be new to the state.

The fold has no catalogue. Whoever may store one region's events can mention any region
in them, so what is mentioned has places of its own: no invented names can take those
of regions that have events, or that decisions and orders name.
"""

from typing import Final

from placement.core.event import Event, is_deciding, regions_named
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.core.topology import REGION_COUNT_MAX, Region

MENTIONED_MAX: Final = REGION_COUNT_MAX // 2
"""So many regions may be known only because events of others mentioned them first."""
MENTIONED_BY_ONE_MAX: Final = 50
"""Of those, so many by the events of any one region."""

_ALL: Final = "regions_mentioned"


def too_many_regions(state: State, event: Event) -> bool:
    """Say whether *event* names more new regions than there are places for."""
    named = regions_named(event)
    known = len(state.regions)
    if len(named) == 1 and known < REGION_COUNT_MAX:
        return False
    new = [r for r in named if state.regions.find(r.encode()) == ABSENT]
    if known + len(new) > REGION_COUNT_MAX:
        return True
    mentioned = len(new) - (event.region in new)
    if not mentioned or is_deciding(event):
        return False
    by_one = state.count(_counter(event.region)) + mentioned
    return (
        by_one > MENTIONED_BY_ONE_MAX or state.count(_ALL) + mentioned > MENTIONED_MAX
    )


def note_mentioned(state: State, event: Event, known: int) -> None:
    """Count the regions that *event* added, where so many were *known* with its own."""
    added = len(state.regions) - known
    if added and not is_deciding(event):
        state.add_count(_ALL, added)
        state.add_count(_counter(event.region), added)


def _counter(region: Region) -> str:
    return f"{_ALL}\0{region}"
