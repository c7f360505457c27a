"""Closing: what expired, or is there by other means, is carried out by nobody."""

from placement.core.deciding.closing import closings
from placement.core.event import (
    Event,
    ReplicationCancelled,
    ReplicationExpired,
    ReplicationStarted,
)
from tests.builders import IAD, LHR, SYD, started
from tests.deciding import (
    NO_CONTROL_GROUP,
    Office,
    arrived,
    planned,
    release,
    requested,
    ruled,
)

LASTS_S = 7_200
POLICY = f"{NO_CONTROL_GROUP}[limits]\ndecision_seconds = {LASTS_S}\n"


def waiting() -> Office:
    """Return an office with one decision that is open."""
    office = Office().tell(ruled(POLICY), *release("v1"), *release("v1", SYD))
    office.tell(started("v1", SYD)).forget().tell(*release("v2")).act()
    return office


def closed(office: Office) -> list[Event]:
    """Return what closes decisions into Sydney."""
    target = office.state.regions.find(SYD.encode())
    return list(closings(office.desk, target, "planner"))


def test_open_decision_is_left_open() -> None:
    """Nothing is wrong with it yet."""
    office = waiting()

    assert closed(office) == []
    assert closed(office.wait(LASTS_S - 5)) == []


def test_decision_that_nobody_began_expires() -> None:
    """Its time is over: the log says so, under an id that all planners give it."""
    office = waiting().wait(LASTS_S)
    decision = office.decisions()[-1]

    (event,) = closed(office)

    assert isinstance(event.fact, ReplicationExpired)
    assert event.fact.subject == office.subject_of(decision)
    assert event.fact.reason == "nobody began it in time"
    assert event.event_id == f"{decision.replication_id}-expired"


def test_decision_that_was_not_done_expires() -> None:
    """Begun, and never heard of again."""
    office = waiting()
    subject = office.subject_of(office.decisions()[-1])
    office.report(office.decisions()[-1], ReplicationStarted(subject, IAD, 1))

    (event,) = closed(office.wait(LASTS_S))

    assert isinstance(event.fact, ReplicationExpired)
    assert event.fact.reason == "was not done in time"


def test_what_came_by_other_means_is_called_off() -> None:
    """A pull or a push brought all of it before anybody began."""
    office = waiting().tell(arrived("v2", SYD))

    (event,) = closed(office)

    assert isinstance(event.fact, ReplicationCancelled)
    assert event.fact.actor == "planner"
    assert event.fact.reason == "all of it is there by other means"


def test_copy_that_has_begun_is_not_called_off() -> None:
    """What arrives then is most likely its own work."""
    office = waiting()
    subject = office.subject_of(office.decisions()[-1])
    office.report(office.decisions()[-1], ReplicationStarted(subject, IAD, 1))

    assert closed(office.tell(arrived("v2", SYD))) == []


def test_what_may_not_be_there_any_more_is_called_off() -> None:
    """The rules of residency were changed while it waited."""
    rule = '[[residency]]\nrepositories = ["acme/*"]\ndeny = ["syd"]\n'
    office = waiting().tell(ruled(POLICY + rule, "stricter"))

    (event,) = closed(office)

    assert isinstance(event.fact, ReplicationCancelled)
    assert "residency" in event.fact.reason


def test_part_of_it_is_not_all_of_it() -> None:
    """The layer alone came: the manifest is still to be copied."""
    office = waiting().tell(release("v2", SYD)[0])

    assert closed(office) == []


def test_closed_decision_is_closed_once() -> None:
    """Folded, it is no longer open."""
    office = waiting().wait(LASTS_S)
    office.tell(*closed(office))

    assert closed(office) == []


def test_expired_decision_is_decided_again_after_its_back_off() -> None:
    """Nobody is there to do it: it is tried, and tried less and less often."""
    office = waiting().wait(LASTS_S)
    office.tell(*closed(office))

    early = office.decide(office.tick())
    office.wait(61)

    assert early.events == []
    assert len(planned(office.sweep())) == 1


def test_each_region_is_looked_at_by_itself() -> None:
    """Copies into London are none of Sydney's."""
    office = waiting().tell(requested("v2", LHR))
    office.act()

    assert len(closed(office.wait(LASTS_S))) == 1
