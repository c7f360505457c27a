"""Starts held against decisions: why each was as it was, and what copies earned."""

from dataclasses import replace

import pytest

from placement.core.decisions import DecisionRecord, find_decision, judging
from placement.core.event import (
    CacheKind,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    Event,
    EvictionPlanned,
    Fact,
    FailureCause,
    Identifier,
    MachineGroup,
    MachinesCounted,
    MachineStarted,
    Name,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
    Text,
    TimeNs,
    WithholdReason,
)
from placement.core.fold import fold
from placement.core.folds.demand import machine_key
from placement.core.folds.payoff import OUTCOME_NS
from placement.core.state import State
from placement.core.tables.cells import Machine, StartOutcome
from placement.core.tables.keys import START_DAY
from placement.core.topology import Region
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    LATEST,
    MANIFEST,
    SCL,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    A,
    B,
    C,
    descriptor,
    event,
    fold_in,
    folded,
    message,
    seconds,
    stopped,
)

SUBJECT = ReplicationSubject(Identifier("copy-1"), WEB, A, FRA)
PLANNED = ReplicationPlanned(
    SUBJECT, AMS, 100, trigger_sequence=5, start_regions=(FRA, SYD)
)
WITHHELD = ReplicationWithheld(
    SUBJECT, 100, trigger_sequence=5, start_regions=(FRA, SYD)
)
COMPLETED = ReplicationCompleted(SUBJECT, 100, seconds(1))
REMOVAL = EvictionPlanned(
    Identifier("out-1"), WEB, A, FRA, Text("unused"), start_regions=(FRA,)
)
GONE = ContentEvicted(WEB, (A,), eviction_id=Identifier("out-1"))
START = MachineStarted(
    A, WEB, Identifier("m1"), image_wait_ns=seconds(0), cache=CacheKind.REMOTE
)


def told(*facts: Fact) -> State:
    """Return the state after *facts*, a second apart, all told in Frankfurt."""
    return folded(*(event(FRA, fact) for fact in facts))


def outcome(state: State) -> StartOutcome:
    """Return how the machine's last start was."""
    row = state.machines.find(machine_key("m1"))
    return StartOutcome(state.machines.get(row, Machine.OUTCOME))


def decision(state: State, name: str = "copy-1") -> DecisionRecord:
    """Return a decision that is remembered."""
    found = find_decision(state, name)
    assert found is not None
    return found


def counts(state: State, name: str = "copy-1") -> tuple[int, int, int]:
    """Return the starts of a decision's burst, those that told a wait, and the wait."""
    found = decision(state, name)
    return found.start_count, found.waited_count, found.wait_ns


def withheld(cause: WithholdReason) -> list[Fact]:
    """Return the copy as it was withheld for a *cause*."""
    return [replace(WITHHELD, cause=cause)]


BEFORE: dict[StartOutcome, list[Fact]] = {
    StartOutcome.NEVER_PREDICTED: [],
    StartOutcome.PREDICTED_LATE: [PLANNED, ReplicationStarted(SUBJECT)],
    StartOutcome.EVICTED: [PLANNED, COMPLETED, REMOVAL, GONE],
    StartOutcome.COPY_FAILED: [
        PLANNED,
        ReplicationFailed(SUBJECT, cause=FailureCause.TARGET),
    ],
    StartOutcome.COPY_EXPIRED: [PLANNED, ReplicationExpired(SUBJECT)],
    StartOutcome.COPY_UNUSED: [PLANNED, COMPLETED],
    StartOutcome.CANCELLED: [PLANNED, ReplicationCancelled(SUBJECT)],
    StartOutcome.CONTROL_GROUP: withheld(WithholdReason.CONTROL_GROUP),
    StartOutcome.OBSERVE_ONLY: withheld(WithholdReason.OBSERVE_ONLY),
    StartOutcome.OVER_BUDGET: withheld(WithholdReason.OVER_BUDGET),
    StartOutcome.SOURCE_UNHEALTHY: [
        PLANNED,
        ReplicationFailed(SUBJECT, cause=FailureCause.SOURCE),
    ],
}


@pytest.mark.parametrize(
    ("expected", "facts"), BEFORE.items(), ids=[each.name for each in BEFORE]
)
def test_start_from_elsewhere_has_a_reason(
    expected: StartOutcome, facts: list[Fact]
) -> None:
    """The last decision before it, about its image and for its region, tells it."""
    assert outcome(told(*facts, START)) is expected


NEARNESS = [
    (CacheKind.HOST, IAD, StartOutcome.LOCAL),
    (CacheKind.REGION, IAD, StartOutcome.LOCAL),
    (CacheKind.REMOTE, None, StartOutcome.NEVER_PREDICTED),
    (CacheKind.UNSPECIFIED, FRA, StartOutcome.LOCAL),
    (CacheKind.UNSPECIFIED, IAD, StartOutcome.NEVER_PREDICTED),
    (CacheKind.UNSPECIFIED, None, StartOutcome.UNKNOWN),
]


@pytest.mark.parametrize(("cache", "source", "expected"), NEARNESS, ids=str)
def test_start_is_local_where_its_region_had_the_image(
    cache: CacheKind, source: Region | None, expected: StartOutcome
) -> None:
    """What the cache was counts first, then the source; without both nobody knows."""
    assert outcome(told(replace(START, cache=cache, source_region=source))) is expected


def test_copy_that_a_region_without_storage_is_served_from_was_used() -> None:
    """It is as near as that region gets: the start is a local one."""
    planned = replace(PLANNED, start_regions=(SCL,))
    start = replace(START, source_region=FRA)

    state = folded(event(FRA, planned), event(FRA, COMPLETED), event(SCL, start))

    assert outcome(state) is StartOutcome.LOCAL


def test_copy_that_was_done_after_the_machine_asked_came_late() -> None:
    """The machine had begun to wait when it arrived."""
    waited = replace(START, image_wait_ns=seconds(3))
    asked = replace(START, request_time_ns=TimeNs(START_NS))

    assert outcome(told(PLANNED, COMPLETED, waited)) is StartOutcome.PREDICTED_LATE
    assert outcome(told(PLANNED, COMPLETED, asked)) is StartOutcome.PREDICTED_LATE


def test_removal_that_was_not_carried_out_explains_nothing() -> None:
    """The content was still there."""
    assert outcome(told(PLANNED, COMPLETED, REMOVAL, START)) is StartOutcome.COPY_UNUSED


def test_copy_after_a_removal_explains_what_follows() -> None:
    """The newest of all decisions counts."""
    subject = replace(SUBJECT, replication_id=Identifier("copy-2"))
    again = replace(PLANNED, subject=subject, trigger_sequence=9)

    state = told(PLANNED, COMPLETED, REMOVAL, GONE, again, START)

    assert outcome(state) is StartOutcome.PREDICTED_LATE
    row = state.machines.find(machine_key("m1"))
    assert state.decisions.key(judging(state, row)) == b"copy-2"


def test_decision_for_other_regions_explains_nothing() -> None:
    """A start counts for what was meant for its region."""
    state = folded(event(FRA, PLANNED), event(IAD, START))

    assert outcome(state) is StartOutcome.NEVER_PREDICTED
    assert counts(state) == (0, 0, 0)


def test_start_before_the_decision_is_not_explained_by_it() -> None:
    """It is told late: when it happened, nobody had foreseen it."""
    state = folded(event(FRA, PLANNED), event(FRA, START, START_NS - HOUR_NS))

    assert outcome(state) is StartOutcome.NEVER_PREDICTED
    assert decision(state).used_ns == 0


def test_platform_of_an_index_is_explained_by_the_decision_about_the_index() -> None:
    """Machines name the manifest that they run; decisions name the version."""
    index = ContentPushed(
        descriptor("b", media_type=INDEX),
        WEB,
        LATEST,
        references=(descriptor("a", media_type=MANIFEST),),
    )
    planned = replace(PLANNED, subject=replace(SUBJECT, digest=B))

    state = folded(
        event(AMS, index),
        event(FRA, planned),
        event(FRA, START),
    )

    assert outcome(state) is StartOutcome.PREDICTED_LATE
    assert counts(state) == (1, 1, 0)


# What decisions are credited with.


def at(state: State, start: MachineStarted, time_ns: int) -> None:
    """Fold a start in Frankfurt that is stored when it happens."""
    happened = event(FRA, start)
    fold(state, message(state.sequence + 1, happened, store_time_ns=time_ns))


def test_burst_of_the_first_start_is_counted_with_what_it_waited() -> None:
    """Up to a minute after the first one; later starts are no part of it."""
    state, first_ns = told(PLANNED), START_NS + 10 * SECOND_NS
    waited = replace(START, image_wait_ns=seconds(2))
    silent = replace(START, image_wait_ns=None)

    at(state, waited, first_ns)
    at(state, silent, first_ns + 1)
    at(state, waited, first_ns + 60 * SECOND_NS)
    at(state, waited, first_ns + 60 * SECOND_NS + 1)

    assert decision(state).used_ns == first_ns
    assert counts(state) == (3, 2, 4 * SECOND_NS)


@pytest.mark.parametrize(("later_ns", "expected"), [(0, 1), (1, 0)])
def test_start_a_month_later_is_not_the_decisions_doing(
    later_ns: int, expected: int
) -> None:
    """After so long nobody can tell."""
    state = told(PLANNED)

    at(state, START, decision(state).time_ns + OUTCOME_NS + later_ns)

    assert decision(state).start_count == expected


def test_withheld_copy_is_credited_as_a_planned_one() -> None:
    """So what starts waited with and without copies can be compared."""
    waited = replace(START, image_wait_ns=seconds(2))

    assert counts(told(WITHHELD, waited)) == counts(told(PLANNED, waited))
    assert counts(told(WITHHELD, waited)) == (1, 1, 2 * SECOND_NS)


def test_decision_about_a_layer_is_credited_with_the_images_first_start() -> None:
    """A copy that was decided at the first layer is for the image that has it."""
    image = ContentPushed(
        descriptor("a", media_type=MANIFEST), WEB, references=(descriptor("c"),)
    )
    layer = ContentPushed(descriptor("c"), WEB)
    planned = replace(PLANNED, subject=replace(SUBJECT, digest=C))

    state = told(layer, planned, image, START, START)

    assert counts(state) == (1, 1, 0)


def test_start_of_another_image_with_another_layer_is_none_of_it() -> None:
    """Only what refers to the layer counts."""
    layer = ContentPushed(descriptor("c"), WEB)
    planned = replace(PLANNED, subject=replace(SUBJECT, digest=C))

    assert counts(told(layer, planned, START)) == (0, 0, 0)


def pull(name: str = MANIFEST) -> Event:
    """Return a pull in Frankfurt that took two seconds."""
    fact = ContentPulled(A, WEB, pull_duration_ns=seconds(2), media_type=Name(name))
    return event(FRA, fact)


def test_pull_stands_in_for_a_start() -> None:
    """Where no scheduler reports any, what a pull took is what a start waited."""
    state = folded(event(FRA, PLANNED), pull())

    assert counts(state) == (1, 1, 2 * SECOND_NS)
    assert len(state.start_days) == 0


def test_pull_is_no_start_once_machines_are_reported() -> None:
    """The start says it itself, and would be counted twice."""
    elsewhere = event(IAD, replace(START, digest=B))

    state = folded(elsewhere, event(FRA, PLANNED), pull())

    assert counts(state) == (0, 0, 0)


# What is kept of starts.


def test_starts_are_counted_by_day_and_outcome() -> None:
    """With how many said what they waited, and how long that was in all."""
    state = State()
    at(state, replace(START, image_wait_ns=seconds(2)), START_NS)
    at(state, replace(START, image_wait_ns=None), START_NS + 1)
    at(state, replace(START, image_wait_ns=seconds(1)), START_NS + DAY_NS)

    days = {
        START_DAY.unpack(key)[2:]: state.start_days.values(row)
        for key, row in state.start_days.rows()
    }
    never, today = StartOutcome.NEVER_PREDICTED, START_NS // DAY_NS
    assert days == {
        (never, today): (2, 1, 2 * SECOND_NS),
        (never, today + 1): (1, 1, SECOND_NS),
    }


def test_old_news_is_explained_and_counts_for_nothing() -> None:
    """A start that is told after a day is no demand, and earns no copy anything."""
    state = told(PLANNED)
    planned_ns = decision(state).time_ns
    late = event(FRA, START, planned_ns + SECOND_NS)

    stored_ns = planned_ns + 2 * DAY_NS
    fold(state, message(state.sequence + 1, late, store_time_ns=stored_ns))

    assert outcome(state) is StartOutcome.PREDICTED_LATE
    assert len(state.start_days) == 0
    assert counts(state) == (0, 0, 0)


def test_machine_that_was_only_counted_has_no_outcome() -> None:
    """A count says that it runs, not how it started; what was known is of another."""
    state = fold_in(told(START), stopped("m1", FRA))
    group = MachineGroup(WEB, B, (Identifier("m1"),))
    scan_ns = TimeNs(START_NS + HOUR_NS)

    counted = event(FRA, MachinesCounted(scan_ns, groups=(group,)))
    fold(state, message(state.sequence + 1, counted, store_time_ns=scan_ns))

    row = state.machines.find(machine_key("m1"))
    told_columns = (Machine.OUTCOME, Machine.WAIT, Machine.DECISION)
    assert [state.machines.get(row, column) for column in told_columns] == [0, 0, 0]
