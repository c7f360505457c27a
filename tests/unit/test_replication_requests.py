"""Requests about decisions, parsed: what is the same, and what is refused."""

from typing import Any

import pytest

from placement.core.decisions import find_decision
from placement.core.errors import InputError
from placement.core.event import EvictionCancelled, ReplicationCancelled
from placement.core.oci import Tag
from placement.core.tables.cells import EVICTION
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import events_pb2 as events_pb
from placement.v1 import replication_service_pb2 as pb
from placement.wire.as_of import AsOf
from placement.wire.replication_requests import (
    RequestQuery,
    decode_cancel,
    decode_decisions,
    decode_follow,
    decode_request,
)
from placement.wire.requests import Consistency
from tests.builders import AMS, FRA, SECOND_NS, START_NS, SYD, WEB, A, B
from tests.decided import Decided


def asked(**fields: Any) -> RequestQuery:  # noqa: ANN401 - any field
    """Return a request for an image in syd, as it is parsed."""
    plain = {
        "repository": WEB,
        "reference": "v1",
        "target_region": SYD,
        "request_id": "deploy-1",
    }
    return decode_request(pb.RequestReplicationRequest(**{**plain, **fields}))


def test_same_request_has_the_same_event_whoever_repeats_it() -> None:
    """The first one's deadline holds, so another one is no other request."""
    later = pb.RequestReplicationRequest(
        repository=WEB,
        reference="v1",
        target_region=SYD,
        request_id="deploy-1",
        actor="x",
    )
    later.deadline_time.FromNanoseconds(START_NS + SECOND_NS)

    assert asked().event_id == asked().event_id == decode_request(later).event_id


@pytest.mark.parametrize(
    "other",
    [
        {"repository": "acme/api"},
        {"reference": "v2"},
        {"target_region": FRA},
        {"request_id": "deploy-2"},
        {"platform": events_pb.Platform(os="linux", architecture="arm64")},
    ],
)
def test_other_content_has_another_event(other: dict[str, Any]) -> None:
    """Of each part that says what is wanted."""
    assert asked(**other).event_id != asked().event_id


def test_event_says_what_the_request_means() -> None:
    """The storage region and the digest, under the id of what was asked."""
    query = asked()

    event = query.event(AMS, A)

    assert (event.event_id, event.region) == (query.event_id, AMS)
    assert query.asked.reference == Tag("v1")
    assert (
        event.fact
        == decode_request(
            pb.RequestReplicationRequest(
                repository=WEB, reference=A, target_region=AMS, request_id="deploy-1"
            )
        ).asked
    )


def test_call_off_is_of_the_decisions_own_kind() -> None:
    """A copy and a removal have facts of their own; the same words have one id."""
    log = Decided()
    copied = log.plan("a")
    state = log.state
    record = find_decision(state, copied.replication_id)
    assert record is not None
    query = decode_cancel(
        pb.CancelReplicationRequest(
            replication_id=copied.replication_id, actor="ops", reason="wrong"
        )
    )

    copy = query.event(record, (WEB, A))
    removal = query.event(record._replace(kind=EVICTION), (WEB, B))

    assert isinstance(copy.fact, ReplicationCancelled)
    assert copy.fact.subject == copied
    assert isinstance(removal.fact, EvictionCancelled)
    assert copy.event_id == removal.event_id == query.event_id
    assert copy.region == SYD


def test_what_is_followed_is_one_thing() -> None:
    """A request or a decision."""
    request = decode_follow(pb.WatchReplicationRequest(request_id="deploy-1"))
    decision = decode_follow(pb.WatchReplicationRequest(replication_id="copy-1"))

    assert (request.request_id, request.replication_id) == ("deploy-1", "")
    assert (decision.request_id, decision.replication_id) == ("", "copy-1")
    with pytest.raises(InputError, match="subject"):
        decode_follow(pb.WatchReplicationRequest())


def test_each_part_of_a_filter_binds_the_page_token() -> None:
    """A page goes on with the very same question."""
    plain = decode_decisions(pb.ListReplicationsRequest())
    parts: list[dict[str, Any]] = [
        {"target_region": SYD},
        {"repository": WEB},
        {"status": pb.REPLICATION_STATUS_FAILED},
        {"trigger": events_pb.REPLICATION_TRIGGER_PIN},
        {"kind": pb.DECISION_KIND_REMOVAL},
        {"since_time": {"seconds": 1_795_000_000}},
        {"until_time": {"seconds": 1_795_000_000}},
    ]

    filters = {
        decode_decisions(pb.ListReplicationsRequest(**part)).wanted.parts
        for part in parts
    }

    assert len(filters | {plain.wanted.parts}) == len(parts) + 1


def test_past_can_be_asked_about() -> None:
    """As everywhere."""
    request = pb.ListReplicationsRequest(as_of=basis_pb.AsOf(sequence=3))

    assert decode_decisions(request).consistency == Consistency(as_of=AsOf(3))


@pytest.mark.parametrize("field", ["since_time", "until_time"])
def test_time_that_cannot_be_is_refused_with_its_field(field: str) -> None:
    """Before 1970, for one."""
    request = pb.ListReplicationsRequest(**{field: {"seconds": -5}})  # type: ignore[arg-type]  # a field's name

    with pytest.raises(InputError, match=field):
        decode_decisions(request)
