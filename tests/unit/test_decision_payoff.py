"""Verdicts on decisions: each by the starts that came after it."""

from collections.abc import Callable

import pytest

from placement.core.decisions import find_decision
from placement.core.event import (
    ContentEvicted,
    EvictionCancelled,
    EvictionPlanned,
    Identifier,
    ReplicationSubject,
    WithholdReason,
)
from placement.core.oci import Tag
from placement.core.payoff import Judge, Payoff
from placement.core.state import State
from placement.core.tables.records import TagPointer
from placement.core.tables.table import Row
from tests.builders import DAY_NS, IAD, SYD, WEB, A, seconds
from tests.decided import SAVED_S, Decided

REMOVAL = Identifier("out-1")

Story = Callable[[Decided], ReplicationSubject | None]


def completed(log: Decided) -> ReplicationSubject:
    """A copy is there before anybody starts."""
    subject = log.plan("a")
    log.complete(subject)
    return subject


def started_in_time(log: Decided) -> ReplicationSubject:
    """And then a machine starts."""
    subject = completed(log)
    log.start("a").start("a")
    return subject


def started_before(log: Decided) -> ReplicationSubject:
    """The start comes before the copy is there."""
    subject = log.plan("a")
    log.start("a", wait_s=3)
    log.complete(subject)
    return subject


def started_while_open(log: Decided) -> ReplicationSubject:
    """The start comes, and the copy is not there yet."""
    subject = log.plan("a")
    log.start("a", wait_s=3)
    return subject


def superseded(log: Decided) -> ReplicationSubject:
    """A newer version is pushed, and the copied one never started."""
    log.release("a")
    subject = completed(log)
    log.release("b")
    return subject


def newer_than_decided(log: Decided) -> ReplicationSubject:
    """A newer version was there when the copy was decided: somebody rolls back."""
    log.release("a").release("b")
    return completed(log)


def withheld_and_started(log: Decided) -> ReplicationSubject:
    """Nothing is copied, and a machine starts."""
    subject = log.withhold("a", cause=WithholdReason.OBSERVE_ONLY)
    log.start("a", wait_s=3)
    return subject


def cancelled(log: Decided) -> ReplicationSubject:
    """It is called off."""
    subject = log.plan("a")
    log.cancel(subject)
    return subject


def for_nobody(log: Decided) -> ReplicationSubject:
    """A repair is for no start region."""
    subject = log.plan("a", starts=())
    log.complete(subject)
    return subject


def removed(log: Decided) -> None:
    """An image leaves."""
    log.release("a")
    planned = EvictionPlanned(REMOVAL, WEB, A, SYD, start_regions=(SYD,))
    log.tell(SYD, planned)
    log.tell(SYD, ContentEvicted(WEB, (A,), eviction_id=REMOVAL))


def removed_and_started(log: Decided) -> None:
    """And is wanted there soon after."""
    removed(log)
    log.start("a", wait_s=3)


def removal_called_off(log: Decided) -> None:
    """It stays after all."""
    planned = EvictionPlanned(REMOVAL, WEB, A, SYD, start_regions=(SYD,))
    log.tell(SYD, planned).tell(SYD, EvictionCancelled(REMOVAL, SYD))


@pytest.mark.parametrize(
    ("story", "soon", "later"),
    [
        (completed, Payoff.PENDING, Payoff.WASTED),
        (started_in_time, Payoff.PAID_OFF, Payoff.PAID_OFF),
        (started_before, Payoff.LATE, Payoff.LATE),
        (started_while_open, Payoff.LATE, Payoff.LATE),
        (superseded, Payoff.WASTED, Payoff.WASTED),
        (newer_than_decided, Payoff.PENDING, Payoff.WASTED),
        (withheld_and_started, Payoff.MISSED, Payoff.MISSED),
        (cancelled, Payoff.PENDING, Payoff.SPARED),
        (for_nobody, Payoff.UNKNOWN, Payoff.UNKNOWN),
        (removed, Payoff.PENDING, Payoff.PAID_OFF),
        (removed_and_started, Payoff.REGRETTED, Payoff.REGRETTED),
        (removal_called_off, Payoff.UNKNOWN, Payoff.UNKNOWN),
    ],
)
def test_verdict_follows_from_the_starts(
    story: Story, soon: Payoff, later: Payoff
) -> None:
    """Soon after, and when 30 days have passed."""
    log = Decided()
    subject = story(log)
    state = log.state

    record = find_decision(state, subject.replication_id if subject else REMOVAL)
    assert record is not None
    now = Judge(state, log.now_ns).judged(record).outcome
    then = Judge(state, log.now_ns + 31 * DAY_NS).judged(record).outcome

    assert (now.payoff, then.payoff) == (soon, later)


def test_outcome_counts_the_burst_and_what_it_saved() -> None:
    """Two starts that waited a third of a second each, and saved twenty seconds."""
    log = Decided()
    subject = started_in_time(log)

    state = log.state
    record = find_decision(state, subject.replication_id)
    assert record is not None
    outcome = Judge(state, log.now_ns).judged(record).outcome

    assert (outcome.start_count, outcome.waited_count) == (2, 2)
    assert outcome.wait_ns == 2 * seconds(0.33)
    assert outcome.saved_ns == 2 * seconds(SAVED_S)
    assert outcome.first_start_ns == record.used_ns > record.complete_ns


def test_copy_that_did_not_pay_off_saved_nothing_that_is_known() -> None:
    """None, not 0: a late copy may have saved some of the wait."""
    log = Decided()
    subject = started_before(log)

    state = log.state
    record = find_decision(state, subject.replication_id)
    assert record is not None

    assert Judge(state, log.now_ns).judged(record).outcome.saved_ns is None


def test_decision_is_named_with_the_tags_that_point_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As people know the image; of a repository's other tags none is looked at."""
    log = Decided().release("a").release("b")
    subject = log.plan("a", starts=(IAD,))

    state = log.state
    record = find_decision(state, subject.replication_id)
    assert record is not None
    read: list[Row] = []
    tag_at = State.tag_at

    def noted(state: State, row: Row) -> tuple[Tag, TagPointer] | None:
        read.append(row)
        return tag_at(state, row)

    monkeypatch.setattr(State, "tag_at", noted)
    judged = Judge(state, log.now_ns).judged(record)

    assert (judged.repository, judged.digest, judged.tags) == (WEB, A, ("a",))
    assert len(read) == 1
