"""The regular look at everything: what may want a copy, repository by repository."""

from typing import Final

from placement.core.event import ReplicationTrigger
from placement.core.folds.versions import images_of
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.agenda import Due
from placement.core.tables.keys import PAIR, VERSIONS_OPEN_MAX, version_key
from placement.core.tables.table import ABSENT, Row

VERSIONS_LOOKED_AT: Final = 3
"""Of a repository, the newest ones, whatever they are."""


def sweep_of(state: State, repository: Row) -> list[Due]:
    """Return what of a repository is to be looked at, as of the last tick.

    Of the newest VERSIONS_OPEN_MAX versions: the last ones, the newest of each shape of
    tags, and what machines run. So a tick costs no more for a long history.
    """
    versions = state.indexes.versions_in(repository)[-VERSIONS_OPEN_MAX:]
    found: dict[Row, None] = dict.fromkeys(versions[-VERSIONS_LOOKED_AT:])
    newest: dict[int, Row] = {}
    for version in versions:
        row = state.versions.find(version_key(version))
        newest[state.versions.get(row, cells.Version.SHAPE)] = version
        if _runs(state, version):
            found[version] = None
    found.update(dict.fromkeys(newest.values()))
    found.update(dict.fromkeys(_imported(state, repository)))
    return [_due(state, placement) for placement in found]


def _imported(state: State, repository: Row) -> list[Row]:
    """Return what the newest tags point to of what was there before anybody watched."""
    found: dict[Row, None] = {}
    for tag in state.indexes.tags_of(repository)[-VERSIONS_OPEN_MAX:]:
        digest = state.tags.get(tag, cells.Tag.DIGEST)
        if not digest:
            continue
        placement = state.placements.find(PAIR.pack(repository, digest - 1))
        versions = state.versions
        if placement != ABSENT and versions.find(version_key(placement)) == ABSENT:
            found[placement] = None
    return list(found)[-VERSIONS_LOOKED_AT:]


def _runs(state: State, version: Row) -> bool:
    """Say whether any machine runs the version, or a platform of it."""
    return any(
        state.uses.get(state.uses.find(PAIR.pack(image, region)), cells.Use.RUNNING) > 0
        for image in images_of(state, version)
        for region in state.indexes.users_of(image)
    )


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
