"""What timed transfers mean: the last few of each route, raw, fitted when asked."""

from dataclasses import dataclass

from placement.core.event import TransferMeasured, TransferOutcome
from placement.core.folds.presence import At
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, TRANSFERS_PER_ROUTE, TRIPLE
from placement.core.tables.table import Row


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes that really moved from one region to another, and how long that took."""

    source: Row
    target: Row
    transferred_bytes: int
    duration_ns: int
    concurrency: int = 0
    outcome: TransferOutcome = TransferOutcome.COMPLETED


def transfer_measured(state: State, at: At, fact: TransferMeasured) -> None:
    """Keep what a replicator or agent timed."""
    transfer = Transfer(
        state.region_row(fact.source_region),
        at.region,
        fact.transferred_bytes,
        fact.transfer_duration_ns,
        fact.concurrency,
        fact.outcome or TransferOutcome.COMPLETED,
    )
    keep(state, at, transfer)


def keep(state: State, at: At, transfer: Transfer) -> None:
    """Keep *transfer* in place of the route's oldest; what has no figures is none."""
    if transfer.transferred_bytes <= 0 or transfer.duration_ns <= 0:
        return
    route = state.routes.find_or_add(PAIR.pack(transfer.source, transfer.target))
    slot = state.routes.get(route, 0) % TRANSFERS_PER_ROUTE
    state.routes.increase(route, 0)
    row = state.transfers.find_or_add(
        TRIPLE.pack(transfer.source, transfer.target, slot)
    )
    values = (
        transfer.transferred_bytes,
        transfer.duration_ns,
        at.time_ns,
        transfer.concurrency,
        transfer.outcome,
    )
    for column, value in zip(cells.Transfer, values, strict=True):
        state.transfers.set(row, column, value)
