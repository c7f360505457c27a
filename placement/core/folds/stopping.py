"""Stops of machines as columns: what most of them mean, many at a time.

A stop is calm if its machine runs, or is new, and no event beside it in the block names
that. What stopped first is forgotten first: so from the first stop on that is not calm,
each is folded by itself, in its turn (``demand.machine_stopped``).
"""

import numpy as np

from placement.core.block import Numbers, Stops
from placement.core.folds.around import Around
from placement.core.folds.calm import Machines, Names, Span, machine_keys, value_at
from placement.core.folds.demand import forget
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import pair_keys
from placement.core.tables.table import ABSENT, KeyBytes, Row


def calm_stops(  # noqa: PLR0913, PLR0917 - stops, and all that may concern them
    state: State,
    stops: Stops,
    machines: Machines,
    started: Machines,
    around: Around,
    span: Span,
    order_ns: Numbers,
) -> Numbers:
    """Return which of *stops* are calm, in a block whose events rise in order.

    They are at *order_ns*; the block's starts are of machines *started*.
    """
    calm = stopped_in(state, stops) >= 0
    calm &= span.in_time(stops) & machines.alone & (machines.stopped == ABSENT)
    calm &= stops.index < around.stop_place
    # It runs, or is new: else it would be in stopped.
    calm &= order_ns > value_at(state.machines, cells.Machine.STARTED, machines.row)
    if _forget_named(state, len(stops), started, around):
        calm[:] = False
    return np.flatnonzero(np.logical_and.accumulate(calm))


def _forget_named(state: State, count: int, started: Machines, around: Around) -> bool:
    """Say whether so many stops may forget a machine that anything else names."""
    others = state.stopped.find_many(machine_keys(around.machines))
    named = np.concatenate((started.stopped, others))
    return not state.stopped.stay(named[named >= 0], count).all()


def stopped_in(state: State, stops: Stops) -> Numbers:
    """Return the rows of the regions of *stops*; ABSENT for one that is new."""
    return Names(state, stops.names).regions(stops.region)


def count_stops(
    state: State, machines: Machines, region: Numbers, calm: Numbers, order_ns: Numbers
) -> None:
    """Remember that the machines of *calm* run no longer, since *order_ns*.

    One that is new is remembered in its *region*: its start may come later.
    """
    row = machines.row[calm]
    _count_running(state, row[row >= 0])
    new = row == ABSENT
    if new.any():
        row[new] = _added(state, machines.keys[calm[new]], region[calm[new]])
    state.machines.set_many(row, cells.Machine.STOPPED, order_ns[calm])
    _, forgotten = state.stopped.add_many(machines.keys[calm])
    for key in map(bytes, forgotten):
        forget(state, key)


def _count_running(state: State, row: Numbers) -> None:
    placement = state.machines.column(cells.Machine.PLACEMENT)[row]
    region = state.machines.column(cells.Machine.REGION)[row]
    use = state.uses.find_many(pair_keys(placement, region))
    assert (use != ABSENT).all(), "what runs is in use"
    state.uses.add_at(use, cells.Use.RUNNING, -1)


def _added(state: State, keys: KeyBytes, region: Numbers) -> Numbers:
    row, _ = state.machines.add_many(keys)
    state.machines.set_many(row, cells.Machine.REGION, region)
    for key, one in zip(map(bytes, keys), region.tolist(), strict=True):
        state.indexes.add_machine(Row(one), key)
    return row
