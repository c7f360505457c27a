"""Routes: what a region pair's last transfers say of the next one, fitted when asked.

Affine in bytes: ``seconds = start-up + bytes * seconds per byte``. What the round trip
alone says is the prior; the transfers are the state's, raw. Source: policy.md §2.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from placement.core.counts import HOUR_NS
from placement.core.estimate import (
    BANDWIDTH_MAX,
    COLD_SPREAD,
    LONGEST_NS,
    START_UP_NS,
    START_UP_ROUND_TRIPS,
    WINDOW_BYTES,
    Duration,
)
from placement.core.event import TransferOutcome
from placement.core.regression import Model, Point, fitted, spreads
from placement.core.state import State
from placement.core.tables.keys import PAIR, TRANSFERS_PER_ROUTE, TRIPLE
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import LOCAL_ROUND_TRIP_MS, Region, Topology

SAMPLES_HALVE_EVERY: Final = 8.0
HANDFUL: Final = 4
"""Samples that age alone never takes away from a route."""
IMPOSSIBLE_SPEED_UP: Final = 20.0
IMPOSSIBLE_SPEED_UP_WITHIN: Final = 200.0
"""Within a region: a gigabyte in a third of a second was seen, over fast networks."""


@dataclass(frozen=True, slots=True)
class RouteSample:
    """One timed transfer: bytes > 0, duration > 0; concurrency 0 is not known."""

    transferred_bytes: int
    duration_ns: int
    time_ns: int
    concurrency: int = 0
    outcome: TransferOutcome = TransferOutcome.COMPLETED


@dataclass(frozen=True, slots=True)
class RoutePrior:
    """What the round trip alone says of a route."""

    start_up_ns: int
    bytes_per_second: float
    round_trip_ns: int


@dataclass(frozen=True, slots=True)
class RouteFit:
    """A route as fitted; both spreads are p90 over p50, >= 1, of their own part.

    *effective_samples* is the weight of the *sample_count* usable samples by now.
    """

    start_up_ns: float
    seconds_per_byte: float
    start_up_spread: float
    per_byte_spread: float
    sample_count: int
    effective_samples: float

    def p50_ns(self, size_bytes: int) -> int:
        """Return how long *size_bytes* >= 0 take in half of the cases."""
        p50 = self.start_up_ns + size_bytes * self.seconds_per_byte * 1e9
        return round(min(p50, LONGEST_NS))

    def duration(self, size_bytes: int) -> Duration:
        """Return how long *size_bytes* >= 0 take; never shorter for more bytes."""
        byte_ns = size_bytes * self.seconds_per_byte * 1e9
        p50 = self.start_up_ns + byte_ns
        p90 = self.start_up_ns * self.start_up_spread + byte_ns * self.per_byte_spread
        p50_ns = round(min(p50, LONGEST_NS))
        return Duration(p50_ns, max(p50_ns, round(min(p90, LONGEST_NS))))


def prior(round_trip_ns: int) -> RoutePrior:
    """Return the cold-start model of a *round_trip_ns* > 0.

    Source: policy.md §2.1, fitted on 1,734 object fetches between 17 cloud regions.
    """
    start_up_ns = START_UP_NS + round(START_UP_ROUND_TRIPS * round_trip_ns)
    bandwidth = min(BANDWIDTH_MAX, WINDOW_BYTES * 1e9 / round_trip_ns)
    return RoutePrior(start_up_ns, bandwidth, round_trip_ns)


def route_row(state: State, source: Region, target: Region) -> Row:
    """Return the row of the route, which is for good; ABSENT: none was observed."""
    source_row = state.regions.find(source.encode())
    target_row = state.regions.find(target.encode())
    if ABSENT in (source_row, target_row):
        return ABSENT
    return state.routes.find(PAIR.pack(source_row, target_row))


def route_samples(
    state: State, source: Region, target: Region
) -> tuple[RouteSample, ...]:
    """Return the last transfers from *source* to *target*, as they arrived."""
    route = route_row(state, source, target)
    if route == ABSENT:
        return ()
    source_row, target_row = PAIR.unpack(state.routes.key(route))
    seen = state.routes.get(route, 0)
    found = []
    for number in range(max(0, seen - TRANSFERS_PER_ROUTE), seen):
        slot = number % TRANSFERS_PER_ROUTE
        row = state.transfers.find(TRIPLE.pack(source_row, target_row, slot))
        size, duration, time, concurrency, outcome = state.transfers.values(row)
        ended = TransferOutcome(outcome)
        found.append(RouteSample(size, duration, time, concurrency, ended))
    return tuple(found)


def route_fit(
    state: State, topology: Topology, source: Region, target: Region, now_ns: int
) -> RouteFit:
    """Return the route between two regions of the catalogue, as known at *now_ns*."""
    cold = prior(topology.round_trip_ns(source, target))
    return fit(route_samples(state, source, target), cold, now_ns)


def fit(samples: Sequence[RouteSample], cold: RoutePrior, now_ns: int) -> RouteFit:
    """Return what *samples*, oldest first, and the *cold* prior say at *now_ns*.

    Impossibly fast samples are left out; without usable ones it is the prior. Only the
    last 32 count. Raises nothing.
    """
    base = Model(cold.start_up_ns / 1e9, 1 / cold.bytes_per_second)
    usable = [sample for sample in samples if _possible(sample, cold)]
    usable = usable[-TRANSFERS_PER_ROUTE:]
    if not usable:
        known = base.start_up * 1e9, base.per_byte
        return RouteFit(*known, COLD_SPREAD, COLD_SPREAD, 0, 0.0)
    memory_ns = _memory_ns(usable)
    age = max(0, now_ns - usable[-1].time_ns) / memory_ns
    model, evidence = fitted(_points(usable, memory_ns, age), base, age)
    known = model.start_up * 1e9, model.per_byte
    return RouteFit(*known, *spreads(evidence), len(usable), evidence.weight)


def _possible(sample: RouteSample, cold: RoutePrior) -> bool:
    """Say whether *sample* timed a transfer, not the filling of a warm send buffer."""
    if sample.duration_ns <= 0 or sample.transferred_bytes <= 0:
        return False
    if sample.outcome is not TransferOutcome.COMPLETED:
        return True  # a lower bound can be too low to tell anything, never too fast
    if sample.duration_ns < cold.round_trip_ns:
        return False
    within = cold.round_trip_ns <= LOCAL_ROUND_TRIP_MS * 1e6
    speed_up = IMPOSSIBLE_SPEED_UP_WITHIN if within else IMPOSSIBLE_SPEED_UP
    speed = sample.transferred_bytes * 1e9 / sample.duration_ns
    return speed <= cold.bytes_per_second * speed_up


def _memory_ns(samples: Sequence[RouteSample]) -> int:
    """Return in what time a sample's weight halves: an hour, or a handful's span.

    So a route that is used once a day remembers days.
    """
    first = samples[-min(len(samples), HANDFUL + 1)].time_ns
    return max(HOUR_NS, samples[-1].time_ns - first)


def _points(samples: Sequence[RouteSample], memory_ns: int, age: float) -> list[Point]:
    """Return *samples*, newest first, with their weights.

    They fade with the transfers and the time since; *age*, the time since the newest in
    memory times, fades all of them, but leaves a handful.
    """
    newest_ns = samples[-1].time_ns
    faded = []
    for recency, sample in enumerate(reversed(samples)):
        time = max(0, newest_ns - sample.time_ns) / memory_ns
        faded.append(2.0 ** (-time - recency / SAMPLES_HALVE_EVERY))
    kept = max(2.0**-age, min(1.0, HANDFUL / sum(faded)))
    return [
        Point(
            sample.transferred_bytes,
            sample.duration_ns / 1e9,
            recency,
            faded[recency] * kept / max(1, sample.concurrency),
            sample.concurrency,
            sample.outcome is not TransferOutcome.COMPLETED,
        )
        for recency, sample in enumerate(reversed(samples))
    ]
