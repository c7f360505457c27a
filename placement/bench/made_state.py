"""A large state for benchmarks, made column by column; the same for ever.

Contents of many repositories, each in one, two or three storage regions, and half of
them used somewhere: what a fold of as many pushes, copies and pulls would hold.
"""

from typing import Final

import numpy as np

from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import SHA256_BYTES, pair_keys
from placement.core.tables.table import Row, RowNumbers
from placement.core.topology import Topology

SEED: Final = 20261129
CONTENTS_PER_REPOSITORY: Final = 100
SIZE_BYTES_MAX: Final = 200_000_000
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
TIME_NS: Final = 1_780_000_000 * 1_000_000_000
SPAN_NS: Final = 90 * 86_400 * 1_000_000_000
PIECE: Final = 2**18
"""So many digests are made at once."""


class StateMaker:
    """Makes states, and changes in them."""

    def __init__(self, topology: Topology) -> None:
        """Draw everything from one seed."""
        self._random = np.random.default_rng(SEED)
        self._regions = sorted(filter(topology.stores, topology.regions))

    def made(self, digests: int) -> State:
        """Return a state of so many *digests*, each in one repository."""
        state = State()
        for region in self._regions:
            state.region_row(region)
        for first in range(0, digests, PIECE):
            self._add(state, min(PIECE, digests - first))
        state.sequence, state.store_time_ns = digests, TIME_NS + SPAN_NS
        state.message_hash = bytes(32)
        return state

    def _add(self, state: State, count: int) -> None:
        random = self._random
        keys = random.integers(0, 256, (count, SHA256_BYTES), np.uint8)
        digests, _ = state.digests.add_many(keys)
        sizes = random.integers(1, SIZE_BYTES_MAX, count)
        state.digests.set_many(digests, cells.Digest.SIZE, sizes)
        layer = state.media_types.find_or_add(LAYER.encode()) + 1
        state.digests.set_many(digests, cells.Digest.MEDIA, layer)
        number = len(state.repositories)
        more = -(-count // CONTENTS_PER_REPOSITORY)
        owners = np.array([_owned(state, n) for n in range(number, number + more)])
        of = owners[np.arange(count) // CONTENTS_PER_REPOSITORY]
        placements, _ = state.placements.add_many(pair_keys(of, digests))
        state.indexes.add_placements(placements, of, digests)
        self._add_replicas(state, placements)
        self._add_uses(state, placements[::2])

    def _add_replicas(self, state: State, placements: RowNumbers) -> None:
        random, regions = self._random, len(self._regions)
        first = random.integers(0, regions, len(placements))
        present = np.zeros(len(placements), np.int64)
        for number, share in enumerate((1.0, 0.4, 0.1)):
            here = placements[: int(share * len(placements))]
            region = (first[: len(here)] + number) % regions
            present[: len(here)] |= 1 << region
            replicas, _ = state.replicas.add_many(pair_keys(here, region))
            state.indexes.add_replicas(replicas, here)
            times = TIME_NS + random.integers(0, SPAN_NS, len(here))
            for column in (
                cells.Replica.ANNOUNCED,
                cells.Replica.COMPLETE,
                cells.Replica.CREATE_TIME,
                cells.Replica.CHANGE_TIME,
            ):
                state.replicas.set_many(replicas, column, times)
        state.placements.set_many(placements, cells.PlacementLink.PRESENT, present)

    def _add_uses(self, state: State, placements: RowNumbers) -> None:
        random, count = self._random, len(placements)
        region = random.integers(0, len(self._regions), count)
        uses, _ = state.uses.add_many(pair_keys(placements, region))
        state.indexes.add_uses(uses, placements)
        state.uses.set_many(uses, cells.Use.PULLS, random.integers(1, 1_000, count))
        times = TIME_NS + random.integers(0, SPAN_NS, count)
        state.uses.set_many(uses, cells.Use.LAST_TIME, times)

    def change(self, state: State, share: float) -> None:
        """Let a *share* of the rows of each large table change, wherever they are."""
        random = self._random
        state.sequence += 1
        for table, column in (
            (state.digests, cells.Digest.SIZE),
            (state.replicas, cells.Replica.CHANGE_TIME),
            (state.uses, cells.Use.LAST_TIME),
        ):
            count = len(table)
            rows = random.choice(count, int(share * count), replace=False)
            values = random.integers(1, SIZE_BYTES_MAX, len(rows))
            table.set_many(rows, column, values)


def _owned(state: State, number: int) -> Row:
    """Return the row of a new repository, which belongs to an app of its own."""
    team, name = f"team-{number % 997}", f"team-{number % 997}/app-{number}"
    repository = state.repository_row(Repository(name))
    app = state.apps.find_or_add(f"{team}\0{name}".encode())
    state.repositories.set(repository, cells.Repository.APP, app + 1)
    return repository


def any_content(state: State) -> tuple[Repository, Digest]:
    """Return a content of *state*, and its repository."""
    _, placement = next(iter(state.placements.rows()))
    return state.placement_at(placement)
