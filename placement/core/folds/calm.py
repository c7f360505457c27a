"""What columns of events stand for: rows of names and machines, each looked up once."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.block import Codes, Numbers, Starts, Stops
from placement.core.folds.demand import machine_key
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import HASH_BYTES
from placement.core.tables.table import ABSENT, KeyBytes, Table

_FEW: Final = 8
"""So many are sooner looked for one by one than all of a block's are looked at."""
Mask = NDArray[np.bool_]
Told = Callable[[list[str]], Sequence[int] | Numbers]
"""What texts stand for, an integer each."""


def value_at(table: Table, column: int, rows: Numbers) -> Numbers:
    """Return the integers of *rows* in a column; 0 for those that are ABSENT."""
    found = rows >= 0
    if found.all():
        told: Numbers = table.column(column)[rows].astype(np.int64)
        return told
    values = np.zeros(len(rows), np.int64)
    values[found] = table.column(column)[rows[found]]
    return values


def are_among(rows: Numbers, wanted: Numbers) -> Mask:
    """Return which of *rows* are any of those *wanted*."""
    if len(wanted) > _FEW:
        return np.isin(rows, wanted)
    found: Mask = (rows[:, None] == wanted).any(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when the events of a block are."""

    latest_ns: int
    """When the last of them was stored, or a little later."""
    late_ns: int
    """What is older when it is stored is late."""

    def in_time(self, part: Starts | Stops) -> Mask:
        """Return which events are not late."""
        told: Mask = part.store_time_ns - part.time_ns <= self.late_ns
        return told


class Names:
    """What the names of some columns stand for; each is looked up once."""

    def __init__(self, state: State, names: list[str]) -> None:
        """Look *names* up in *state*, once they are asked for."""
        self._state = state
        self._names = names

    def regions(self, places: Codes) -> Numbers:
        """Return the regions' rows; ABSENT for one that no event ever named."""
        [found] = self.regions_of_each(places)
        return found

    def regions_of_each(self, *columns: Codes) -> list[Numbers]:
        """Return what ``regions`` returns of each of *columns*; -1 stands for none."""
        value = self._values(columns, self._state.regions.find_each)
        return [value[places] for places in columns]

    def owners(self, places: Codes) -> tuple[Numbers, Numbers]:
        """Return the repositories' rows and their apps'; ABSENT where not known."""
        repositories = self._state.repositories
        row = self.each(places, repositories.find_each)
        return row, value_at(repositories, cells.Repository.APP, row) - 1

    def among(self, places: Codes, names: Collection[str]) -> Mask:
        """Return which of the texts are among *names*."""
        if not names:
            return np.zeros(len(places), np.bool_)
        there = np.zeros(len(self._names) + 1, np.bool_)  # the last one: of none
        if len(names) <= _FEW:
            here = [self._names.index(one) for one in names if one in self._names]
        else:
            here = [n for n, name in enumerate(self._names) if name in names]
        there[here] = True
        found: Mask = there[places]
        return found

    def each(self, places: Codes, of: Told) -> Numbers:
        """Return *of* the text at each of *places*; ABSENT for a place of none."""
        return self._values([places], of)[places]

    def _values(self, columns: Iterable[Codes], of: Told) -> Numbers:
        """Return *of* each name that is in any of *columns*; ABSENT for all others."""
        there = np.zeros(len(self._names) + 1, np.bool_)
        for places in columns:
            there[places] = True
        there[-1] = False
        [named] = there.nonzero()
        value = np.full(len(there), ABSENT, np.int64)
        value[named] = of([self._names[place] for place in named.tolist()])
        return value


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines of some columns, each as often as it is named."""

    keys: KeyBytes
    row: Numbers
    """In ``machines``; ABSENT for one that is not known."""
    stopped: Numbers
    """In ``stopped``; ABSENT for one that is not about to be forgotten."""
    alone: Mask
    """Whether no other event of the block names it."""

    def part(self, begin: int, end: int) -> "Machines":
        """Return some of them, one after the other."""
        here = slice(begin, end)
        return Machines(
            self.keys[here], self.row[here], self.stopped[here], self.alone[here]
        )


def machines_of(state: State, ids: list[str], others: list[str]) -> Machines:
    """Return the machines with *ids*; events that are no columns name *others*."""
    keys = machine_keys(ids)
    alone = np.ones(len(ids), np.bool_)
    if others or len(set(ids)) < len(ids):
        times = Counter(ids) + Counter(others)
        alone[:] = [times[machine] == 1 for machine in ids]
    return Machines(
        keys, state.machines.find_many(keys), state.stopped.find_many(keys), alone
    )


def machine_keys(ids: list[str]) -> KeyBytes:
    """Return the keys of machines, a row of bytes each."""
    packed = b"".join([machine_key(machine) for machine in ids])
    return np.frombuffer(packed, np.uint8).reshape(-1, HASH_BYTES)
