"""What may predict a transfer's seconds: the estimator, and what people do instead."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Final

from placement.bench.transfers import Transfer
from placement.core.routes import RouteFit, RoutePrior, RouteSample, fit

Predictor = Callable[[Sequence[Transfer], RoutePrior, int], float]
"""From what was learned of a path, >= 1 transfer, and a size: the seconds expected."""

AFFINE: Final = "affine"
PRIOR: Final = "prior"


def fitted(learned: Sequence[Transfer], cold: RoutePrior) -> RouteFit:
    """Return the estimator's route, all of *learned*, oldest first, at one time."""
    samples = [
        RouteSample(transfer.size_bytes, round(transfer.seconds * 1e9), 0)
        for transfer in learned
    ]
    return fit(samples, cold, 0)


def _prior(_: Sequence[Transfer], cold: RoutePrior, size_bytes: int) -> float:
    return fitted((), cold).duration(size_bytes).p50_ns / 1e9


def _throughput_average(
    learned: Sequence[Transfer], _: RoutePrior, size_bytes: int
) -> float:
    return size_bytes / fmean(one.size_bytes / one.seconds for one in learned)


def _throughput_last(
    learned: Sequence[Transfer], _: RoutePrior, size_bytes: int
) -> float:
    return size_bytes / (learned[-1].size_bytes / learned[-1].seconds)


def _latency_average(
    learned: Sequence[Transfer], _: RoutePrior, _size_bytes: int
) -> float:
    return fmean(one.seconds for one in learned)


BASELINES: Final[dict[str, Predictor]] = {
    "throughput_average": _throughput_average,
    "throughput_last": _throughput_last,
    "latency_average": _latency_average,
    PRIOR: _prior,
}
