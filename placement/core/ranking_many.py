"""The sources of thousands of contents at once, by columns: the order of ``ranking``.

What is the same for all contents is looked up once for each source. What columns do not
tell is left to ``rank_sources``, content by content: images, of which a source may lack
a part, and presence beyond what a placement's own bits say.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from placement.core.estimate import LONGEST_NS
from placement.core.event import RegionState
from placement.core.near_equals import PLACE_BITS, places_of
from placement.core.network import Network
from placement.core.ranking import NEAR_EQUAL, Question, Ranking
from placement.core.routes import RouteFit
from placement.core.tables import cells
from placement.core.tables.keys import pair_keys
from placement.core.tables.table import ABSENT, KeyBytes, Row
from placement.core.topology import Region

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

_NOWHERE: Final = np.iinfo(np.int64).max
"""In place of the duration from a region that has not got the content."""
_DRAINS: Final = 2**62
"""Added to the duration from a region that drains; more than any duration."""
_LANE_BITS: Final = np.uint64(64 - PLACE_BITS - 1)
"""A lane's number stands behind its place: the least of both is found at once."""
_LANE: Final = np.uint64((1 << _LANE_BITS.item()) - 1)
_NO_PLACE: Final = np.uint64(2**64 - 1)
"""After every place among near-equals."""


class Sources(NamedTuple):
    """The sources of several contents, content by content, the best first.

    *counts* has a number for each content, the others for each source: its position in
    ``RankMany.regions``, and its durations in nanoseconds.
    """

    counts: NDArray[np.uint8]
    positions: NDArray[np.uint8]
    p50_ns: Integers
    p90_ns: Integers


class _Lanes:
    """What may serve a question, by region code: a number of each for all contents."""

    def __init__(self, network: Network, target: Region) -> None:
        """Look up every region that may be a source now, of those that have a bit."""
        state, now_ns = network.state, network.now_ns
        found: list[tuple[Region, Row, RegionState, int, RouteFit]] = []
        for row in range(min(len(state.regions), cells.PRESENT_BITS)):
            region = state.region_at(Row(row))
            said = state.region_state_at(Row(row), now_ns)
            if said is not RegionState.DOWN and network.topology.stores(region):
                seed = network.ways.way(region, target, now_ns).seed
                fit = network.route(region, target)
                found.append((region, Row(row), said, seed, fit))
        found.sort(key=lambda one: one[0])
        self.regions = [region for region, *_ in found]
        self.rows = np.array([row for _, row, *_ in found], np.int64)
        self.drains = np.array(
            [said is RegionState.DRAINING for _, _, said, *_ in found], np.bool_
        )
        groups = [group for group in (~self.drains, self.drains) if group.any()]
        self.groups = [slice(None)] if len(groups) == 1 else groups
        """Lanes that are compared with each other: those that drain come last."""
        self.seeds = np.array([seed for *_, seed, _ in found], np.uint64)
        fits = [fit for *_, fit in found]
        self._start_up_ns = np.array([fit.start_up_ns for fit in fits], np.float64)
        self._seconds_per_byte = np.array(
            [fit.seconds_per_byte for fit in fits], np.float64
        )
        self._start_up_spread = np.array(
            [fit.start_up_spread for fit in fits], np.float64
        )
        self._per_byte_spread = np.array(
            [fit.per_byte_spread for fit in fits], np.float64
        )

    def p50_ns(self, sizes: Integers) -> Integers:
        """Return ``RouteFit.p50_ns`` of each lane, a row each, for each size."""
        return _rounded(
            self._start_up_ns[:, None] + sizes * self._seconds_per_byte[:, None] * 1e9
        )

    def places(self, words: Words) -> Words:
        """Return each lane's place among near-equals, a row each, and then its number.

        By region code where places are equal, as the lanes are.
        """
        numbers = np.arange(len(self.seeds), dtype=np.uint64)[:, None]
        return places_of(self.seeds[:, None], words) << _LANE_BITS | numbers

    def durations(self, lanes: Integers, sizes: Integers) -> tuple[Integers, Integers]:
        """Return ``RouteFit.duration`` of one lane for each size."""
        start_up_ns = self._start_up_ns[lanes]
        byte_ns = sizes * self._seconds_per_byte[lanes] * 1e9
        p50_ns = _rounded(start_up_ns + byte_ns)
        spread_ns = start_up_ns * self._start_up_spread[lanes]
        p90_ns = _rounded(spread_ns + byte_ns * self._per_byte_spread[lanes])
        return p50_ns, np.maximum(p50_ns, p90_ns)


def _rounded(duration_ns: NDArray[np.float64]) -> Integers:
    return np.rint(np.minimum(duration_ns, LONGEST_NS)).astype(np.int64)


class RankMany:
    """Ranks contents for one question, at one time, from one state."""

    def __init__(self, network: Network, question: Question) -> None:
        """Look up what is the same for all contents: who may serve, and how fast."""
        self._state = network.state
        self._width = question.source_count_max
        self._owner = network.state.find_repository(question.repository)
        self._lanes = _Lanes(network, question.region)
        self.regions = list(self._lanes.regions)
        """What positions are of; rankings may add to them."""

    def rank(self, keys: KeyBytes) -> "Ranked":
        """Return the sources of contents by their SHA-256, a row of bytes each."""
        state, ranked = self._state, Ranked(self.regions, len(keys), self._width)
        rows = state.digests.find_many(keys)
        at = np.flatnonzero(rows != ABSENT)
        if self._owner == ABSENT or not at.size:
            return ranked
        rows = rows[at]
        owner = np.full(len(rows), self._owner, np.int64)
        placements = state.placements.find_many(pair_keys(owner, rows))
        placed = placements != ABSENT
        present, told = state.presence_of(placements[placed])
        told &= state.digests.column(cells.Digest.EDGES)[rows[placed]] == 0
        at, rows = at[placed], rows[placed]
        ranked.undecided = at[~told].tolist()
        at, rows, present = at[told], rows[told], present[told]
        sizes = state.digests.column(cells.Digest.SIZE)[rows]
        words = keys[at, :8].copy().view(">u8").ravel().astype(np.uint64)
        order = self._order(present, sizes)
        places = self._lanes.places(words)
        for nth, chosen in enumerate(_best(order, places, self._width)):
            found = chosen >= 0
            lanes, which = chosen[found], at[found]
            ranked.put(nth, which, lanes, self._lanes.durations(lanes, sizes[found]))
        return ranked

    def _order(self, present: Integers, sizes: Integers) -> Integers:
        """Return what each lane is ordered by, a row each, but for near-equals."""
        lanes = self._lanes
        absent = (present >> lanes.rows[:, None]) & 1 == 0
        order = np.where(absent, _NOWHERE, lanes.p50_ns(sizes))
        for group in lanes.groups:
            nearest = order[group].min(axis=0)
            near = np.rint(np.minimum(nearest, _DRAINS) * NEAR_EQUAL)
            order[group] = np.maximum(order[group], near.astype(np.int64))
        if lanes.drains.any():
            order[lanes.drains] += _DRAINS
        return np.where(absent, _NOWHERE, order)


def _best(order: Integers, places: Words, count: int) -> Iterable[Integers]:
    """Yield the lane that comes first for each content, then second, and so on.

    -1 where there is none left. *order* is used up.
    """
    everyone = np.arange(order.shape[1])
    for _ in range(min(count, len(order))):
        least = order.min(axis=0)
        first = np.where(order == least, places, _NO_PLACE).min(axis=0)
        chosen = (first & _LANE).astype(np.int64)
        order[chosen, everyone] = _NOWHERE
        yield np.where(least == _NOWHERE, -1, chosen)


class Ranked:
    """The sources of some contents, and which contents are still to be ranked."""

    def __init__(self, regions: list[Region], count: int, width: int) -> None:
        """Begin with no sources of *count* contents, at most *width* each."""
        self.undecided: list[int] = []
        """To be ranked one by one, by position, and to be ``put_ranking``."""
        self._regions = regions
        self._positions = np.full((count, width), -1, np.int64)
        self._p50_ns = np.zeros((count, width), np.int64)
        self._p90_ns = np.zeros((count, width), np.int64)

    def put(
        self,
        nth: int,
        contents: Integers,
        positions: Integers,
        durations: tuple[Integers, Integers],
    ) -> None:
        """Let *positions* be the regions of the *nth* sources of *contents*."""
        self._positions[contents, nth] = positions
        self._p50_ns[contents, nth], self._p90_ns[contents, nth] = durations

    def put_ranking(self, content: int, ranking: Ranking) -> None:
        """Let the sources of a content be those of *ranking*."""
        for nth, source in enumerate(ranking.sources):
            if source.region not in self._regions:
                self._regions.append(source.region)
            self._positions[content, nth] = self._regions.index(source.region)
            self._p50_ns[content, nth], self._p90_ns[content, nth] = source.duration

    def sources(self) -> Sources:
        """Return all of them, content by content."""
        found: NDArray[Any] = self._positions >= 0
        return Sources(
            found.sum(axis=1, dtype=np.uint8),
            self._positions[found].astype(np.uint8),
            self._p50_ns[found],
            self._p90_ns[found],
        )
