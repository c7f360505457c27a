"""The control group of a closed loop measures what copies truly save."""

import pytest

from placement.core.reporting.lift import PAIRS_MIN, Lift
from placement.simulation.assumptions import load_assumptions
from placement.simulation.true_lift import TrueLift, measured_lift, true_lift
from tests.closed_loops import cut as cut_of
from tests.closed_loops import lived, setting, small_loop

HOLDOUT = 0.15
COVERED = 0.93
COVERED_WHERE_SHARED = 0.9
"""A layer that versions share couples their pairs: 92 of 100 worlds were measured."""


def measured(seed: str, delta_s: float, share: float) -> tuple[Lift, TrueLift]:
    """What a small world's log tells, and the truth about the same world."""
    assumed = load_assumptions().varied(delta_s=delta_s, layer_share=share)
    loop = small_loop(seed, HOLDOUT, assumed)
    told = loop.machines.told
    return measured_lift(loop.state), true_lift(loop.state, told)


def share_inside(seeds: range, delta_s: float, layer_share: float = 0.0) -> float:
    """The share of worlds whose interval holds the truth, of those that have one."""
    inside, known = 0, 0
    for seed in seeds:
        found, truth = measured(f"{seed}", delta_s, layer_share)
        known += found.measured
        inside += found.measured and found.low <= truth.mean_s <= found.high
    assert known >= len(seeds) / 2, "most worlds are large enough for an interval"
    return inside / known


@pytest.mark.long
@pytest.mark.timeout(300)
def test_interval_holds_the_true_lift() -> None:
    """In all but few of drawn worlds the 95 % interval holds the truth."""
    assert share_inside(range(8), delta_s=60.0) >= COVERED


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("delta_s", "layer_share", "covered"),
    [(60.0, 0.0, COVERED), (1.0, 0.0, COVERED), (60.0, 0.8, COVERED_WHERE_SHARED)],
)
def test_interval_holds_the_true_lift_in_many_worlds(
    delta_s: float, layer_share: float, covered: float
) -> None:
    """Whatever the lead time is, and where layers are shared between versions."""
    assert share_inside(range(200), delta_s, layer_share) >= covered


def test_without_a_control_group_nothing_is_measured() -> None:
    """Nobody knows what copies save where every copy is made."""
    assumed = load_assumptions()

    loop = small_loop("1", 0.0, assumed)
    found = measured_lift(loop.state)

    assert found.withheld_count == 0
    assert not found.measured
    assert true_lift(loop.state, loop.machines.told).mean_s > 1


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", ["govuk", "konflux", "phalanx"])
@pytest.mark.parametrize("holdout", [0.1, 0.02])
def test_interval_holds_the_true_lift_on_traces(name: str, holdout: float) -> None:
    """On recorded deployments too the log tells what copies save."""
    document = f"holdout_fraction = {holdout}\n"

    loop = lived(name, cut_of(name, 10_000), setting(document))
    found = measured_lift(loop.state)
    truth = true_lift(loop.state, loop.machines.told)

    assert found.measured or found.withheld_count < PAIRS_MIN
    assert found.low <= truth.mean_s <= found.high
