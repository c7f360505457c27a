"""How each region stands: what is ordered, what it holds, and what is under way."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from placement.console.words import word
from placement.core.event import RegionState
from placement.core.orders import PauseOrder, RegionOrder, pause_orders, region_orders
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import Decision, DecisionStatus
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region, Topology

ROWS_PER_STEP: Final = 16_384
DECISIONS_PER_STEP: Final = 64


@dataclass(frozen=True, slots=True)
class Holding:
    """What a region holds whole: a content that is in several repositories once."""

    content_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Lane:
    """Copies between two regions that are to be carried out."""

    source: Region
    target: Region
    started_count: int
    planned_count: int
    transfer_bytes: int


@dataclass(frozen=True, slots=True)
class RegionStanding:
    """One region; times in nanoseconds, 0 is never."""

    code: Region
    name: str
    area: str
    latitude: float
    longitude: float
    stores: bool
    home: bool
    state: str
    """As a word: active, draining or down."""
    ordered_ns: int
    """When an operator said so."""
    expire_ns: int
    paused: bool
    """Whether no new copies are made into it."""
    holding: Holding | None
    """None: not counted, since there are more regions than bits."""
    open_copy_count: int
    open_removal_count: int
    inbound_bytes: int
    inventory_ns: int
    last_start_ns: int
    refused_count: int

    @property
    def place(self) -> str:
        """Return the name without what it is in."""
        return self.name.partition(",")[0]

    @property
    def kind(self) -> str:
        """Return how a page marks the state."""
        if self.state == word(RegionState.DOWN.name):
            return "bad"
        if self.state == word(RegionState.DRAINING.name) or self.paused:
            return "wait"
        return "good"

    @property
    def said(self) -> str:
        """Return the state as a page says it."""
        return f"{self.state}, paused" if self.paused else self.state


@dataclass(frozen=True, slots=True)
class Flows:
    """What is to be carried out, by lane; and into and out of each region."""

    lanes: tuple[Lane, ...]
    copies: dict[Region, int]
    removals: dict[Region, int]
    inbound_bytes: dict[Region, int]


def holdings(state: State) -> Generator[None, None, dict[Region, Holding]]:
    """Return what each region holds; lets others run at each step."""
    table, digests = state.placements, state.digests
    present = np.zeros(len(digests), np.int64)
    for first in range(0, len(table), ROWS_PER_STEP):
        rows = slice(first, min(first + ROWS_PER_STEP, len(table)))
        contents = table.parts(1)[rows].astype(np.int64)
        bits = table.column(cells.PlacementLink.PRESENT)[rows]
        known = contents < len(present)  # others came meanwhile
        np.bitwise_or.at(present, contents[known], bits[known])
        yield
    codes = [Region(key.decode()) for key, _ in state.regions.rows()]
    counted = codes[: cells.PRESENT_BITS]
    counts, sizes = [0] * len(counted), [0] * len(counted)
    for first in range(0, len(present), ROWS_PER_STEP):
        rows = slice(first, min(first + ROWS_PER_STEP, len(present)))
        size = digests.column(cells.Digest.SIZE)[rows]
        for number in range(len(counted)):
            there = (present[rows] >> number & 1).astype(np.bool_)
            counts[number] += int(np.count_nonzero(there))
            sizes[number] += int(size[there].sum())
        yield
    return {
        code: Holding(counts[number], sizes[number])
        for number, code in enumerate(counted)
    }


def flows(state: State) -> Generator[None, None, Flows]:
    """Return what is to be carried out now; lets others run at each step."""
    index, get = state.indexes.decisions, state.decisions.get
    lanes: dict[tuple[Region, Region], list[int]] = {}
    found = Flows((), {}, {}, {})
    for key, region in list(state.regions.rows()):
        target = Region(key.decode())
        copies, removals = index.copies_into(region), index.removals_from(region)
        found.copies[target], found.removals[target] = len(copies), len(removals)
        inbound = 0
        for number, row in enumerate(copies):
            size = abs(get(row, Decision.BYTES))
            inbound += size
            source = get(row, Decision.SOURCE)
            if source:
                pair = (state.region_at(Row(source - 1)), target)
                lane = lanes.setdefault(pair, [0, 0, 0])
                started = get(row, Decision.STATUS) == DecisionStatus.STARTED
                lane[0 if started else 1] += 1
                lane[2] += size
            if number % DECISIONS_PER_STEP == 0:
                yield
        found.inbound_bytes[target] = inbound
        yield
    told = tuple(Lane(*pair, *lanes[pair]) for pair in sorted(lanes))
    return Flows(told, found.copies, found.removals, found.inbound_bytes)


@dataclass(frozen=True, slots=True)
class Counted:
    """What takes a look at many rows."""

    flows: Flows
    holdings: dict[Region, Holding]
    refused: dict[Region, int]


def region_standings(
    state: State, topology: Topology, counted: Counted, now_ns: int
) -> tuple[RegionStanding, ...]:
    """Return every region of the catalogue, by code."""
    orders = {order.region: order for order in region_orders(state, now_ns)}
    paused = set(_paused(pause_orders(state, now_ns), topology))
    return tuple(
        _standing(
            state,
            topology,
            counted,
            code,
            order=orders.get(code),
            paused=code in paused,
        )
        for code in sorted(topology.regions)
    )


def _paused(orders: list[PauseOrder], topology: Topology) -> Iterator[Region]:
    for order in orders:
        if order.region is not None:
            yield order.region
        else:
            yield from set(topology.regions) - set(order.excepted)


def _standing(  # noqa: PLR0913 - one row of the table
    state: State,
    topology: Topology,
    counted: Counted,
    code: Region,
    *,
    order: RegionOrder | None,
    paused: bool,
) -> RegionStanding:
    region, row = topology.regions[code], state.regions.find(code.encode())
    known = row != ABSENT
    moving = counted.flows
    told = RegionState.ACTIVE if order is None else order.state
    held = counted.holdings.get(code)
    return RegionStanding(
        code=code,
        name=region.name or code,
        area=region.area,
        latitude=region.latitude,
        longitude=region.longitude,
        stores=region.stores,
        home=code == topology.home,
        state=word(told.name),
        ordered_ns=0 if order is None else order.term.order_time_ns,
        expire_ns=0 if order is None else order.term.expire_time_ns,
        paused=paused,
        holding=held if known else Holding(0, 0),
        open_copy_count=moving.copies.get(code, 0),
        open_removal_count=moving.removals.get(code, 0),
        inbound_bytes=moving.inbound_bytes.get(code, 0),
        inventory_ns=_cell(state, row, cells.Region.INVENTORY_TIME),
        last_start_ns=_cell(state, row, cells.Region.LAST_START),
        refused_count=counted.refused.get(code, 0),
    )


def _cell(state: State, row: Row, column: cells.Region) -> int:
    return 0 if row == ABSENT else state.regions.get(row, column)
