"""What a region is to do: seen in the state, whatever else is decided."""

from placement.core.assignments import Assigned, Assignment, Closed, Duties
from placement.core.event import EvictionPlanned, Identifier
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.table import Row
from placement.core.watched import Interest
from tests.builders import AMS, FRA, SYD, TOPOLOGY, WEB, A
from tests.decided import Decided

SYDNEY = Duties(SYD, TOPOLOGY)


def snapshot(state: State, now_ns: int, duties: Duties = SYDNEY) -> list[Assignment]:
    """Return all that is told at first."""
    scene = duties.select(state)
    seen = (scene.look(row, now_ns, is_tag=tag) for row, tag in scene.rows())
    return [one for one in seen if one is not None]


def looked(log: Decided, own_id: str) -> Assignment | None:
    """Return how one decision stands, as a note about it is read."""
    state = log.state
    row = state.decisions.find(own_id.encode())
    return SYDNEY.select(state).look(row, log.now_ns, is_tag=False)


def test_region_that_nobody_named_has_nothing_to_do() -> None:
    """It is in the catalogue, and in no event."""
    assert snapshot(Decided().release("a").state, 0) == []


def test_older_decisions_of_one_priority_come_first() -> None:
    """And those of other regions do not come at all."""
    log = Decided()
    names = [log.plan(name).replication_id for name in "abc"]
    log.plan("d", FRA)

    found = snapshot(log.state, log.now_ns)

    opened = [one for one in found if isinstance(one, Assigned)]
    assert [one.decision.replication_id for one in opened] == names


def test_decision_of_another_region_is_none_of_its_business() -> None:
    """Open or closed."""
    log = Decided()
    subject = log.plan("a", FRA)
    before = looked(log, subject.replication_id)

    log.cancel(subject)

    assert (before, looked(log, subject.replication_id)) == (None, None)


def test_failed_decision_is_closed_until_another_attempt_begins() -> None:
    """What is told is how it stands by now."""
    log = Decided()
    subject = log.plan("a")
    opened = looked(log, subject.replication_id)

    log.fail(subject)
    failed = looked(log, subject.replication_id)

    assert isinstance(opened, Assigned)
    assert (opened.repository, opened.digest) == (WEB, A)
    assert failed == Closed(subject.replication_id, DecisionStatus.FAILED)


def test_removal_of_the_only_copy_is_never_told_as_open() -> None:
    """However it was decided; it is said to be closed, though nobody has closed it."""
    log = Decided().release("a")
    log.tell(AMS, EvictionPlanned(Identifier("out-1"), WEB, A, AMS))
    asks, does_not = Duties(AMS, TOPOLOGY, removals=True), Duties(AMS, TOPOLOGY)

    state = log.state

    assert snapshot(state, log.now_ns, asks) == [
        Closed("out-1", DecisionStatus.PLANNED)
    ]
    row = state.decisions.find(b"out-1")
    assert does_not.select(state).look(row, log.now_ns, is_tag=False) is None


def test_replicators_are_told_only_what_is_certain() -> None:
    """In contrast to those who only want to know where content is."""
    assert not SYDNEY.trusting
    assert Interest().trusting


def test_changes_are_those_of_decisions_alone() -> None:
    """A push is no news to a replicator."""
    log = Decided().release("a")
    state = log.state
    before = SYDNEY.select(state).changes.end
    subject = log.plan("b")

    changes = SYDNEY.select(log.state).changes

    assert before == 0
    assert changes.end == 1
    row = log.state.decisions.find(subject.replication_id.encode())
    assert changes.read(0) == (1, (Row(row), False))
