"""What the console says of decisions and numbers: one true sentence each."""

from collections.abc import Callable

import pytest

from placement.console.decided import row_of
from placement.console.telling import (
    BAD,
    FAILED,
    GOOD,
    OFF,
    OUTCOMES,
    STATUSES,
    TRIGGERS,
    WAITS,
    WITHHELD,
    Figure,
    cause_of,
    figures,
    told,
)
from placement.core.decisions import find_decision
from placement.core.event import (
    ContentEvicted,
    EvictionPlanned,
    FailureCause,
    Identifier,
    ReplicationSubject,
    ReplicationTrigger,
    WithholdReason,
)
from placement.core.facts.values import factors_of
from placement.core.payoff import Judge, Judged, Payoff
from placement.core.tables.cells import DecisionStatus
from tests.builders import DAY_NS, SECOND_NS, SYD, WEB, A
from tests.decided import Decided

LOCAL_NS = SECOND_NS // 3
REMOVAL = Identifier("out-1")
MONTH = 31 * DAY_NS


def paid_off(log: Decided) -> ReplicationSubject:
    """A copy is there before two machines start."""
    subject = log.plan("a")
    log.complete(subject)
    log.start("a").start("a")
    return subject


def wasted(log: Decided) -> ReplicationSubject:
    """A copy is there, and nobody starts it."""
    subject = log.plan("a")
    log.complete(subject)
    return subject


def late(log: Decided) -> ReplicationSubject:
    """A machine starts before the copy is there."""
    subject = log.plan("a")
    log.start("a", wait_s=3)
    log.complete(subject)
    return subject


def missed(log: Decided) -> ReplicationSubject:
    """Nothing is copied, and two machines start."""
    subject = log.withhold("a", cause=WithholdReason.CONTROL_GROUP)
    log.start("a", wait_s=3).start("a", wait_s=2)
    return subject


def spared(log: Decided) -> ReplicationSubject:
    """Nothing is copied, and nobody starts it."""
    return log.withhold("a", cause=WithholdReason.OVER_BUDGET)


def for_nobody(log: Decided) -> ReplicationSubject:
    """A repair is for no start region."""
    subject = log.plan("a", starts=())
    log.complete(subject)
    return subject


def removed(log: Decided) -> None:
    """An image leaves."""
    log.release("a")
    log.tell(SYD, EvictionPlanned(REMOVAL, WEB, A, SYD, start_regions=(SYD,)))
    log.tell(SYD, ContentEvicted(WEB, (A,), eviction_id=REMOVAL))


def regretted(log: Decided) -> None:
    """And is wanted there soon after."""
    removed(log)
    log.start("a", wait_s=3)


def superseded(log: Decided) -> ReplicationSubject:
    """A newer version is pushed, and the copied one never started."""
    log.release("a")
    subject = wasted(log)
    log.release("b")
    return subject


def judged(
    story: Callable[[Decided], ReplicationSubject | None], after_ns: int = 0
) -> tuple[Judged, int]:
    """The story's decision, judged so long after it ended, and when that is."""
    log = Decided()
    subject = story(log)
    state = log.state
    record = find_decision(state, subject.replication_id if subject else REMOVAL)
    assert record is not None
    now_ns = log.now_ns + after_ns
    return Judge(state, now_ns).judged(record), now_ns


@pytest.mark.parametrize(
    ("story", "after_ns", "kind", "said", "regret"),
    [
        (paid_off, 0, GOOD, "complete before 2 machines started in syd", None),
        (wasted, 0, WAITS, "No machine started it there yet", None),
        (wasted, MONTH, BAD, "nobody started it in syd in 30 days.", None),
        (superseded, 0, BAD, "in syd before a newer version was pushed.", None),
        (late, 0, BAD, "1 machine started in syd before the copy", 3 - 1 / 3),
        (missed, 0, BAD, "No copy was made, and 2 machines started", 5 - 2 / 3),
        (spared, MONTH, GOOD, "No copy was made, and nobody started it", None),
        (for_nobody, 0, OFF, "It was made for no start", None),
        (removed, 0, WAITS, "Nobody started it since", None),
        (removed, MONTH, GOOD, "Nobody started it in 30 days", None),
        (regretted, 0, BAD, "It was removed, and 1 machine started it", 3 - 1 / 3),
    ],
)
def test_an_outcome_is_one_sentence_with_its_regret(
    story: Callable[[Decided], ReplicationSubject | None],
    after_ns: int,
    kind: str,
    said: str,
    regret: float | None,
) -> None:
    """What came of it, how good that is, and the seconds waited in vain."""
    decision, now_ns = judged(story, after_ns)
    found = told(decision, LOCAL_NS, now_ns)
    assert found.mark.kind == kind
    assert found.sentence.startswith(said) or said in found.sentence
    assert found.sentence.endswith(".")
    assert found.regret_seconds == (None if regret is None else pytest.approx(regret))


def test_a_row_names_what_was_decided_and_why() -> None:
    """A withheld copy with its cause, its trigger, and the rule."""
    decision, now_ns = judged(missed)
    row = row_of(decision, LOCAL_NS, now_ns)
    assert (row.repository, row.digest, row.target) == (WEB, A, SYD)
    assert row.status == STATUSES[DecisionStatus.WITHHELD]
    assert row.cause == "by lot, to measure what copies save"
    assert row.trigger == "a push"
    assert row.reason == "start-forecast"
    decision, now_ns = judged(removed)
    removal = row_of(decision, LOCAL_NS, now_ns)
    assert (removal.removal, removal.trigger) == (True, "a look at what may leave")


def test_every_code_has_its_word() -> None:
    """Nothing that the state may hold is without one."""
    assert STATUSES.keys() == set(DecisionStatus)
    assert OUTCOMES.keys() == set(Payoff)
    assert TRIGGERS.keys() == set(ReplicationTrigger)
    assert WITHHELD.keys() == set(WithholdReason)
    assert FAILED.keys() == set(FailureCause)
    for payoff in Payoff:
        assert OUTCOMES[payoff].word


def test_a_cause_is_told_where_there_is_one() -> None:
    """Of what failed, and of what was withheld; a later version's is not made up."""
    assert cause_of(DecisionStatus.FAILED, FailureCause.SOURCE).endswith("its source")
    assert cause_of(DecisionStatus.COMPLETED, 1) == ""
    assert "does not name" in cause_of(DecisionStatus.WITHHELD, 99)
    assert "nobody told" in cause_of(DecisionStatus.FAILED, 99)


def test_figures_have_the_unit_that_ends_their_name() -> None:
    """Bytes, seconds, rates, shares and counts."""
    named = {
        "transfer_bytes": 65_000_000.0,
        "round_trip_seconds": 0.21,
        "kappa_bytes_per_second": 130e6,
        "bytes_per_second": 15e6,
        "app_probability": 0.5,
        "sample_count": 32.0,
        "app_hits": 2.513,
    }
    assert figures(factors_of(named)) == (
        Figure("transfer", "65.0 MB"),
        Figure("round trip", "0.21 s"),
        Figure("kappa rate", "130 MB a second"),
        Figure("rate", "15.0 MB a second"),
        Figure("app probability", "50 %"),
        Figure("sample count", "32"),
        Figure("app hits", "2.51"),
    )
