"""Progress of requests and decisions: from the wish to the last byte."""

import pytest

from placement.core.deciding.wants import REQUEST_NS
from placement.core.decisions import find_decision
from placement.core.event import (
    ContentAnnounced,
    EvictionPlanned,
    Identifier,
    ReplicationRequested,
    ReplicationStarted,
    TimeNs,
    WithholdReason,
)
from placement.core.following import (
    REQUESTED,
    Asked,
    Progress,
    asked_by,
    decision_progress,
    request_progress,
)
from placement.core.network import Network
from placement.core.oci import Digest, Tag
from placement.core.tables.cells import DecisionStatus
from tests.builders import (
    AMS,
    HOUR_NS,
    IAD,
    LAYER,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    descriptor,
    pushed,
    replicated,
)
from tests.decided import Decided

LAYERS = [descriptor("layer", 60_000_000, LAYER)]
WHOLE_BYTES = 60_000_000 + 1_000
REQUEST = Identifier("deploy-1")


def requested(deadline_s: float = 0.0) -> Decided:
    """Return a log in which an image that ams has is asked for in syd."""
    log = Decided()
    log.tell(AMS, pushed("layer", AMS, size_bytes=60_000_000).fact)
    image = pushed("a", AMS, references=LAYERS, size_bytes=1_000, tag=Tag("v1"))
    log.tell(AMS, image.fact)
    due_ns = TimeNs(log.now_ns + round(deadline_s * 1e9)) if deadline_s else None
    return log.tell(SYD, ReplicationRequested(REQUEST, WEB, A, SYD, due_ns))


def progress(log: Decided, later_ns: int = 0) -> Progress:
    """Return how far the request of *log* has come."""
    state = log.state
    asked = asked_by(state, REQUEST)
    assert asked is not None
    return request_progress(Network(state, TOPOLOGY, log.now_ns + later_ns), asked)


def test_request_that_nobody_decided_about_waits() -> None:
    """All of it has to move, from the best source, in a known time."""
    found = progress(requested())

    assert (found.status, found.ended) == (REQUESTED, False)
    assert (found.repository, found.digest, found.target) == (WEB, A, SYD)
    assert (found.transfer_bytes, found.transferred_bytes) == (WHOLE_BYTES, 0)
    assert found.source == AMS
    assert found.ready_ns is not None
    assert found.ready_ns > requested().now_ns
    assert found.decision is None


def test_bytes_that_have_arrived_are_counted_while_it_moves() -> None:
    """Whole contents, and what is there of one that is on its way."""
    log = requested()
    subject = log.plan("a", size_bytes=WHOLE_BYTES)
    log.tell(SYD, ReplicationStarted(subject, IAD, 1))
    log.tell(SYD, ContentAnnounced(LAYERS[0], WEB, 20_000_000))

    found = progress(log)

    assert found.status is DecisionStatus.STARTED
    assert found.decision is not None
    assert found.decision.replication_id == subject.replication_id
    assert (found.transfer_bytes, found.transferred_bytes) == (WHOLE_BYTES, 20_000_000)
    assert found.source == IAD


def test_request_ends_when_all_of_it_is_there_whoever_brought_it() -> None:
    """Without any decision of ours."""
    log = requested()
    for name, size in (("layer", 60_000_000), ("a", 1_000)):
        log.tell(SYD, replicated(name, SYD, size_bytes=size).fact)

    found = progress(log)

    assert (found.status, found.ended) == (DecisionStatus.COMPLETED, True)
    assert found.ready_ns is None


def test_completed_decision_ends_the_request() -> None:
    """What it moved in the end is what it says."""
    log = requested()
    log.complete(log.plan("a", size_bytes=WHOLE_BYTES), size_bytes=59_000_000)

    found = progress(log)

    assert (found.status, found.ended) == (DecisionStatus.COMPLETED, True)
    assert found.transferred_bytes == 59_000_000


@pytest.mark.parametrize("ending", ["fail", "expire"])
def test_request_goes_on_after_a_copy_that_came_to_nothing(ending: str) -> None:
    """Until a day after: another one may be decided."""
    log = requested()
    subject = log.plan("a")
    getattr(log, ending)(subject)

    soon, later = progress(log), progress(log, REQUEST_NS)

    assert (soon.ended, later.ended) == (False, True)
    assert soon.status in {DecisionStatus.FAILED, DecisionStatus.EXPIRED}


def test_request_whose_copy_was_called_off_has_ended() -> None:
    """Somebody meant it."""
    log = requested()
    log.cancel(log.plan("a"))

    found = progress(log)

    assert (found.status, found.ended) == (DecisionStatus.CANCELLED, True)


def test_copy_that_was_called_off_before_says_nothing_of_a_new_request() -> None:
    """Who asks again wants it again."""
    log = requested()
    log.cancel(log.plan("a"))
    again = ReplicationRequested(Identifier("deploy-2"), WEB, A, SYD)
    log.tell(SYD, again)

    state = log.state
    asked = asked_by(state, "deploy-2")
    assert asked is not None
    found = request_progress(Network(state, TOPOLOGY, log.now_ns), asked)

    assert (found.status, found.ended, found.decision) == (REQUESTED, False, None)


def test_request_expires_a_day_after_its_deadline() -> None:
    """Not a day after it was made."""
    log = requested(deadline_s=7_200)

    before, after = progress(log, REQUEST_NS), progress(log, REQUEST_NS + 3 * HOUR_NS)

    assert (before.status, before.ended) == (REQUESTED, False)
    assert (after.status, after.ended) == (DecisionStatus.EXPIRED, True)


def test_request_for_a_tag_that_pointed_nowhere_is_about_nothing() -> None:
    """Published by somebody without the service: nothing to follow."""
    log = Decided().tell(SYD, ReplicationRequested(REQUEST, WEB, Tag("v9"), SYD))

    assert asked_by(log.state, REQUEST) is None
    assert asked_by(log.state, "deploy-2") is None


def test_deferred_decision_is_followed_for_a_day() -> None:
    """It may be decided yet; afterwards nobody believes so."""
    log = requested()
    subject = log.withhold("a", cause=WithholdReason.OVER_BUDGET)
    state = log.state
    record = find_decision(state, subject.replication_id)
    assert record is not None

    ends = [
        decision_progress(Network(state, TOPOLOGY, log.now_ns + late), record).ended
        for late in (0, REQUEST_NS + 1)
    ]

    assert ends == [False, True]


def test_removal_has_no_moment_when_it_is_ready() -> None:
    """It is open, then done; nothing arrives."""
    log = requested()
    out = Identifier("out-1")
    log.tell(AMS, EvictionPlanned(out, WEB, Digest(A), AMS, reclaimed_bytes=1_000))
    state = log.state
    record = find_decision(state, out)
    assert record is not None

    found = decision_progress(Network(state, TOPOLOGY, log.now_ns), record)

    assert (found.status, found.ended) == (DecisionStatus.PLANNED, False)
    assert (found.transfer_bytes, found.transferred_bytes) == (1_000, 0)
    assert (found.ready_ns, found.source) == (None, None)


def test_region_that_nobody_ever_named_lacks_all_of_it() -> None:
    """A request that is not folded yet may be about one."""
    log = Decided()
    log.tell(AMS, pushed("a", AMS, size_bytes=1_000, media_type=LAYER).fact)
    state = log.state
    asked = Asked(state.find_placement(WEB, A), SYD, log.now_ns)

    found = request_progress(Network(state, TOPOLOGY, log.now_ns), asked)

    assert (found.status, found.transfer_bytes) == (REQUESTED, 1_000)
