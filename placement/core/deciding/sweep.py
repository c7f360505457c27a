"""The regular look at everything: what may want a copy, repository by repository."""

from typing import Final

from placement.core.event import ReplicationTrigger
from placement.core.state import State
from placement.core.tables.agenda import Due
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row

VERSIONS_LOOKED_AT: Final = 3
"""Of a repository, the newest; and whatever a tag points to."""


def sweep_of(state: State, repository: Row) -> list[Due]:
    """Return what of a repository is to be looked at, as of the last tick."""
    found: dict[Row, None] = {}
    for _, pointer in state.tags_in(repository):
        digest = state.find_digest(pointer.digest)
        found[state.placements.find(PAIR.pack(repository, digest))] = None
    for version in state.indexes.versions_in(repository)[-VERSIONS_LOOKED_AT:]:
        found[version] = None
    found.pop(ABSENT, None)
    return [_due(state, placement) for placement in found]


def sweep_of_requests(state: State) -> list[Due]:
    """Return all that anybody asked to have copied or pinned, as of the last tick."""
    found = {Row(PAIR.unpack(key)[0]): None for key, _ in state.wanted.rows()}
    for key, _ in state.pins.rows():
        placement = state.placements.find(key[: PAIR.size])
        if placement != ABSENT:
            found[placement] = None
    return [_due(state, placement) for placement in sorted(found)]


def last_tick(state: State) -> int:
    """Return the sequence of the last tick; 0 before the first one."""
    return state.count("tick_sequence")


def _due(state: State, placement: Row) -> Due:
    return Due(placement, ReplicationTrigger.SWEEP, last_tick(state))
