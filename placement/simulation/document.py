"""A back-test as JSON: the figures of each policy on each trace, and over all traces.

``{"assumptions": {…}, "traces": {NAME: {"policies": {POLICY: {…}}}}, "macro": {POLICY:
{…}}}``. What a policy or a trace cannot say is null: baselines forecast nothing, so
their ``brier``, ``bss`` and ``ece`` are; nor is there a ``benefit`` where even the
clairvoyant saves nothing. Beyond the figures that every policy is compared by, there is
``extras`` of each: means, regret, misses by class, calibration in parts.
"""

from collections.abc import Mapping
from typing import Final

from placement.simulation.assumptions import Assumptions
from placement.simulation.calibration import Calibration
from placement.simulation.ledger import Sources
from placement.simulation.scores import KAPPA, MacroScore, PolicyScore, macro_scores

Figures = dict[str, object]
P50: Final = 0.5
P99: Final = 0.99


def backtest_document(
    traces: Mapping[str, Mapping[str, PolicyScore]],
    assumptions: Assumptions,
    sources: Sources = Sources.HOME,
    kappa: float = KAPPA,
) -> Figures:
    """Return the whole of it; *traces* has the scores by trace and policy."""
    return {
        "assumptions": {
            "file": assumptions.source,
            "delta_s": assumptions.delta_s,
            "layer_share": assumptions.layer_share,
            "size_seed": assumptions.sizes.seed,
            "source": sources.value,
            "regret_kappa_bytes_per_s": kappa,
        },
        "traces": {
            name: {
                "policies": {
                    policy: policy_figures(score) for policy, score in scores.items()
                }
            }
            for name, scores in traces.items()
        },
        "macro": {
            policy: macro_figures(score)
            for policy, score in macro_scores(traces).items()
        },
    }


def policy_figures(score: PolicyScore) -> Figures:
    """Return what one policy came to on one trace."""
    known = score.calibration
    return {
        "first_starts": score.first_starts,
        "local_share": score.local_share,
        "wait_p50_s": score.wait_s(P50),
        "wait_p99_s": score.wait_s(P99),
        "saved": score.saved,
        "benefit": score.benefit,
        "bytes_moved_ratio": score.bytes_moved_ratio,
        "waste": score.waste,
        "waste_vs_everywhere": score.waste_vs_everywhere,
        "brier": None if known is None else known.brier,
        "bss": None if known is None else known.skill,
        "ece": None if known is None else known.error,
        "extras": _extras(score),
    }


def macro_figures(score: MacroScore) -> Figures:
    """Return what one policy came to over all traces."""
    return {
        "benefit": score.benefit,
        "worst_benefit": score.worst_benefit,
        "waste_vs_everywhere": score.waste_vs_everywhere,
        "bytes_moved_ratio": score.bytes_moved_ratio,
    }


def _extras(score: PolicyScore) -> Figures:
    wasted_gb = score.wasted_bytes / 1e9
    return {
        "wait_mean_s": sum(score.waits_s) / max(1, score.first_starts),
        "saved_s": score.saved_s,
        "wasted_bytes": score.wasted_bytes,
        "saved_s_per_wasted_gb": score.saved_s / wasted_gb if wasted_gb else None,
        "regret_bytes": score.regret_bytes,
        "misses": {
            name: {
                "count": miss.count,
                "wait_s": miss.wait_s,
                "regret_bytes": miss.regret_bytes,
            }
            for name, miss in score.misses.items()
        },
        "calibration": _calibration(score.calibration),
        "calibration_by_membership": {
            name: _calibration(known) for name, known in score.by_membership.items()
        },
        "calibration_by_trigger": {
            name: _calibration(known) for name, known in score.by_trigger.items()
        },
    }


def _calibration(known: Calibration | None) -> Figures | None:
    if known is None:
        return None
    return {
        "count": known.count,
        "brier": known.brier,
        "bss": known.skill,
        "ece": known.error,
        "bins": [
            {
                "count": one.count,
                "mean_probability": one.mean_probability,
                "share_true": one.share_true,
            }
            for one in known.bins
        ],
    }
