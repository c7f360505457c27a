"""What a watcher is told of regions and routes: all at first, then what is new."""

from typing import Final

import numpy as np

from placement.core.decisions import flow_count
from placement.core.packed import PackedNetwork
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, TRANSFERS_PER_ROUTE, TRIPLE
from placement.core.tables.table import Row

NEWS_EVERY_NS: Final = 1_000_000_000
"""Transfers are told so often; what they teach of a route changes slowly."""
TRANSFER_COLUMNS: Final = len(cells.Transfer)

RegionFigures = tuple[int, int, int]
"""What a region may be used for, until when, and how many copies leave it."""


class NetworkTeller:
    """What one watcher was told of regions and routes of one state."""

    def __init__(self, state: State) -> None:
        """Begin with nothing told."""
        self._state = state
        self._told_ns: int | None = None
        self._regions: dict[int, RegionFigures] = {}
        self._counts: dict[int, int] = {}
        """Transfers told, by the route's row."""

    def news(self, now_ns: int) -> PackedNetwork | None:
        """Return what is new, unless some was told just now; None also for nothing."""
        told_ns = self._told_ns
        if told_ns is not None and 0 <= now_ns - told_ns < NEWS_EVERY_NS:
            return None
        self._told_ns = now_ns
        figures = self._figures()
        routes = self._routes()
        if told_ns is not None and figures == self._regions and not routes:
            return None
        self._regions = figures
        found = self._packed(figures, routes)
        self._counts.update({row: count for row, count, _ in routes})
        return found

    def _figures(self) -> dict[int, RegionFigures]:
        """Return the figures of every region that was ever heard of."""
        state = self._state
        found: dict[int, RegionFigures] = {}
        for row in map(Row, range(len(state.regions))):
            said = state.regions.get(row, cells.Region.STATE)
            expire_ns = state.regions.get(row, cells.Region.STATE_EXPIRE)
            found[row] = (said, expire_ns, flow_count(state, row))
        return found

    def _routes(self) -> list[tuple[int, int, int]]:
        """Return the routes with new transfers: row, transfers ever, and to be told."""
        found: list[tuple[int, int, int]] = []
        for row in map(Row, range(len(self._state.routes))):
            count = self._state.routes.get(row, 0)
            known = self._counts.get(row, 0)
            if count != known:
                found.append((row, count, min(count - known, TRANSFERS_PER_ROUTE)))
        return found

    def _packed(
        self, figures: dict[int, RegionFigures], routes: list[tuple[int, int, int]]
    ) -> PackedNetwork:
        state = self._state
        pairs = [PAIR.unpack(state.routes.key(Row(row))) for row, _, _ in routes]
        transfers = [
            state.transfers.values(
                state.transfers.find(TRIPLE.pack(*pair, number % TRANSFERS_PER_ROUTE))
            )
            for pair, (_, count, told) in zip(pairs, routes, strict=True)
            for number in range(count - told, count)
        ]
        return PackedNetwork(
            tuple(state.region_at(Row(row)) for row in figures),
            np.array([state_ for state_, _, _ in figures.values()], np.uint8),
            np.array([expire_ns for _, expire_ns, _ in figures.values()], np.int64),
            np.array([leaving for _, _, leaving in figures.values()], np.uint32),
            np.array([source for source, _ in pairs], np.uint32),
            np.array([target for _, target in pairs], np.uint32),
            np.array([count for _, count, _ in routes], np.int64),
            np.array([told for _, _, told in routes], np.uint32),
            np.array(transfers, np.int64).reshape(-1, TRANSFER_COLUMNS),
        )
