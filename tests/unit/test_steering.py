"""Decisions and orders: how far a copy is, what holds now, in whatever order told."""

import pytest

from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    Event,
    EvictionPlanned,
    Fact,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    RegionChanged,
    RegionState,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
    TimeNs,
)
from placement.core.fold import fold
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus
from tests.builders import (
    AMS,
    FRA,
    HOUR_NS,
    IAD,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    event,
    folded,
    message,
    rows_of,
    seconds,
)

SUBJECT = ReplicationSubject(Identifier("copy-1"), WEB, A, FRA)
PLANNED = ReplicationPlanned(SUBJECT, AMS, 100, trigger_sequence=5)
STARTED = ReplicationStarted(SUBJECT, attempt=1)
AGAIN = ReplicationStarted(SUBJECT, attempt=2)
FAILED = ReplicationFailed(SUBJECT, attempt=1)
RETRYING = ReplicationFailed(SUBJECT, attempt=1, retryable=True)
COMPLETED = ReplicationCompleted(SUBJECT, 100, seconds(2))
EARLIER_NS = START_NS - HOUR_NS


def told(*facts: Fact) -> State:
    """Return the state after *facts*, all told in Frankfurt."""
    return folded(*(event(FRA, fact) for fact in facts))


def status(state: State, decision: str = "copy-1") -> int:
    """Return how far a decision has come."""
    return state.decisions.get(state.decisions.find(decision.encode()), 0)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([PLANNED], DecisionStatus.PLANNED),
        ([PLANNED, STARTED], DecisionStatus.STARTED),
        ([PLANNED, STARTED, FAILED], DecisionStatus.FAILED),
        ([PLANNED, STARTED, RETRYING], DecisionStatus.STARTED),
        ([PLANNED, STARTED, FAILED, AGAIN], DecisionStatus.STARTED),
        ([PLANNED, STARTED, FAILED, STARTED], DecisionStatus.FAILED),
        ([PLANNED, STARTED, COMPLETED], DecisionStatus.COMPLETED),
        ([PLANNED, COMPLETED, STARTED], DecisionStatus.COMPLETED),
        ([PLANNED, ReplicationCancelled(SUBJECT)], DecisionStatus.CANCELLED),
        ([PLANNED, ReplicationExpired(SUBJECT)], DecisionStatus.EXPIRED),
        (
            [PLANNED, COMPLETED, ReplicationCancelled(SUBJECT)],
            DecisionStatus.COMPLETED,
        ),
    ],
    ids=str,
)
def test_decision_only_moves_forward(
    facts: list[Fact], expected: DecisionStatus
) -> None:
    """What has come later is not undone by what is told later; another try may."""
    assert status(told(*facts)) == expected


def test_withheld_copy_is_the_control_group() -> None:
    """It is a decision like any other, with no source."""
    state = told(ReplicationWithheld(SUBJECT, 100, trigger_sequence=5))

    [row] = [row for row in rows_of(state) if row[0] == "decision"]
    assert row[1:5] == (WEB, A, "", FRA)
    assert row[6:10] == ("copy-1", DecisionStatus.WITHHELD, 100, 5)


@pytest.mark.parametrize(
    ("trigger_sequence", "expected"), [(4, 1), (5, 1), (6, 2)], ids=str
)
def test_second_decision_needs_a_newer_trigger(
    trigger_sequence: int, expected: int
) -> None:
    """Any number of deciders may run: for one copy the first of a trigger counts."""
    subject = ReplicationSubject(Identifier("copy-2"), WEB, A, FRA)
    second = ReplicationPlanned(subject, IAD, trigger_sequence=trigger_sequence)

    assert len(told(PLANNED, COMPLETED, second).decisions) == expected


def test_outcome_of_a_decision_that_nobody_made_is_ignored() -> None:
    """It was forgotten, or never folded."""
    state = told(STARTED, COMPLETED, FAILED)

    assert (len(state.decisions), len(state.transfers)) == (0, 0)


def test_completed_copy_is_a_measured_transfer() -> None:
    """From where it really came to its target."""
    state = told(PLANNED, ReplicationStarted(SUBJECT, IAD, 1), COMPLETED)

    [row] = [row for row in rows_of(state) if row[0] == "transfer"]
    assert row[:6] == ("transfer", IAD, FRA, 0, 100, 2 * SECOND_NS)


def test_planned_eviction_frees_bytes_and_moves_nothing() -> None:
    """The content stays until its removal is told."""
    fact = EvictionPlanned(Identifier("out-1"), WEB, A, FRA, reclaimed_bytes=7)

    state = told(fact)

    assert status(state, "out-1") == DecisionStatus.PLANNED
    [row] = [row for row in rows_of(state) if row[0] == "decision"]
    assert (row[4], row[8]) == (FRA, 7)
    assert len(state.replicas) == 0


def region_change(state: RegionState, at_ns: int | None = None) -> Event:
    """Return an operator's word on Frankfurt."""
    return event(AMS, RegionChanged(FRA, state), at_ns)


def test_latest_order_on_a_region_holds() -> None:
    """An older one that is told late does not."""
    state = folded(
        region_change(RegionState.DRAINING),
        region_change(RegionState.DOWN, EARLIER_NS),
    )

    assert state.region_state(FRA, START_NS) is RegionState.DRAINING


def test_region_is_brought_back() -> None:
    """ACTIVE, and no state at all, both mean that it may be used."""
    state = folded(
        region_change(RegionState.DOWN), region_change(RegionState.UNSPECIFIED)
    )

    assert state.region_state(FRA, START_NS) is RegionState.ACTIVE


def orders(state: State, kind: str) -> list[tuple[object, ...]]:
    """Return what is ordered: the region, whether it holds, and until when."""
    found = [row for row in rows_of(state) if row[0] == kind]
    return [(row[-4], row[-3], row[-1]) for row in found]


def test_copies_are_paused_by_region_or_everywhere() -> None:
    """No region named means all of them, now and later."""
    until = Operation(Name("ann"), expire_time_ns=TimeNs(START_NS + HOUR_NS))

    state = told(
        ReplicationPaused((FRA,), until),
        ReplicationPaused(),
        ReplicationResumed((IAD,)),
    )

    assert orders(state, "pause") == [
        ("*", 1, 0),
        ("fra", 1, START_NS + HOUR_NS),
        ("iad", 0, 0),
    ]


def test_pin_holds_until_it_is_taken_back() -> None:
    """In the region that was named, and nowhere else."""
    state = told(
        ContentPinned(WEB, A, (FRA, AMS)),
        ContentUnpinned(WEB, A, (AMS,)),
        ContentPinned(WEB, A),
    )

    assert orders(state, "pin") == [("*", 1, 0), ("ams", 0, 0), ("fra", 1, 0)]


def test_sixteen_policies_are_remembered() -> None:
    """The seventeenth takes the place of the first."""
    state = State()
    for number in range(1, 18):
        fold(state, message(number, event(AMS, PolicyChanged(Name(f"p{number}")))))

    names = {key for key, _ in state.policies.rows()}
    assert len(names) == 16
    assert names.isdisjoint({b"p1\0"})
