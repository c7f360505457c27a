"""Are probabilities true? Brier score, skill over the base rate, reliability by bins.

Sources: Brier, "Verification of Forecasts Expressed in Terms of Probability" (1950);
the expected calibration error over ten equal bins is that of Naeini et al. (2015).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

BIN_COUNT: Final = 10


@dataclass(frozen=True, slots=True)
class Prediction:
    """A trial that was opened with *probability*, 0 to 1, and has been resolved.

    *membership* is what the app was to the region, *trigger* what opened the trial. One
    that is not resolved when the trace ends is no prediction.
    """

    time_ns: int
    probability: float
    came_true: bool
    membership: str
    trigger: str


@dataclass(frozen=True, slots=True)
class Bin:
    """The predictions of one tenth of all probabilities; *count* > 0."""

    count: int
    mean_probability: float
    share_true: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How true predictions were; *skill* is None where all came out the same.

    *brier* is the mean squared error; *skill* is 1 - brier / that of always saying the
    base rate; *error* is the expected calibration error.
    """

    count: int
    brier: float
    skill: float | None
    error: float
    bins: tuple[Bin, ...]


def calibration(predictions: Sequence[Prediction]) -> Calibration | None:
    """Return how true *predictions* were; None without any."""
    count = len(predictions)
    if not count:
        return None
    squares = ((one.probability - one.came_true) ** 2 for one in predictions)
    brier = sum(squares) / count
    rate = sum(one.came_true for one in predictions) / count
    base = rate * (1 - rate)
    bins = tuple(_bins(predictions))
    gaps = (one.count * abs(one.mean_probability - one.share_true) for one in bins)
    skill = 1 - brier / base if base else None
    return Calibration(count, brier, skill, sum(gaps) / count, bins)


def calibration_by(
    predictions: Iterable[Prediction], key: Callable[[Prediction], str]
) -> dict[str, Calibration]:
    """Return how true the predictions of each *key* were, by name."""
    groups: defaultdict[str, list[Prediction]] = defaultdict(list)
    for one in predictions:
        groups[key(one)].append(one)
    found = {name: calibration(groups[name]) for name in sorted(groups)}
    return {name: known for name, known in found.items() if known is not None}


def _bins(predictions: Iterable[Prediction]) -> Iterable[Bin]:
    groups: defaultdict[int, list[Prediction]] = defaultdict(list)
    for one in predictions:
        # A probability of 1 belongs to the last tenth.
        groups[min(BIN_COUNT - 1, int(one.probability * BIN_COUNT))].append(one)
    for number in sorted(groups):
        group = groups[number]
        expected = sum(one.probability for one in group) / len(group)
        came_true = sum(one.came_true for one in group) / len(group)
        yield Bin(len(group), expected, came_true)
