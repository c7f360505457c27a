"""Transfers that a registry really served, and how well the others tell of each one."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from statistics import median
from typing import Final

from placement.bench.places import Places
from placement.core.routes import RouteSample, fit, prior
from placement.core.tables.keys import TRANSFERS_PER_ROUTE

LARGE_BYTES: Final = 8_000_000
"""From here on a request log's duration is near the client's own."""
COLUMNS: Final = (
    "source_region",
    "target_region",
    "bytes",
    "seconds",
    "time_seconds",
)


@dataclass(frozen=True, slots=True)
class Captured:
    """One transfer of a request log; the regions have coordinates."""

    source: str
    target: str
    sample: RouteSample


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A large transfer, and what the route's others let one expect; in seconds."""

    source: str
    target: str
    size_bytes: int
    observed: float
    p50: float
    p90: float
    cold: float
    """What the prior alone expected."""

    @property
    def error(self) -> float:
        """How far off the median was, relative to what was observed."""
        return abs(self.p50 - self.observed) / self.observed


def carried_captures() -> list[Captured]:
    """Return the carried ones; data/network/README.md says where they are from."""
    file = files("placement") / "data" / "network" / "captured.csv"
    return [
        Captured(
            row["source_region"],
            row["target_region"],
            RouteSample(
                int(row["bytes"]),
                round(float(row["seconds"]) * 1e9),
                round(float(row["time_seconds"]) * 1e9),
            ),
        )
        for row in csv.DictReader(file.read_text("utf-8").splitlines())
    ]


def leave_one_out(captures: Iterable[Captured], places: Places) -> list[LeftOut]:
    """Return each large transfer beside what the others of its route say of it.

    The others are the 32 nearest in time, as many as a route keeps; of what size, and
    whether a warm connection made them look fast, they do not tell. Needs one other.
    """
    routes: defaultdict[tuple[str, str], list[RouteSample]] = defaultdict(list)
    for captured in captures:
        routes[captured.source, captured.target].append(captured.sample)
    found = []
    for (source, target), samples in sorted(routes.items()):
        cold = prior(places.round_trip_ns(source, target))
        ordered = sorted(samples, key=lambda sample: sample.time_ns)
        for index, sample in enumerate(ordered):
            size = sample.transferred_bytes
            others = _others(ordered, index)
            if size < LARGE_BYTES or not others:
                continue
            expected = fit(others, cold, sample.time_ns).duration(size)
            alone = fit((), cold, sample.time_ns).duration(size)
            seconds = (sample.duration_ns, expected.p50_ns, expected.p90_ns)
            left = (value / 1e9 for value in (*seconds, alone.p50_ns))
            found.append(LeftOut(source, target, size, *left))
    return found


def _others(ordered: Sequence[RouteSample], index: int) -> list[RouteSample]:
    """Return the nearest others, oldest first."""
    first = max(0, index - TRANSFERS_PER_ROUTE // 2)
    last = first + TRANSFERS_PER_ROUTE + 1
    return [*ordered[first:index], *ordered[index + 1 : last]]


def captured_figures(left_out: Sequence[LeftOut]) -> dict[str, float | int]:
    """Return the figures of *left_out*, at least one, under flat names."""
    count = len(left_out)
    colds = (abs(one.cold - one.observed) / one.observed for one in left_out)
    return {
        "captured_count": count,
        "captured_median_error": median(one.error for one in left_out),
        "captured_prior_median_error": median(colds),
        "captured_p50_coverage": sum(x.observed < x.p50 for x in left_out) / count,
        "captured_p90_coverage": sum(x.observed < x.p90 for x in left_out) / count,
    }
