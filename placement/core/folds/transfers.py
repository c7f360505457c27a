"""What timed transfers mean: the last few of each route, raw, fitted when asked.

Nothing else in the fold reads them, so those of a message, or of several, are noted in
the order of the log and written at the end, as columns where they are many.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from placement.core.block import Numbers
from placement.core.event import TransferMeasured, TransferOutcome
from placement.core.folds.presence import At
from placement.core.state import State
from placement.core.tables.keys import (
    PAIR,
    TRANSFERS_PER_ROUTE,
    TRIPLE,
    pair_keys,
    triple_keys,
)
from placement.core.tables.records import Transfer
from placement.core.tables.table import Row

COLUMNS_FROM: Final = 16
"""So many transfers are written faster as columns than one by one."""


def transfer_measured(state: State, at: At, fact: TransferMeasured) -> None:
    """Keep what a replicator or agent timed."""
    source = state.region_row(fact.source_region)
    concurrency, outcome = fact.concurrency, fact.outcome or TransferOutcome.COMPLETED
    moved, took_ns = fact.transferred_bytes, fact.transfer_duration_ns
    told = Transfer(source, at.region, moved, took_ns, at.time_ns, concurrency, outcome)
    keep(state, told)


def keep(state: State, transfer: Transfer) -> None:
    """Note *transfer* until ``write_kept``; what has no figures is none."""
    if transfer.transferred_bytes > 0 and transfer.duration_ns > 0:
        state.indexes.measured.append(transfer)


def write_kept(state: State) -> None:
    """Write what was noted, each in place of its route's oldest."""
    measured = state.indexes.measured
    for transfer in measured:
        _write(state, transfer)
    measured.clear()


def write_rows(state: State, measured: Numbers) -> None:
    """Write the rows of *measured*, of columns as in ``Transfer``, in their order."""
    if len(measured) >= COLUMNS_FROM:
        _write_columns(state, measured)
    else:
        for row in measured.tolist():
            _write(state, row)


def _write(state: State, transfer: Sequence[int]) -> None:
    source, target, *values = transfer
    route = state.routes.find_or_add(PAIR.pack(source, target))
    slot = state.routes.get(route, 0) % TRANSFERS_PER_ROUTE
    state.routes.increase(route, 0)
    row = state.transfers.find_or_add(TRIPLE.pack(source, target, slot))
    state.transfers.set_all(row, values)


def _write_columns(state: State, measured: Numbers) -> None:
    source, target = measured[:, 0], measured[:, 1]
    route, _ = state.routes.find_or_add_many(pair_keys(source, target))
    narrow = np.min_scalar_type(len(state.routes))  # sorted the faster
    by_route = route.astype(narrow).argsort(kind="stable")
    sorted_route = route[by_route]
    first, count = _runs_of(sorted_route)
    rank = np.arange(len(route)) - np.repeat(first, count)
    slot, last = np.empty_like(route), np.empty(len(route), np.bool_)
    seen = state.routes.column(0)[sorted_route]
    slot[by_route] = (seen + rank) % TRANSFERS_PER_ROUTE
    last[by_route] = rank >= np.repeat(count, count) - TRANSFERS_PER_ROUTE
    state.routes.add_at(sorted_route[first], 0, count)
    if not last.all():
        measured, slot = measured[last], slot[last]
    keys = triple_keys(measured[:, 0], measured[:, 1], slot)
    kept, _ = state.transfers.find_or_add_many(keys)
    state.transfers.set_columns(kept, measured[:, 2:])


def _runs_of(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return where each run of one value begins, and how long it is; there is one."""
    begins = np.empty(len(values), np.bool_)
    begins[0] = True
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    [first] = begins.nonzero()
    count = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=count[:-1])
    count[-1] = len(values) - first[-1]
    return first, count


def timed_rows(  # noqa: PLR0913, PLR0917 - what a transfer is made of
    place: Numbers,
    source: Numbers,
    target: Numbers,
    moved_bytes: Numbers,
    took_ns: Numbers,
    time_ns: Numbers,
) -> Numbers:
    """Return the whole transfers among those that say their bytes and duration.

    A row each: its place in the block, and then what a ``Transfer`` holds.
    """
    timed = np.flatnonzero((moved_bytes > 0) & (took_ns > 0))
    rows = np.zeros((len(timed), 8), np.int64)
    told = (place, source, target, moved_bytes, took_ns, time_ns)
    for column, values in enumerate(told):
        rows[:, column] = values[timed]
    rows[:, -1] = TransferOutcome.COMPLETED
    return rows


def noted(source: Row, target: Row, moved_bytes: int, took_ns: int, at: At) -> Transfer:
    """Return a whole transfer that happened *at*, alone as far as is known."""
    done = TransferOutcome.COMPLETED
    return Transfer(source, target, moved_bytes, took_ns, at.time_ns, 0, done)
