"""Decisions in the fold: opened once or refused, carried out, failed, forgotten."""

from dataclasses import replace

import pytest

from placement.core.decisions import (
    DecisionRecord,
    decisions_of,
    find_decision,
    flow_count,
    latest_decision,
    open_copies,
    open_removals,
)
from placement.core.event import (
    ContentEvicted,
    EvictionCancelled,
    EvictionPlanned,
    Fact,
    Identifier,
    Name,
    Operation,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationTrigger,
    ReplicationWithheld,
    Text,
    TimeNs,
    WithholdReason,
)
from placement.core.fold import fold
from placement.core.state import State
from placement.core.tables.cells import Decided, DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row, Table
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    A,
    digest,
    event,
    fold_in,
    folded,
    message,
    seconds,
)

SUBJECT = ReplicationSubject(Identifier("copy-1"), WEB, A, FRA)
PLANNED = ReplicationPlanned(
    SUBJECT,
    AMS,
    100,
    ReplicationTrigger.PUSH,
    5,
    expire_time_ns=TimeNs(START_NS + 9),
    policy=Name("default-1"),
    start_regions=(SYD, FRA),
    probability=0.25,
    saved_duration_ns=seconds(3),
    expected_duration_ns=seconds(2),
    priority=2,
    reason=Name("start-forecast"),
)
WITHHELD = ReplicationWithheld(SUBJECT, 100, trigger_sequence=5)
DEFERRED = replace(WITHHELD, cause=WithholdReason.OVER_BUDGET)
STARTED = ReplicationStarted(SUBJECT, attempt=1)
FAILED = ReplicationFailed(SUBJECT, attempt=1)
COMPLETED = ReplicationCompleted(SUBJECT, 90, seconds(1))
EXPIRED = ReplicationExpired(SUBJECT)
REMOVAL = EvictionPlanned(
    Identifier("out-1"),
    WEB,
    A,
    FRA,
    Text("unused for 90 days"),
    70,
    start_regions=(FRA,),
    trigger_sequence=8,
)


def told(*facts: Fact) -> State:
    """Return the state after *facts*, all told in Frankfurt."""
    return folded(*(event(FRA, fact) for fact in facts))


def other(name: str, trigger_sequence: int, target: Region = FRA) -> ReplicationPlanned:
    """Return another plan for the same content."""
    subject = replace(SUBJECT, replication_id=Identifier(name), target_region=target)
    return replace(PLANNED, subject=subject, trigger_sequence=trigger_sequence)


def decision(state: State, name: str = "copy-1") -> DecisionRecord:
    """Return a decision that is remembered."""
    found = find_decision(state, name)
    assert found is not None
    return found


def failures(state: State) -> int:
    """Return how often in a row copying the content to Frankfurt has failed."""
    pair = PAIR.pack(state.find_digest(A), state.regions.find(FRA.encode()))
    return state.decided.get(state.decided.find(pair), Decided.FAILURES)


def test_plan_is_kept_with_all_that_was_said() -> None:
    """Whoever asks later is told what the decision rested on."""
    found = decision(told(PLANNED))

    assert (found.status, found.source, found.target) == (1, AMS, FRA)
    assert (found.transfer_bytes, found.trigger_sequence) == (100, 5)
    assert (found.kind, found.priority) == (ReplicationTrigger.PUSH, 2)
    assert found.expire_ns == START_NS + 9
    assert found.probability_millionths == 250_000
    assert (found.saved_ns, found.expected_ns) == (3 * SECOND_NS, 2 * SECOND_NS)
    assert (found.policy, found.reason) == ("default-1", "start-forecast")
    assert found.start_regions == (FRA, SYD)
    assert (found.sequence, found.time_ns) == (1, START_NS + SECOND_NS)
    assert found.open
    assert not found.removal


REFUSED: dict[str, list[Fact]] = {
    "same id": [PLANNED, replace(PLANNED, trigger_sequence=9)],
    "same id, done": [PLANNED, COMPLETED, replace(PLANNED, trigger_sequence=9)],
    "same trigger": [PLANNED, COMPLETED, other("copy-2", 5)],
    "older trigger": [PLANNED, COMPLETED, other("copy-2", 4)],
    "planned and open": [PLANNED, other("copy-2", 9)],
    "started and open": [PLANNED, STARTED, other("copy-2", 9)],
    "withheld before": [WITHHELD, PLANNED],
    "paused region": [ReplicationPaused((FRA,)), PLANNED],
    "paused everywhere": [ReplicationPaused(), PLANNED],
    "paused after being deferred": [DEFERRED, ReplicationPaused(), PLANNED],
}


@pytest.mark.parametrize("facts", REFUSED.values(), ids=list(REFUSED))
def test_decision_is_refused(facts: list[Fact]) -> None:
    """It leaves no decision, only a count of those that were refused."""
    before, after = told(*facts[:-1]), told(*facts)

    assert after.count("decision_refused") == before.count("decision_refused") + 1
    assert len(after.decisions) == len(before.decisions)
    assert [d.status for d in open_copies(after, Row(0))] == [
        d.status for d in open_copies(before, Row(0))
    ]


ACCEPTED: dict[str, list[Fact]] = {
    "newer trigger": [PLANNED, COMPLETED, other("copy-2", 6)],
    "another region": [PLANNED, other("copy-2", 5, IAD)],
    "another region is paused": [ReplicationPaused((IAD,)), other("copy-2", 5)],
    "resumed": [
        ReplicationPaused(),
        ReplicationResumed((FRA,)),
        other("copy-2", 5),
    ],
    "pause is over": [
        ReplicationPaused((), Operation(expire_time_ns=TimeNs(START_NS + SECOND_NS))),
        other("copy-2", 5),
    ],
    "after what was deferred": [DEFERRED, other("copy-2", 5)],
}


@pytest.mark.parametrize("facts", ACCEPTED.values(), ids=list(ACCEPTED))
def test_decision_is_opened(facts: list[Fact]) -> None:
    """Nothing that was decided or ordered before forbids it."""
    state = told(*facts)

    assert decision(state, "copy-2").open
    assert state.count("decision_refused") == 0


def test_withheld_copy_may_be_noted_during_a_pause() -> None:
    """Nothing is copied for it."""
    state = told(ReplicationPaused(), WITHHELD)

    assert decision(state).status is DecisionStatus.WITHHELD
    assert decision(state).cause == WithholdReason.CONTROL_GROUP


def test_deferred_copy_becomes_a_planned_one() -> None:
    """Under the same id and trigger, once there is budget again."""
    before, after = told(DEFERRED), told(DEFERRED, PLANNED)

    assert decision(before).status is DecisionStatus.DEFERRED
    assert not decision(before).open
    assert decision(after).status is DecisionStatus.PLANNED
    assert (decision(after).cause, decision(after).sequence) == (0, 2)
    assert len(after.decisions) == 1


@pytest.mark.parametrize("withheld", [WITHHELD, DEFERRED], ids=["lot", "budget"])
@pytest.mark.parametrize("fact", [STARTED, COMPLETED, FAILED, EXPIRED], ids=str)
def test_nobody_carries_out_what_was_withheld(
    withheld: ReplicationWithheld, fact: Fact
) -> None:
    """Reports about it change nothing."""
    assert decision(told(withheld, fact)) == decision(told(withheld))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([FAILED], 1),
        ([EXPIRED], 1),
        ([ReplicationCancelled(SUBJECT)], 0),
        ([FAILED, FAILED], 1),
        ([FAILED, EXPIRED], 1),
        ([COMPLETED, FAILED], 0),
        ([FAILED, replace(STARTED, attempt=2), FAILED], 2),
        ([FAILED, replace(STARTED, attempt=2), COMPLETED], 0),
    ],
    ids=str,
)
def test_failures_in_a_row_are_counted(facts: list[Fact], expected: int) -> None:
    """Once for each time that an open decision failed or expired."""
    assert failures(told(PLANNED, *facts)) == expected


def test_failures_of_several_decisions_add_up_until_one_succeeds() -> None:
    """How long to wait before the next try depends on them."""
    second = other("copy-2", 6)
    done = ReplicationCompleted(second.subject)

    assert failures(told(PLANNED, FAILED, second)) == 1
    assert failures(told(PLANNED, EXPIRED, second, FAILED)) == 1
    assert failures(told(PLANNED, FAILED, second, done)) == 0


def test_failed_copy_is_not_begun_again_after_another_was_decided() -> None:
    """One copy of a content is on its way into a region at a time."""
    state = told(PLANNED, FAILED, other("copy-2", 6), replace(STARTED, attempt=2))

    found = open_copies(state, state.regions.find(FRA.encode()))
    assert [each.replication_id for each in found] == ["copy-2"]


@pytest.mark.parametrize(
    ("facts", "leaving"),
    [
        ([], {}),
        ([STARTED], {AMS: 1}),
        ([replace(FAILED, retryable=True)], {AMS: 1}),
        ([replace(STARTED, source_region=IAD)], {IAD: 1}),
        ([STARTED, replace(STARTED, source_region=IAD)], {IAD: 1}),
        ([STARTED, COMPLETED], {}),
        ([COMPLETED, STARTED], {}),
        ([STARTED, FAILED, replace(STARTED, attempt=2)], {AMS: 1}),
    ],
    ids=str,
)
def test_copy_leaves_one_source_while_it_is_on_its_way(
    facts: list[Fact], leaving: dict[str, int]
) -> None:
    """Links are shared by what really moves."""
    state = told(PLANNED, *facts)

    rows = {region: state.regions.find(region.encode()) for region in (AMS, IAD)}
    counts = {
        region: flow_count(state, row) for region, row in rows.items() if row != ABSENT
    }
    assert {region: count for region, count in counts.items() if count} == leaving


def test_removal_is_open_until_the_content_is_gone() -> None:
    """The fact that says so closes it."""
    evicted = ContentEvicted(WEB, (A,), eviction_id=Identifier("out-1"))
    before, after = told(REMOVAL), told(REMOVAL, evicted)

    [planned] = open_removals(before, before.regions.find(FRA.encode()))
    assert (planned.removal, planned.transfer_bytes) == (True, 70)
    assert (planned.reason, planned.start_regions) == ("unused", (FRA,))
    assert open_copies(before, before.regions.find(FRA.encode())) == []
    assert open_removals(after, after.regions.find(FRA.encode())) == []
    assert decision(after, "out-1").status is DecisionStatus.COMPLETED


def test_removal_is_called_off() -> None:
    """The content stays, and is listed no more as one that leaves."""
    state = told(REMOVAL, EvictionCancelled(Identifier("out-1"), FRA))

    assert decision(state, "out-1").status is DecisionStatus.CANCELLED
    assert open_removals(state, state.regions.find(FRA.encode())) == []


def test_removal_is_opened_once() -> None:
    """The same id again is refused, whatever it says."""
    state = told(REMOVAL, replace(REMOVAL, digest=A, target_region=AMS))

    assert decision(state, "out-1").target == FRA
    assert state.count("decision_refused") == 1


def test_report_about_a_copy_does_not_move_a_removal() -> None:
    """Nor does a removal's move a copy: ids are taken for what they were made for."""
    mistaken = ReplicationSubject(Identifier("out-1"), WEB, A, FRA)
    evicted = ContentEvicted(WEB, (A,), eviction_id=Identifier("copy-1"))
    state = told(PLANNED, REMOVAL, ReplicationCompleted(mistaken), evicted)

    assert decision(state).open
    assert decision(state, "out-1").open


def test_last_decision_is_that_of_the_content_in_its_repository() -> None:
    """The same bytes in another repository were decided about by themselves."""
    state = told(PLANNED)
    target = state.regions.find(FRA.encode())
    elsewhere = state.placement_row(API, A)

    assert latest_decision(state, state.find_placement(WEB, A), target) != ABSENT
    assert latest_decision(state, elsewhere, target) == ABSENT


def small_state() -> State:
    """Return a state that remembers one decision."""
    state = State()
    state.decisions = Table("decisions", state.decisions.columns, 1)
    return state


def test_forgotten_decision_leaves_nothing_behind() -> None:
    """Its row is another decision's, in another region, and only that is found."""
    subject = ReplicationSubject(Identifier("copy-2"), API, A, IAD)
    second = replace(PLANNED, subject=subject, trigger_sequence=9)
    state = fold_in(small_state(), event(FRA, PLANNED), event(FRA, STARTED))

    fold_in(state, event(FRA, second))

    placement, target = state.find_placement(WEB, A), state.regions.find(FRA.encode())
    index = state.indexes.decisions
    assert find_decision(state, "copy-1") is None
    assert decisions_of(state, placement) == []
    assert latest_decision(state, placement, target) == ABSENT
    assert index.planned_into(target) == index.copies_into(target) == []
    assert flow_count(state, state.regions.find(AMS.encode())) == 0


def test_pair_of_a_forgotten_decision_may_be_decided_again() -> None:
    """An open decision that has taken its row is about something else."""
    subject = ReplicationSubject(Identifier("copy-2"), API, A, IAD)
    second = replace(PLANNED, subject=subject, trigger_sequence=9)
    state = fold_in(small_state(), event(FRA, PLANNED), event(FRA, second))

    fold_in(state, event(FRA, other("copy-3", 10)))

    assert decision(state, "copy-3").open
    assert state.count("decision_refused") == 0


def test_what_was_planned_within_a_day_is_listed_for_budgets() -> None:
    """In the order of the log; older plans are left out as others come."""
    day_ns = 86_400 * SECOND_NS
    times_ns = (START_NS, START_NS + day_ns, START_NS + day_ns + 1)
    state = State()
    for number, time_ns in enumerate(times_ns, 1):
        plan = other(f"copy-{number}", 5)
        subject = replace(plan.subject, digest=digest(f"image {number}"))
        fold_at(state, replace(plan, subject=subject), time_ns)

    rows = state.indexes.decisions.planned_into(state.regions.find(FRA.encode()))

    assert [state.decisions.key(row) for row in rows] == [b"copy-2", b"copy-3"]


def fold_at(state: State, fact: Fact, time_ns: int) -> None:
    """Fold *fact* as it is stored at *time_ns*."""
    fold(state, message(state.sequence + 1, event(FRA, fact), store_time_ns=time_ns))
