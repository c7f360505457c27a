"""The checker finds what is planted: without this, runs that pass would say nothing."""

import pytest

from tests.simulator.bugs import BUGS, only_with_registries, planted
from tests.simulator.checker import violations
from tests.simulator.deciding_bugs import often_paused
from tests.simulator.simulation import simulate

SEED_COUNT_MAX = 1_000
GATE_BUG = "skip_one_dedupe"
WEATHER_SEEDS = range(1, 31)


def seeds_needed(name: str) -> int:
    """Return how many seeds it takes until the bug is found; at most the budget."""
    for seed in range(1, SEED_COUNT_MAX + 1):
        with planted(name):
            run = simulate(seed, registries=only_with_registries(name))
        if violations(run.history, by_model=False):
            return seed
    return SEED_COUNT_MAX + 1


def test_a_planted_bug_is_found() -> None:
    """One event that is folded twice, in one of the replicas, does not go unnoticed."""
    needed = seeds_needed(GATE_BUG)

    assert needed <= SEED_COUNT_MAX


def test_weather_in_which_a_bug_shows_is_none_itself() -> None:
    """Frequent pauses alone violate nothing."""
    with often_paused():
        runs = [simulate(seed) for seed in WEATHER_SEEDS]

    assert [violations(run.history, by_model=False) for run in runs] == [[]] * len(runs)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_planted_bug_is_found(name: str) -> None:
    """Each of them is found within the seeds that the gate runs."""
    needed = seeds_needed(name)

    assert needed <= SEED_COUNT_MAX
