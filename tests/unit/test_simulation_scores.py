"""Scores by hand: what each figure means, and the document that carries them."""

import json
from math import isclose

import pytest

from placement.simulation.baselines import BASELINES, SET_NS, set_60d
from placement.simulation.calibration import Prediction, calibration
from placement.simulation.document import backtest_document
from placement.simulation.ledger import Copy, all_waits, settle
from placement.simulation.score_from import ScoreFrom
from placement.simulation.scores import (
    PolicyScore,
    Scorer,
    all_starts,
    macro_scores,
    quantile,
)
from placement.simulation.world import World
from tests.builders import FRA, IAD, LHR, SECOND_NS, SYD
from tests.small_worlds import (
    BEGIN_S,
    SIZE_BYTES,
    Row,
    copy_of,
    equal_sizes,
    small_world,
)

LOCAL_S = 0.33
SCORED = ScoreFrom(date_ns=BEGIN_S * SECOND_NS)
"""So that what made regions live before is not scored."""
BEFORE: list[Row] = [(-9_000, SYD, "old", "v1"), (-9_000, LHR, "old", "v1")]
ROWS: list[Row] = [*BEFORE, (500, SYD, "web", "v1"), (900, LHR, "web", "v1")]
ROWS += [(2_000, SYD, "web", "v2")]


def world() -> World:
    """Two live regions; web:v1 starts in both, web:v2 in Sydney only."""
    return small_world(ROWS, score_from=SCORED)


def excess_s(*targets: str) -> float:
    """What a start of an image from home waits too long, summed over *targets*."""
    rules = world().rules
    regions = {"syd": SYD, "lhr": LHR}
    return sum(
        rules.transfer_s(IAD, regions[target], SIZE_BYTES) - LOCAL_S
        for target in targets
    )


def predicted(probability: float, *, true: bool, at_s: int = 10) -> Prediction:
    """A resolved trial."""
    time_ns = (BEGIN_S + at_s) * SECOND_NS
    return Prediction(time_ns, probability, true, "member", "push")


def test_policy_is_scored_against_never_everywhere_and_clairvoyant() -> None:
    """One copy that helps, one that nobody needs: each figure worked out by hand."""
    copies = [
        copy_of(world(), "web", "v1", SYD, 440),
        copy_of(world(), "web", "v2", LHR, 1_940),
    ]

    score = Scorer(world()).score(copies)

    assert score.first_starts == 3
    assert score.local_share == pytest.approx(1 / 3)
    all_s = excess_s("syd", "lhr", "syd")
    assert score.saved == pytest.approx(excess_s("syd") / all_s)
    assert score.benefit == pytest.approx(score.saved)  # the clairvoyant saves all
    # Everywhere moves two versions to two regions; here three needed and one wasted.
    assert score.bytes_moved_ratio == pytest.approx(1)
    assert score.waste == pytest.approx(1 / 3)
    assert score.waste_vs_everywhere == pytest.approx(1)
    assert score.regret_bytes == pytest.approx(
        80e6 * excess_s("lhr", "syd") + SIZE_BYTES
    )


def test_references_score_as_they_must() -> None:
    """Never saves nothing, everywhere and clairvoyant all; only one of them wastes."""
    scores = Scorer(world()).baselines()

    assert list(scores) == [
        "never",
        "pull_through",
        "everywhere",
        "set_60d",
        "clairvoyant",
    ]
    never, all_over = scores["never"], scores["everywhere"]
    best = scores["clairvoyant"]
    assert (never.saved, never.benefit, never.waste) == (0, 0, 0)
    assert all_over.saved == all_over.benefit == pytest.approx(1)
    assert all_over.waste_vs_everywhere == 1
    assert (best.benefit, best.waste, best.regret_bytes) == (1, 0, 0)


def test_never_and_pull_through_differ_in_repeated_starts_alone() -> None:
    """The same first starts and bytes; a region that was filled serves the second."""
    small = small_world([(0, SYD, "web", "v1"), (500, SYD, "web", "v1")])
    ledger = settle(small, BASELINES["pull_through"](small))

    found = all_starts(all_waits(small, ledger))

    assert BASELINES["never"] is BASELINES["pull_through"]
    assert found.local_share == 0.5
    assert found.waited_s == pytest.approx(excess_s("syd") + 2 * LOCAL_S)


def test_misses_are_counted_by_why() -> None:
    """Not predicted, predicted too late, and a region that nobody could know."""
    rows = [*ROWS, (3_000, FRA, "web", "v2")]
    small = small_world(rows, score_from=SCORED)
    late = copy_of(small, "web", "v1", SYD, 499)

    misses = Scorer(small, kappa=10.0).score([late]).misses

    counts = {name: miss.count for name, miss in misses.items()}
    assert counts == {"never_predicted": 2, "predicted_late": 1, "new_region": 1}
    late_miss = misses["predicted_late"]
    assert late_miss.wait_s == pytest.approx(excess_s("syd") - 1)
    assert late_miss.regret_bytes == pytest.approx(10 * late_miss.wait_s)
    # Nobody could have copied to fra: it cost waiting, and is nobody's regret.
    assert misses["new_region"].wait_s > 0
    assert misses["new_region"].regret_bytes == 0


def test_early_starts_and_pushes_are_not_scored() -> None:
    """Waits count from the moment on, bytes of versions pushed from then on."""
    small = small_world(ROWS, score_from=ScoreFrom(date_ns=(BEGIN_S + 460) * SECOND_NS))

    score = Scorer(small).score(
        [Copy(v, SYD, v.push_time_ns) for v in small.past.versions]
    )

    # web:v1 was pushed at 440 and started at 500: its wait is scored, its bytes not.
    assert score.first_starts == 3
    assert score.bytes_moved_ratio == pytest.approx(1 / 2)


def test_world_without_scored_starts_says_so() -> None:
    """Nothing to save is no benefit, and no division by nothing."""
    small = small_world(BEFORE, score_from=SCORED)

    score = Scorer(small).score([])

    assert (score.first_starts, score.wait_s(0.99)) == (0, 0)
    assert (score.benefit, score.bytes_moved_ratio, score.waste) == (None, None, None)


def test_quantiles_are_those_of_the_published_figures() -> None:
    """The value that the share of all are below."""
    values = [float(number) for number in range(100)]

    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile([], 0.5) == 0


def test_set_60d_forgets_after_sixty_days() -> None:
    """A start exactly sixty days before the push counts, one a second earlier not."""
    days_s = SET_NS // SECOND_NS
    rows = [(0, LHR, "web", "v1"), (1, SYD, "web", "v1")]
    small = small_world([*rows, (days_s + 61, LHR, "web", "v2")], delta_s=60)

    copies = [x for x in set_60d(small) if x.version.tag == "v2"]

    assert [copy.region for copy in copies] == [SYD]


def test_calibration_by_hand() -> None:
    """Brier score, skill over the base rate and error over ten bins of four trials."""
    trials = [(0.9, True), (0.95, True), (0.1, False), (0.3, True)]

    found = calibration([predicted(p, true=true) for p, true in trials])

    assert found is not None
    brier = (0.01 + 0.0025 + 0.01 + 0.49) / 4
    assert found.brier == pytest.approx(brier)
    assert found.skill == pytest.approx(1 - brier / (0.75 * 0.25))
    assert found.error == pytest.approx((2 * 0.075 + 0.1 + 0.7) / 4)
    assert [one.count for one in found.bins] == [1, 1, 2]


def test_certainty_is_in_the_last_bin() -> None:
    """Ten bins, and 1 is not an eleventh; where all came true there is no skill."""
    found = calibration([predicted(1.0, true=True), predicted(0.91, true=True)])

    assert found is not None
    assert len(found.bins) == 1
    assert found.skill is None
    assert found.error == pytest.approx(0.045)


def test_trials_are_scored_from_the_moment_on() -> None:
    """Those of the warm-up are not; groups are by class and by trigger."""
    trials = [predicted(0.5, true=True), predicted(0.2, true=False, at_s=-1)]

    score = Scorer(world()).score([], trials)

    assert score.calibration is not None
    assert score.calibration.count == 1
    assert list(score.by_membership) == ["member"]
    assert list(score.by_trigger) == ["push"]


def two_traces() -> dict[str, dict[str, PolicyScore]]:
    """Two traces; on the second, ours copies nothing."""
    first, second = world(), small_world([*ROWS, (9_000, LHR, "web", "v3")])
    ours = [copy_of(first, "web", "v1", SYD, 440)]
    trials = [predicted(0.5, true=True), predicted(0.2, true=False)]
    return {
        "one": {"default": Scorer(first).score(ours, trials)},
        "two": {"default": Scorer(second).score([])},
    }


def test_macro_counts_every_trace_the_same() -> None:
    """Means, and the worst; however many starts a trace has."""
    found = two_traces()

    macro = macro_scores(found)["default"]

    benefit = found["one"]["default"].benefit
    assert benefit is not None
    assert macro.benefit is not None
    assert isclose(macro.benefit, benefit / 2)
    assert macro.worst_benefit == 0
    assert macro.waste_vs_everywhere == 0


def test_document_has_the_declared_fields() -> None:
    """Exactly these, so that whoever reads them can rely on each; and it is JSON."""
    document = json.loads(json.dumps(backtest_document(two_traces(), equal_sizes())))

    figures = document["traces"]["one"]["policies"]["default"]
    assert set(document) == {"assumptions", "traces", "macro"}
    assert list(figures) == [
        "first_starts",
        "local_share",
        "wait_p50_s",
        "wait_p99_s",
        "saved",
        "benefit",
        "bytes_moved_ratio",
        "waste",
        "waste_vs_everywhere",
        "brier",
        "bss",
        "ece",
        "extras",
    ]
    assert figures["brier"] == pytest.approx((0.25 + 0.04) / 2)
    assert document["traces"]["two"]["policies"]["default"]["ece"] is None
    assert list(document["macro"]["default"]) == [
        "benefit",
        "worst_benefit",
        "waste_vs_everywhere",
        "bytes_moved_ratio",
    ]
    assert document["assumptions"] == {
        "file": "data/assumptions.toml",
        "delta_s": 60.0,
        "layer_share": 0.0,
        "size_seed": "size",
        "source": "home",
        "regret_kappa_bytes_per_s": 80e6,
    }
