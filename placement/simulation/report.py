"""What a back-test says beyond one trace's figures: as JSON, and as a picture."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from placement.simulation.assumptions import Assumptions
from placement.simulation.backtest import Outcome
from placement.simulation.calibration import Bin as Reliability
from placement.simulation.document import Figures, backtest_document
from placement.simulation.ledger import Sources
from placement.simulation.picture import Bin, Curve, Picture, Point, shares_within
from placement.simulation.retention import Retention
from placement.simulation.scores import (
    KAPPA,
    AllStarts,
    PolicyScore,
    macro_scores,
    quantile,
)

P50: Final = 0.5
P99: Final = 0.99
P999: Final = 0.999


def document(
    outcomes: Sequence[Outcome],
    assumptions: Assumptions,
    sources: Sources,
    kappa: float = KAPPA,
) -> Figures:
    """Return *outcomes*, all in one setting, as ``document.py`` describes it.

    *kappa* is what a second was worth in regrets. And ``frontier`` by trace,
    ``fingerprints``, ``stands_in_for_starts`` and, where they were wanted,
    ``all_starts`` and ``rollbacks`` by trace and policy.
    """
    scores = {outcome.name: outcome.scores for outcome in outcomes}
    found = dict(backtest_document(scores, assumptions, sources, kappa))
    found["fingerprints"] = {one.name: one.fingerprint for one in outcomes}
    found["stands_in_for_starts"] = {
        one.name: one.stands_in_for_starts for one in outcomes
    }
    found["frontier"] = {
        one.name: [
            {
                "kappa_mb_s": point.kappa_mb_s,
                "benefit": point.score.benefit,
                "saved": point.score.saved,
                "waste": point.score.waste,
                "waste_vs_everywhere": point.score.waste_vs_everywhere,
                "bytes_moved_ratio": point.score.bytes_moved_ratio,
            }
            for point in one.frontier
        ]
        for one in outcomes
        if one.frontier
    }
    found["all_starts"] = {
        one.name: {
            policy: _all_starts(starts) for policy, starts in one.all_starts.items()
        }
        for one in outcomes
        if one.all_starts
    }
    found["rollbacks"] = {
        one.name: {policy: _rollbacks(kept) for policy, kept in one.rollbacks.items()}
        for one in outcomes
        if one.rollbacks
    }
    return found


def _rollbacks(kept: Retention) -> Figures:
    return {
        "count": kept.rollbacks,
        "local": kept.local,
        "local_share": kept.local_share,
        "stored_ratio": kept.stored_ratio,
    }


def _all_starts(starts: AllStarts) -> Figures:
    return {
        "starts": len(starts.waits_s),
        "local_share": starts.local_share,
        "wait_p50_s": quantile(starts.waits_s, P50),
        "wait_p99_s": quantile(starts.waits_s, P99),
        "wait_p999_s": quantile(starts.waits_s, P999),
        "waited_h": starts.waited_s / 3600,
    }


def picture_of(
    outcomes: Sequence[Outcome], ours: str, price_mb_s: float, subtitle: str
) -> Picture:
    """Return what is drawn of *outcomes*: *ours* is the policy in colour.

    *price_mb_s* is its own kappa, which its points on the frontier are compared to.
    """
    scores = {outcome.name: outcome.scores for outcome in outcomes}
    names = list(outcomes[0].scores)
    macro = macro_scores(scores)
    points = [
        Point(name, known.waste_vs_everywhere or 0.0, known.benefit or 0.0)
        for name, known in macro.items()
    ]
    bins, error = _reliability([outcome.scores[ours] for outcome in outcomes])
    curves = (
        Curve(
            name, shares_within([by_name[name].waits_s for by_name in scores.values()])
        )
        for name in names
    )
    return Picture(
        title="Copies before starts",
        subtitle=subtitle,
        ours=ours,
        curves=tuple(curves),
        frontier=_frontier(outcomes, price_mb_s),
        points=tuple(points),
        bins=bins,
        calibration_error=error,
    )


def _frontier(outcomes: Sequence[Outcome], price_mb_s: float) -> tuple[Point, ...]:
    """Return the means over all traces at each kappa, by kappa."""
    by_kappa: defaultdict[float, dict[str, Mapping[str, PolicyScore]]]
    by_kappa = defaultdict(dict)
    for outcome in outcomes:
        for point in outcome.frontier:
            name = f"{point.kappa_mb_s:g}"
            by_kappa[point.kappa_mb_s][outcome.name] = {name: point.score}
    found = []
    for kappa, traces in sorted(by_kappa.items()):
        if kappa == price_mb_s:
            continue
        (known,) = macro_scores(traces).values()
        waste, benefit = known.waste_vs_everywhere or 0.0, known.benefit or 0.0
        found.append(Point(f"{kappa:g}", waste, benefit))
    return tuple(found)


def _reliability(scores: Sequence[PolicyScore]) -> tuple[tuple[Bin, ...], float]:
    """Return the forecasts of all traces by tenths, and their mean error."""
    tenths: defaultdict[int, list[Reliability]] = defaultdict(list)
    for score in scores:
        for one in score.calibration.bins if score.calibration else ():
            tenths[min(9, int(one.mean_probability * 10))].append(one)
    bins = []
    for _, found in sorted(tenths.items()):
        count = sum(one.count for one in found)
        forecast = sum(one.count * one.mean_probability for one in found) / count
        observed = sum(one.count * one.share_true for one in found) / count
        bins.append(Bin(forecast, observed, count))
    total = sum(one.count for one in bins)
    error = sum(one.count * abs(one.forecast - one.observed) for one in bins)
    return tuple(bins), error / max(1, total)
