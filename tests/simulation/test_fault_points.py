"""Every named fault point is reached: one that is not protects nothing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from placement.faults import FaultPoint
from placement.ports import Message
from placement.runtime.quarantine import is_quarantine
from tests.simulator.bugs import poison
from tests.simulator.checker import violations
from tests.simulator.publishers import POISON
from tests.simulator.simulation import Run, simulate

TESTS = Path(__file__).parents[1]
IN_SQLITE = {
    FaultPoint.BEFORE_COMMIT,
    FaultPoint.BEFORE_RENAME,
    FaultPoint.BEFORE_COPY_KEPT,
    FaultPoint.AFTER_COPY_KEPT,
    FaultPoint.BEFORE_FALL_BACK,
    FaultPoint.AFTER_CHUNKS_KEPT,
    FaultPoint.BEFORE_ADOPTED,
    FaultPoint.AMID_ADOPTED,
    FaultPoint.AFTER_ADOPTED,
}
"""Inside the real store, of which the simulator has a twin, and where a checkpoint of a
peer is taken over into it."""
SEEDS = range(1, 21)
POISONED_SEEDS = range(1, 9)
pytestmark = pytest.mark.timeout(600)


def poisoned(seed: int) -> Run:
    """Return a run in which one message ends every process that folds it."""
    with poison():
        return simulate(seed, poison=True)


def remaining(run: Run) -> Sequence[Message]:
    """Return what the log held in the end."""
    return run.history.lives[-1].messages


def holds_poison(run: Run) -> bool:
    """Say whether the log that remains still has the message in it."""
    return any(POISON.encode() in message.body for message in remaining(run))


def test_fault_points_are_reached_in_simulated_runs() -> None:
    """All but those of the real store, which tests of its own reach."""
    reached: Counter[FaultPoint] = Counter()

    for seed in SEEDS:
        reached += simulate(seed).points
    for seed in POISONED_SEEDS:
        reached += poisoned(seed).points

    assert set(FaultPoint) - set(reached) == IN_SQLITE


@pytest.mark.parametrize("point", sorted(IN_SQLITE))
def test_fault_point_outside_the_simulation_is_reached_by_some_test(
    point: FaultPoint,
) -> None:
    """Its name stands in a test of the real store or of a real process."""
    sources = [
        path.read_text()
        for folder in ("integration", "e2e")
        for path in (TESTS / folder).glob("*.py")
    ]

    assert any(point.name in source or point.value in source for source in sources)


def test_message_that_is_fatal_to_fold_is_survived() -> None:
    """Every replica dies at it, three times in a row; then none folds it any more."""
    runs = [poisoned(seed) for seed in POISONED_SEEDS]

    assert [violations(run.history, by_model=False) for run in runs] == [[]] * len(runs)
    held = [run for run in runs if holds_poison(run)]  # else a rewind took it away
    assert len(held) > len(runs) // 2
    assert all(any(map(is_quarantine, remaining(run))) for run in held)
    assert any(run.points[FaultPoint.AFTER_QUARANTINE] for run in held)
