"""The state to packed chunks and back, with the indexes that chunks do not hold."""

from collections.abc import Iterable, Iterator
from operator import itemgetter

import numpy as np

from placement.core.folds.progress import OPEN
from placement.core.folds.versions import version_record
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.decided import DecisionIndex
from placement.core.tables.indexes import Indexes
from placement.core.tables.keys import PAIR, TRIPLE, digest_key, tag_owner
from placement.core.tables.restored import Restoring
from placement.core.tables.table import Row

_WITHHELD = frozenset({cells.DecisionStatus.WITHHELD, cells.DecisionStatus.DEFERRED})
_RENAMED = {"digests": digest_key}
PackedChunk = tuple[str, int, bytes]
"""Table, number, packed rows."""


def take_dirty(state: State) -> list[PackedChunk]:
    """Return every packed chunk that changed since the last time."""
    return [
        (table.name, number, body)
        for table in state.tables().values()
        for number, body in table.take_dirty()
    ]


def load(
    state: State, chunks: Iterable[PackedChunk], *, of_this_version: bool = True
) -> None:
    """Fill an empty state from *chunks*, ordered by table and number.

    Raises ValueError when a chunk is not of this state. Of another fold version,
    columns that were added since then are zero.
    """
    loading = Loading(state, of_this_version=of_this_version)
    for chunk in sorted(chunks):
        loading.take(*chunk)
    loading.finish()


class Loading:
    """An empty state that is filled from chunks, ordered by table and number."""

    def __init__(self, state: State, *, of_this_version: bool) -> None:
        """Fill *state*; of another version, what it does not know is left out.

        That is, tables; and columns that were added since are zero.
        """
        self._state = state
        self._tables = state.tables()
        self._of_this_version = of_this_version
        self._restoring: dict[str, Restoring] = {}

    def take(self, table: str, number: int, body: bytes) -> None:
        """Take the next chunk; raises ValueError when it is not of this state."""
        if table not in self._tables:
            if not self._of_this_version:
                return
            message = f"there is no table {table}"
            raise ValueError(message)
        if table not in self._restoring:
            self._restoring[table] = self._tables[table].begin_restoring(
                of_this_version=self._of_this_version,
                renamed=_RENAMED.get(table, bytes),
            )
        self._tables[table].restore(self._restoring[table], number, body)

    def finish(self) -> None:
        """Derive what was not saved, now that every chunk was taken."""
        for _ in self.finishing():
            pass

    def finishing(self) -> Iterator[None]:
        """Do what ``finish`` does, in steps between which others may run."""
        linked = True
        for name, restoring in self._restoring.items():
            linked &= self._tables[name].end_restoring(restoring)
            yield
        if not linked:
            _link(self._state)
        yield from _index(self._state, self._state.indexes)


def _link(state: State) -> None:
    """Make the links anew, which earlier checkpoints do not hold."""
    for table in state.tables().values():
        table.clear_links()
    for key, row in state.placements.rows():
        state.indexes.add_placement(row, *map(Row, PAIR.unpack(key)))
    for key, row in state.replicas.rows():
        placement, region = map(Row, PAIR.unpack(key))
        state.indexes.add_replica(row, placement)
        state.note_presence(placement, region, state.phase_at(row))
    for key, row in state.uses.rows():
        state.indexes.add_use(row, Row(PAIR.unpack(key)[0]))
    for key, row in state.memberships.rows():
        state.indexes.add_member(row, Row(PAIR.unpack(key)[0]))


def _index(state: State, indexes: Indexes) -> Iterator[None]:
    for key, row in state.tags.rows():
        indexes.add_tag(tag_owner(key), row)
        yield
    for key, row in state.machines.rows():
        indexes.add_machine(Row(state.machines.get(row, cells.Machine.REGION)), key)
        yield
    for key, _ in sorted(state.versions.rows(), key=itemgetter(1)):
        version = Row(int.from_bytes(key, "little"))
        owner, _ = PAIR.unpack(state.placements.key(version))
        indexes.add_version(Row(owner), version)
        yield
    yield from _index_trials(state, indexes)
    originals = state.digests.column(cells.Digest.ORIGINAL)
    for converted in np.flatnonzero(originals).tolist():
        indexes.add_conversion(Row(int(originals[converted]) - 1), Row(converted))
        yield
    for key, _ in state.wanted.rows():
        indexes.add_wanted(*map(Row, PAIR.unpack(key)))
        yield
    for key, _ in state.awaited.rows():
        indexes.add_awaited(*map(Row, PAIR.unpack(key)))
        yield
    yield from _index_decisions(state, indexes.decisions)


def _index_decisions(state: State, index: DecisionIndex) -> Iterator[None]:
    by_age = sorted(
        (state.decisions.get(row, cells.Decision.ORDER), row)
        for _, row in state.decisions.rows()
    )
    for _, row in by_age:
        yield
        status, about, source, target, *_ = state.decisions.values(row)
        owner, _ = PAIR.unpack(state.placements.key(Row(about)))
        index.add(row, (Row(owner), Row(about)), Row(target))
        removal = state.decisions.get(row, cells.Decision.KIND) == cells.EVICTION
        if status in OPEN:
            index.open(row, removal=removal)
        if status == cells.DecisionStatus.STARTED and source:
            index.add_flow(Row(source - 1), row)
        if not removal and status not in _WITHHELD:
            time_ns = state.decisions.get(row, cells.Decision.TIME)
            index.add_planned(row, Row(target), time_ns)


def _index_trials(state: State, indexes: Indexes) -> Iterator[None]:
    opened = [
        (state.trials.get(row, cells.Trial.ORDER), TRIPLE.unpack(key)[2], key)
        for key, row in state.trials.rows()
    ]
    for order_ns, _, key in sorted(opened):
        version = version_record(state, Row(TRIPLE.unpack(key)[0]))
        indexes.trials.add(version, key, order_ns)
        yield
