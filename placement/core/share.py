"""A share of the state's rows, chosen by name: small, whatever the state's size.

Replicas compare such shares with each other, another one each time, so that all is
compared after as many times as there are shares. Which rows belong to a share follows
from names alone, as where a row is differs between replicas. Tables that grow without
bound are chosen from many rows at a time, by the names of what their keys refer to.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from placement.core.fingerprint import canonical_rows, row_hash, shown_sum
from placement.core.state import State
from placement.core.tables.table import Row, RowNumbers, Table

SHARE_ROWS: Final = 20_000
"""A share holds about so many rows: 0.2 s of work at the most."""
SHARES_MAX: Final = 2**16
_PIECE: Final = 2**14
"""Rows of a table that are chosen from in one step."""
_NAMES_A_STEP: Final = 1_000

Words = NDArray[np.uint32]
Numbers = RowNumbers | Words
Chooser = Callable[[Numbers], Words]
"""Returns for each row a number that follows from the name of what it is about."""


def share_count(state: State) -> int:
    """Return in how many shares the rows of *state* are compared: a power of two."""
    rows = sum(len(table) for table in state.tables().values())
    count = 1
    while count < SHARES_MAX and rows > count * SHARE_ROWS:
        count *= 2
    return count


class Share:
    """The rows whose names fall to *number* of *count* shares, and their hash."""

    def __init__(self, state: State, number: int) -> None:
        """Choose from *state*, which must not change until ``steps`` has ended."""
        self._state = state
        self._count = share_count(state)
        self._number = number % self._count
        self._rows: dict[str, list[Row]] = {}
        self._named: dict[str, Words] = {}
        self._sum = 0
        self.row_count = 0

    @property
    def fingerprint(self) -> str:
        """The hash of the share, which says also which one of how many it is."""
        return shown_sum(self._sum + row_hash((self._number, self._count)))

    def steps(self) -> Generator[None, None, None]:
        """Do all the work, letting others in between."""
        if self._count > 1:
            yield from self._choose()
        for row in canonical_rows(self._state, self._pick):
            self._sum += row_hash(row)
            self.row_count += 1
            yield

    def _pick(self, table: Table) -> Iterable[tuple[bytes, Row]]:
        """Return the chosen rows of *table*; of one that stays small, all of them."""
        rows = self._rows.get(table.name)
        if rows is None:
            return table.rows()
        return ((table.key(row), row) for row in rows)

    def _choose(self) -> Iterator[None]:
        state = self._state
        for table in (state.regions, state.repositories, state.apps):
            yield from self._name(table)
        for table in (state.repositories, state.apps, state.decisions, state.set_aside):
            yield from self._choose_named(table, 0)
        yield from self._choose_named(state.tags, 4)
        for table, chooser in self._choosers():
            yield from self._choose_packed(table, chooser)

    def _choosers(self) -> Iterator[tuple[Table, Chooser]]:
        """Yield each table whose keys are packed, and by what its rows are chosen.

        A digest that is no SHA-256 has no word of its own: the first share has those.
        """
        state = self._state

        def digests(rows: Numbers) -> Words:
            return state.digests.parts(0)[rows]

        def placements(rows: Numbers) -> Words:
            return digests(state.placements.parts(1)[rows])

        yield state.digests, digests
        yield state.placements, placements
        for table in (state.event_ids, state.requests, state.machines, state.stopped):
            yield table, table.parts(0).__getitem__
        for table in (state.edges, state.decided):
            yield table, _by_owner(table, digests)
        of_placements = (state.replicas, state.uses, state.wanted, state.awaited)
        for table in (*of_placements, state.versions, state.trials):
            yield table, _by_owner(table, placements)
        for table in (state.cleared, state.pins):
            yield table, _by_owner(table, self._names(state.repositories))
        yield state.transfers, _by_owner(state.transfers, self._names(state.regions))
        of_apps = (state.demand, state.memberships, state.bursts, state.app_outcomes)
        for table in (*of_apps, state.start_days):
            yield table, _by_owner(table, self._names(state.apps))

    def _names(self, table: Table) -> Chooser:
        words = self._named[table.name]
        return lambda rows: words.take(rows, mode="clip")

    def _name(self, table: Table) -> Iterator[None]:
        """Compute the words of a table's names, by row."""
        words = np.zeros(1, np.uint32)
        for number, (key, row) in enumerate(table.rows()):
            if row >= len(words):
                words = np.concatenate([words, np.zeros(row + 1, np.uint32)])
            words[row] = crc32(key)
            if number % _NAMES_A_STEP == 0:
                yield
        self._named[table.name] = words

    def _choose_named(self, table: Table, skipped: int) -> Iterator[None]:
        """Choose by names, each after *skipped* bytes that say where it belongs."""
        chosen = self._rows[table.name] = []
        for number, (key, row) in enumerate(table.rows()):
            if crc32(key[skipped:]) % self._count == self._number:
                chosen.append(row)
            if number % _NAMES_A_STEP == 0:
                yield

    def _choose_packed(self, table: Table, chooser: Chooser) -> Iterator[None]:
        chosen = self._rows[table.name] = []
        count = len(table.parts(0))
        for first in range(0, count, _PIECE):
            last = min(first + _PIECE, count)
            rows = np.arange(first, last)
            fits = table.in_use(first, last)
            fits &= chooser(rows) % self._count == self._number
            chosen += map(Row, rows[fits].tolist())
            yield


def _by_owner(table: Table, owners: Chooser) -> Chooser:
    """Return what chooses rows of *table* as *owners* does the rows they belong to.

    Those are the first part of their keys.
    """
    first = table.parts(0)
    return lambda rows: owners(first[rows])
