"""What a list of transfers says of the predictors, and how it is added up."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

Choice = tuple[str, int]
"""A target and a size: what several sources were timed for."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over *count* >= 1 cases; relative: 0.05 is 5 %."""

    median: float
    mean: float
    p90: float
    p95: float
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The shares of observed durations below the predicted ones, 0 to 1."""

    below_p50: float
    below_p90: float
    median_error: float
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one list of transfers.

    *errors* by predictor, after a few transfers of each path. *regrets*: seconds lost
    by the predictor's choice of a source, over the best one's seconds; ``prior`` has
    learned nothing; empty where no target has two sources of one size. *calibrations*
    by how many transfers of a path were learned.
    """

    transfer_count: int
    path_count: int
    errors: Mapping[str, Spread]
    regrets: Mapping[str, Spread]
    calibrations: Mapping[int, Calibration]


def spread(values: Sequence[float]) -> Spread:
    """Return how *values*, at least one, are spread."""
    ordered = sorted(values)
    return Spread(
        median(ordered),
        fmean(ordered),
        _quantile(ordered, 0.9),
        _quantile(ordered, 0.95),
        len(ordered),
    )


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


@dataclass
class Tally:
    """Predictions beside what was observed, as they come."""

    errors: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _regrets: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _offers: defaultdict[tuple[str, Choice], list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _outcomes: defaultdict[int, list[tuple[float, float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def predicted(self, name: str, seconds: float, observed: float) -> None:
        """Count one prediction of the predictor *name*."""
        self.errors[name].append(abs(seconds - observed) / observed)

    def offered(
        self, name: str, choice: Choice, seconds: float, observed: float
    ) -> None:
        """Add a source to those that the predictor *name* may choose from."""
        self._offers[name, choice].append((seconds, observed))

    def settle(self) -> None:
        """Let every predictor choose from what was offered since the last time."""
        for (name, _), offers in self._offers.items():
            if len(offers) > 1:
                best = min(observed for _, observed in offers)
                self._regrets[name].append(min(offers)[1] / best - 1)
        self._offers.clear()

    def bounded(self, learned: int, p50: float, p90: float, observed: float) -> None:
        """Count where *observed* fell, after so many *learned* transfers."""
        error = abs(p50 - observed) / observed
        self._outcomes[learned].append((observed / p50, observed / p90, error))

    def report(self, transfer_count: int, path_count: int) -> Report:
        """Return the figures of all that was counted."""
        return Report(
            transfer_count,
            path_count,
            {name: spread(values) for name, values in self.errors.items()},
            {name: spread(values) for name, values in self._regrets.items()},
            {
                learned: _calibration(self._outcomes[learned])
                for learned in sorted(self._outcomes)
            },
        )


def _calibration(outcomes: Sequence[tuple[float, float, float]]) -> Calibration:
    return Calibration(
        fmean(p50 < 1 for p50, _, _ in outcomes),
        fmean(p90 < 1 for _, p90, _ in outcomes),
        median(error for _, _, error in outcomes),
        len(outcomes),
    )
