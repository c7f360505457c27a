"""What links lead to, and the same looked up in every row."""

from collections.abc import Callable, Iterable, Sequence

from placement.core.state import State
from placement.core.tables.cells import (
    BEYOND_BIT,
    PRESENT_BITS,
    PlacementLink,
    ReplicaPhase,
)
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row, Table

Found = dict[str, list[list[int]]]


def linked(state: State) -> Found:
    """Return by row what links lead to, and which regions are said to be present."""
    indexes = state.indexes
    return {
        "placements_in": each(state.repositories, indexes.placements_in),
        "placements_of": each(state.digests, indexes.placements_of),
        "replicas_of": each(state.placements, indexes.replicas_of),
        "regions_of": each(state.placements, indexes.regions_of),
        "users_of": each(state.placements, indexes.users_of),
        "members_of": each(state.apps, indexes.members_of),
        "present": each(
            state.placements,
            lambda row: [state.placements.get(row, PlacementLink.PRESENT)],
        ),
    }


def looked_up(state: State) -> Found:
    """Return what ``linked`` does, of the keys and phases alone."""
    repositories, digests = len(state.repositories), len(state.digests)
    placements, apps = len(state.placements), len(state.apps)
    keys = [(*PAIR.unpack(key), row) for key, row in in_order(state.placements)]
    replicas = [(*PAIR.unpack(key), row) for key, row in in_order(state.replicas)]
    uses = [PAIR.unpack(key) for key, _ in in_order(state.uses)]
    members = [PAIR.unpack(key) for key, _ in in_order(state.memberships)]
    return {
        "placements_in": grouped(
            ((owner, row) for owner, _, row in keys), repositories
        ),
        "placements_of": grouped(((digest, row) for _, digest, row in keys), digests),
        "replicas_of": grouped(
            ((about, row) for about, _, row in replicas), placements
        ),
        "regions_of": grouped(
            ((about, region) for about, region, _ in replicas), placements
        ),
        "users_of": grouped(uses, placements),
        "members_of": grouped(members, apps),
        "present": present(state, replicas, placements),
    }


def each(table: Table, look: Callable[[Row], Sequence[int]]) -> list[list[int]]:
    """Return what is found for each row of *table*."""
    return [list(look(Row(row))) for row in range(len(table))]


def in_order(table: Table) -> list[tuple[bytes, Row]]:
    """Return keys and rows, the first row first."""
    return sorted(table.rows(), key=lambda pair: pair[1])


def grouped(pairs: Iterable[tuple[int, int]], count: int) -> list[list[int]]:
    """Return for each of *count* owners what belongs to it."""
    found: list[list[int]] = [[] for _ in range(count)]
    for owner, owned in pairs:
        found[owner].append(owned)
    return found


def present(
    state: State, replicas: Iterable[tuple[int, int, Row]], count: int
) -> list[list[int]]:
    """Return the bits of the regions that hold each placement whole."""
    found = [0] * count
    for placement, region, row in replicas:
        if state.phase_at(row) >= ReplicaPhase.COMPLETE:
            found[placement] |= 1 << region if region < PRESENT_BITS else BEYOND_BIT
    return [[bits] for bits in found]
