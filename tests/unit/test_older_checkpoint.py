"""A checkpoint of fold version 2: it answers while the log is folded anew."""

from collections.abc import Iterator

from placement.core.chunks import PackedChunk, load
from placement.core.decisions import (
    decision_at,
    decision_status,
    flow_count,
    judging,
    latest_decision,
    open_copies,
)
from placement.core.due import due_trials
from placement.core.event import (
    Identifier,
    Name,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationStarted,
    ReplicationSubject,
)
from placement.core.fingerprint import fingerprint
from placement.core.folds.demand import machine_key
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus, StartClass
from placement.core.tables.table import ABSENT, Row
from tests.builders import (
    AMS,
    FRA,
    LATEST,
    MANIFEST,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    event,
    folded,
    pushed,
    started,
)
from tests.older_chunks import of_first_layout

COLUMNS = {
    "decisions": 9,
    "decided": 2,
    "requests": 1,
    "wanted": 1,
    "machines": 5,
    "versions": 3,
}
"""How many columns these tables had then; the others had as many as now."""
LATER = {"awaited", "start_days", "words"}
"""Tables that there were none of."""
SUBJECT = ReplicationSubject(Identifier("copy-1"), WEB, A, FRA)


def of_old(state: State) -> Iterator[PackedChunk]:
    """Yield the chunks of *state* as fold version 2 would have saved them."""
    for chunk in of_first_layout(state, COLUMNS):
        if chunk[0] not in LATER:
            yield chunk


def older() -> State:
    """Return a state from such a checkpoint, with a copy on its way and a machine."""
    asked = ReplicationRequested(Identifier("r-1"), WEB, LATEST, FRA)
    planned = ReplicationPlanned(
        SUBJECT,
        AMS,
        100,
        trigger_sequence=1,
        policy=Name("default"),
        reason=Name("start-forecast"),
        start_regions=(FRA,),
    )
    state = folded(
        pushed("a", AMS, media_type=MANIFEST, tag=LATEST),
        event(AMS, asked),
        event(FRA, planned),
        event(FRA, ReplicationStarted(SUBJECT)),
        started("a", FRA),
    )
    found = State()
    load(found, of_old(state), of_this_version=False)
    return found


def test_decision_of_an_older_fold_is_read() -> None:
    """What was not kept then is zero, or empty."""
    state = older()
    placement, target = state.find_placement(WEB, A), state.regions.find(b"fra")

    row = latest_decision(state, placement, target)
    found = decision_at(state, row)

    assert (found.replication_id, found.status) == ("copy-1", DecisionStatus.STARTED)
    assert (found.source, found.target, found.transfer_bytes) == (AMS, FRA, 100)
    assert (found.policy, found.reason, found.start_regions) == ("", "", ())
    assert (found.priority, found.used_ns, found.removal) == (0, 0, False)
    assert decision_status(state, placement, target) is DecisionStatus.STARTED


def test_open_copies_of_an_older_fold_are_found() -> None:
    """The indexes are made from what was saved."""
    state = older()
    source, target = state.regions.find(b"ams"), state.regions.find(b"fra")

    assert [each.replication_id for each in open_copies(state, target)] == ["copy-1"]
    assert flow_count(state, source) == 1
    assert state.indexes.wanted_of(state.find_placement(WEB, A)) == [target]


def test_questions_are_answered_from_an_older_fold() -> None:
    """What is due, what a machine's start was like, and the fingerprint."""
    state = older()
    machine = state.machines.find(machine_key("m1"))

    due = due_trials(state, state.find_placement(WEB, A), START_NS + 60 * SECOND_NS)

    assert [trial.known for trial in due] == [StartClass.RUNNING]
    assert judging(state, machine) == ABSENT
    assert len(fingerprint(state)) == 32
    assert state.indexes.versions_in(Row(0)) == [state.find_placement(WEB, A)]
