"""Stops of machines as columns: what most of them mean, many at a time.

A stop is calm if its machine runs and no event beside it in the block names that. What
stopped first is forgotten first: so from the first stop on that is not calm, each is
folded by itself, in its turn (``demand.machine_stopped``).
"""

import numpy as np

from placement.core.block import Numbers, Stops
from placement.core.folds.around import Around
from placement.core.folds.calm import Machines, Names, Span, machine_keys
from placement.core.folds.demand import forget
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import pair_keys
from placement.core.tables.table import ABSENT


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
    calm = Names(state, stops.names).regions(stops.region) >= 0
    calm &= span.in_time(stops) & machines.alone & (machines.stopped == ABSENT)
    calm &= stops.index < around.stop_place
    calm &= machines.row >= 0
    known = np.flatnonzero(calm)
    started_ns = state.machines.column(cells.Machine.STARTED)[machines.row[known]]
    calm[known] = order_ns[known] > started_ns  # it runs: else it would be in stopped
    if _forget_named(state, len(stops), started, around):
        calm[:] = False
    return np.flatnonzero(np.logical_and.accumulate(calm))


def _forget_named(state: State, count: int, started: Machines, around: Around) -> bool:
    """Say whether so many stops may forget a machine that anything else names."""
    others = state.stopped.find_many(machine_keys(around.machines))
    named = np.concatenate((started.stopped, others))
    return not state.stopped.stay(named[named >= 0], count).all()


def count_stops(
    state: State, machines: Machines, calm: Numbers, order_ns: Numbers
) -> None:
    """Remember that the machines of *calm* run no longer, since *order_ns*."""
    row = machines.row[calm]
    placement = state.machines.column(cells.Machine.PLACEMENT)[row]
    region = state.machines.column(cells.Machine.REGION)[row]
    use = state.uses.find_many(pair_keys(placement, region))
    assert (use != ABSENT).all(), "what runs is in use"
    state.uses.add_at(use, cells.Use.RUNNING, -1)
    state.machines.set_many(row, cells.Machine.STOPPED, order_ns[calm])
    _, forgotten = state.stopped.add_many(machines.keys[calm])
    for key in map(bytes, forgotten):
        forget(state, key)
