"""Explained starts: each outcome in words, with the decision that tells so."""

import pytest

from placement.core.event import (
    CacheKind,
    Identifier,
    MachineGroup,
    MachinesCounted,
    MachineStarted,
    ReplicationSubject,
    TimeNs,
)
from placement.core.start_reasons import (
    _SAID,
    MachineUnknownError,
    StartReason,
    start_reason,
)
from placement.core.tables.cells import StartOutcome
from tests.builders import SYD, WEB, A, stopped
from tests.decided import Decided


def explained(log: Decided, machine: str = "machine-2") -> StartReason:
    """Return why a machine of *log* started as it did."""
    return start_reason(log.state, machine)


def planned() -> tuple[Decided, ReplicationSubject]:
    """Return a log in which a copy was decided."""
    log = Decided().release("a")
    return log, log.plan("a")


def test_start_that_nothing_foretold() -> None:
    """It waited, and there is no decision to show."""
    log = Decided().release("a").start("a", wait_s=4.2)

    found = explained(log, "machine-1")

    assert found.outcome is StartOutcome.NEVER_PREDICTED
    assert found.decision is None
    assert found.explanation == (
        "The image was not in syd, and no copy was ever decided for starts there: "
        "nothing foretold one. The machine waited 4.20 s for its image."
    )


def test_start_that_was_foretold_too_late_names_its_decision() -> None:
    """When it was decided, by which rule, and how late it was."""
    log, subject = planned()
    log.start("a", wait_s=4.0, after_s=10).complete(subject)

    found = explained(log)

    assert found.decision is not None
    assert found.decision.replication_id == subject.replication_id
    assert found.explanation == (
        "A copy for starts in syd was decided, and was not complete when the machine "
        "asked for the image. That copy into syd was decided 10.0 s before the start "
        "by start-forecast. It was complete 1.0 s after. The machine waited 4.00 s for "
        "its image."
    )


def test_start_while_the_copy_is_open_says_that_it_still_is() -> None:
    """As it is by now, not as it was then."""
    log, _ = planned()
    log.start("a", wait_s=4.0)

    assert "It is not complete yet." in explained(log).explanation


def test_local_start_says_so_and_what_it_waited() -> None:
    """The good case needs no decision."""
    log, subject = planned()
    log.complete(subject).start("a")

    found = explained(log)

    assert found.outcome is StartOutcome.LOCAL
    assert found.explanation == (
        "The image was in syd when the machine started. "
        "The machine waited 0.33 s for its image."
    )


def test_start_that_only_a_count_told_of_has_no_reason() -> None:
    """Where it had its image from is not known, nor what it waited."""
    log = Decided().release("a")
    group = MachineGroup(WEB, A, (Identifier("m9"),))
    log.tell(SYD, MachinesCounted(TimeNs(log.now_ns), complete=True, groups=(group,)))

    found = explained(log, "m9")

    assert (found.outcome, found.wait_ns, found.running) == (None, None, True)
    assert found.explanation == (
        "Only a count of what runs told of the machine: not how it started."
    )


def test_stopped_machine_is_still_explained() -> None:
    """Until it is forgotten."""
    log = Decided()
    fact = MachineStarted(A, WEB, Identifier("m1"), cache=CacheKind.HOST)
    log.tell(SYD, fact).tell(SYD, stopped("m1", SYD).fact)

    found = explained(log, "m1")

    assert (found.running, found.outcome) == (False, StartOutcome.LOCAL)


@pytest.mark.parametrize("machine", ["nobody", "m1"])
def test_machine_that_never_started_is_unknown(machine: str) -> None:
    """Not even one whose stop was told."""
    log = Decided().tell(SYD, stopped("m1", SYD).fact)

    with pytest.raises(MachineUnknownError, match=machine):
        explained(log, machine)


@pytest.mark.parametrize("outcome", StartOutcome)
def test_every_outcome_has_its_sentence(outcome: StartOutcome) -> None:
    """For people, and about the region where it has one."""
    said = _SAID[outcome].format(region="syd")

    assert said.endswith(".")
    assert "{" not in said
