"""The checker finds what is planted: without this, runs that pass would say nothing."""

import pytest

from tests.simulator.agent_bugs import AGENT_BUGS
from tests.simulator.bugs import BUGS, only_with_registries, planted
from tests.simulator.checker import violations
from tests.simulator.deciding_bugs import often_paused
from tests.simulator.mouths import has_routers
from tests.simulator.router_bugs import ROUTER_BUGS
from tests.simulator.simulation import simulate

SEED_COUNT_MAX = 1_000
GATE_BUG = "skip_one_dedupe"
WEATHER_SEEDS = range(1, 6)
OWN_RULES = {
    "answer_before_spooling": "does not hold it",
    "never_send_again": "does not hold it",
    "forget_what_was_not_sent": "does not hold it",
    "count_own_copies_as_uses": "counts as a use",
    "keep_quiet_about_absences": "is not there",
    "trust_the_source": "keeps other bytes",
    "copy_what_is_there": "was copied to",
    "hold_what_was_called_off": "not settled: ['Site']",
    "remove_the_last_copy": "the last copy of",
    "give_what_came": "gave other bytes than those of",
    "answer_a_tag_from_memory": "gave an old digest for",
    "ask_nobody_else": "does not give it",
    "report_a_pull_twice": "counts as a use, and nobody pulled",
}
"""What the rule says that a bug of an agent breaks; another one would be luck."""
pytestmark = pytest.mark.timeout(600)


def seeds_needed(name: str) -> int:
    """Return how many seeds it takes until the bug is found; at most the budget."""
    said = OWN_RULES.get(name, "")
    of_routers = name in {plant.__name__ for plant in ROUTER_BUGS}
    for seed in range(1, SEED_COUNT_MAX + 1):
        if of_routers and not has_routers(seed):
            continue
        with planted(name):
            run = simulate(seed, registries=only_with_registries(name))
        found = violations(run.history, by_model=False)
        if any(said in line for line in found):
            return seed
    return SEED_COUNT_MAX + 1


def test_every_bug_of_an_agent_has_a_rule_of_its_own() -> None:
    """None is counted as found because something else was."""
    bugs = (*AGENT_BUGS, *ROUTER_BUGS)
    assert set(OWN_RULES) == {plant.__name__ for plant in bugs}


def test_a_planted_bug_is_found() -> None:
    """One event that is folded twice, in one of the replicas, does not go unnoticed."""
    needed = seeds_needed(GATE_BUG)

    assert needed <= SEED_COUNT_MAX


def test_weather_in_which_a_bug_shows_is_none_itself() -> None:
    """Frequent pauses alone violate nothing."""
    with often_paused():
        runs = [simulate(seed) for seed in WEATHER_SEEDS]

    assert [violations(run.history, by_model=False) for run in runs] == [[]] * len(runs)


@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_bug_can_be_planted(name: str) -> None:
    """What it breaks is where it says: whoever moves that hears of it in the gate."""
    with planted(name):
        assert name in BUGS


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_planted_bug_is_found(name: str) -> None:
    """Each within as many seeds as the gate runs; an agent's by the rule it breaks."""
    needed = seeds_needed(name)

    assert needed <= SEED_COUNT_MAX
