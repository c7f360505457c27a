"""How good the seconds are: learn a few transfers of a path, predict its others."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from placement.bench.places import Places
from placement.bench.predictors import AFFINE, BASELINES, PRIOR, fitted
from placement.bench.report import Report, Tally
from placement.bench.tcp_model import chance
from placement.bench.transfers import Transfer
from placement.core.errors import InputError
from placement.core.routes import RoutePrior, prior

LEARNED: Final = 3
LEARNED_COUNTS: Final = (0, 1, 2, LEARNED, 5)
"""After how many transfers of a path the calibration is shown."""
REPETITIONS: Final = 5

Pair = tuple[str, str]
OnPath = Callable[[int, int], None]
"""Told how many paths were scored so far, and how many there are to score."""


def score(
    transfers: Iterable[Transfer], places: Places, on_path: OnPath | None = None
) -> Report:
    """Return how well each predictor knows *transfers*, whose regions *places* has.

    Every path with more than LEARNED transfers is learned and predicted REPETITIONS
    times; which ones are learned is drawn by a hash: the same list, the same figures.
    Raises InputError where no path has enough.
    """
    paths = _by_path(transfers)
    colds = {pair: prior(places.round_trip_ns(*pair)) for pair in paths}
    tally, done = Tally(), 0
    for pair, path in paths.items():
        if pair[0] != pair[1]:
            _offer_cold(tally, path, colds[pair])
    tally.settle()
    for repetition in range(REPETITIONS):
        for pair, path in paths.items():
            _score_path(tally, _shuffled(path, repetition), colds[pair])
            done += 1
            if on_path is not None:
                on_path(done, len(paths) * REPETITIONS)
        tally.settle()
    return tally.report(sum(map(len, paths.values())), len(paths))


def _by_path(transfers: Iterable[Transfer]) -> dict[Pair, list[Transfer]]:
    found: defaultdict[Pair, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        found[transfer.source, transfer.target].append(transfer)
    if all(len(path) <= LEARNED for path in found.values()):
        remedy = f"give more than {LEARNED} transfers of a path, to learn and to score"
        raise InputError("--transfers", f"{len(found)} paths", remedy)
    return dict(sorted(found.items()))


def _shuffled(path: Sequence[Transfer], repetition: int) -> list[Transfer]:
    """Return *path* in an order that its names, figures and the repetition decide."""
    return sorted(
        path,
        key=lambda one: chance(
            repetition, one.source, one.target, one.size_bytes, one.seconds
        ),
    )


def _offer_cold(tally: Tally, path: Sequence[Transfer], cold: RoutePrior) -> None:
    for one in path:
        expected = BASELINES[PRIOR](path, cold, one.size_bytes)
        _offer(tally, PRIOR, one, expected)


def _score_path(tally: Tally, path: Sequence[Transfer], cold: RoutePrior) -> None:
    for count in LEARNED_COUNTS:
        route = fitted(path[:count], cold)
        for one in path[count:]:
            expected = route.duration(one.size_bytes)
            p50, p90 = expected.p50_ns / 1e9, expected.p90_ns / 1e9
            tally.bounded(count, p50, p90, one.seconds)
            if count == LEARNED:
                _count(tally, AFFINE, one, p50)
    learned, rest = path[:LEARNED], path[LEARNED:]
    for name, predict in BASELINES.items():
        for one in rest:
            _count(tally, name, one, predict(learned, cold, one.size_bytes))


def _count(tally: Tally, name: str, one: Transfer, expected: float) -> None:
    """Count the error; the choice only among other regions: the own one is no choice.

    The prior's choices were counted over all transfers: it learned none of them.
    """
    tally.predicted(name, expected, one.seconds)
    if name != PRIOR and one.source != one.target:
        _offer(tally, name, one, expected)


def _offer(tally: Tally, name: str, one: Transfer, expected: float) -> None:
    """Offer a source; its cost, where known, is not left to one transfer's luck."""
    choice = (one.target, one.size_bytes)
    tally.offered(name, choice, expected, one.usual_seconds or one.seconds)


def figures(report: Report) -> dict[str, float | int | None]:
    """Return *report* under flat names; None where the transfers do not tell."""
    told: dict[str, float | int | None] = {
        "transfer_count": report.transfer_count,
        "path_count": report.path_count,
        "learned_per_path": LEARNED,
        "repetitions": REPETITIONS,
    }
    for name, errors in report.errors.items():
        told[f"{name}_median_error"] = errors.median
        told[f"{name}_mean_error"] = errors.mean
        told[f"{name}_p90_error"] = errors.p90
    for name in (AFFINE, *BASELINES):
        regret = report.regrets.get(name)
        told[f"{name}_source_regret_mean"] = regret.mean if regret else None
        told[f"{name}_source_regret_p95"] = regret.p95 if regret else None
    for learned, found in report.calibrations.items():
        suffix = "" if learned == LEARNED else f"_after_{learned}"
        told[f"p50_coverage{suffix}"] = found.below_p50
        told[f"p90_coverage{suffix}"] = found.below_p90
        if suffix:
            told[f"affine_median_error{suffix}"] = found.median_error
    return told
