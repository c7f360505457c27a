"""RequestReplication and CancelReplication: stored once, answered with progress."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from placement.core.event import (
    ContentReplicated,
    EvictionCancelled,
    EvictionPlanned,
    Identifier,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationRequested,
    ReplicationStarted,
)
from placement.runtime.publisher import Publisher
from placement.v1 import events_pb2 as events_pb
from placement.v1 import replication_service_pb2 as pb
from placement.wire.events import decode_message
from tests.builders import (
    AMS,
    IAD,
    MANIFEST,
    NOWHERE,
    SCL,
    SECOND_NS,
    SYD,
    WEB,
    A,
    descriptor,
    event,
    pushed,
    tagged,
)
from tests.copying import (
    LAYER_BYTES,
    LAYERS,
    MANIFEST_BYTES,
    WHOLE_BYTES,
    folding,
    ordered,
    planned,
    released,
    subject,
)
from tests.serving import Service, refused, serving


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that folds, and knows an image in ams."""
    async with serving() as found:
        await found.stage.happen(*released())
        async with folding(found):
            yield found


def asked(**fields: Any) -> pb.RequestReplicationRequest:  # noqa: ANN401 - any field
    """Return a request for the image in syd."""
    plain = {
        "repository": WEB,
        "reference": "v1",
        "target_region": SYD,
        "request_id": "deploy-1",
        "actor": "scheduler",
    }
    return pb.RequestReplicationRequest(**{**plain, **fields})


async def stored(service: Service, kind: type) -> list[Any]:
    """Return the facts of a kind that the log holds."""
    found, sequence = [], 1
    while message := await service.stage.log.message(sequence):
        facts = [item.event.fact for item in decode_message(message).items]  # type: ignore[union-attr]  # nothing is set aside here
        found += [fact for fact in facts if isinstance(fact, kind)]
        sequence += 1
    return found


async def test_request_is_stored_and_answered_with_its_progress(
    service: Service,
) -> None:
    """It waits for a decision, and one can say what moves and from where."""
    answer = await service.replication.RequestReplication(asked())

    (fact,) = await stored(service, ReplicationRequested)
    assert (fact.reference, fact.target_region, fact.actor) == (A, SYD, "scheduler")
    assert answer.request_id == "deploy-1"
    assert not answer.HasField("replication")
    assert answer.progress.status == pb.REPLICATION_STATUS_REQUESTED
    assert not answer.progress.ended
    assert answer.progress.digest == A
    assert answer.progress.source_region == AMS
    assert answer.progress.transfer_bytes == WHOLE_BYTES
    assert answer.progress.HasField("expected_ready_time")
    assert answer.basis.sequence == 3
    assert answer.token


async def test_same_request_is_stored_once_and_tells_how_far_it_is(
    service: Service,
) -> None:
    """Also by somebody else, with another deadline, and after the tag has moved."""
    await service.replication.RequestReplication(asked())
    start = ReplicationStarted(subject("copy-1"), AMS, 1)
    await service.stage.happen(
        planned("copy-1", trigger=3),
        event(SYD, start),
        tagged("v1", "b", AMS),
    )

    again = asked(actor="another")
    again.deadline_time.FromNanoseconds(service.stage.now_ns + 60 * SECOND_NS)
    answer = await service.replication.RequestReplication(again)

    assert len(await stored(service, ReplicationRequested)) == 1
    assert answer.progress.status == pb.REPLICATION_STATUS_STARTED
    assert answer.progress.replication_id == "copy-1"
    assert answer.replication.replication_id == "copy-1"
    assert answer.replication.priority == 2


@pytest.mark.parametrize(
    "other",
    [
        {"target_region": IAD},
        {"repository": "acme/api"},
        {"reference": "v2"},
        {"platform": events_pb.Platform(os="linux", architecture="arm64")},
    ],
)
async def test_same_id_with_other_content_is_a_conflict_or_the_same(
    service: Service, other: dict[str, Any]
) -> None:
    """Another image or place is refused; a platform only says when it is met."""
    await service.stage.happen(pushed("c", AMS, media_type=MANIFEST, tag=None))
    await service.stage.happen(tagged("v2", "c", AMS))
    await service.replication.RequestReplication(asked())

    if "platform" in other:
        answer = await service.replication.RequestReplication(asked(**other))
        assert answer.progress.digest == A
    else:
        found = await refused(service.replication.RequestReplication(asked(**other)))
        assert found.code is grpc.StatusCode.ALREADY_EXISTS
        assert found.info.reason == "REQUEST_CONFLICT"
        assert found.info.metadata["request_id"] == "deploy-1"
    assert len(await stored(service, ReplicationRequested)) == 1


async def test_image_that_is_there_is_answered_and_nothing_is_stored(
    service: Service,
) -> None:
    """The scheduler may start at once."""
    manifest = descriptor("a", MANIFEST_BYTES, MANIFEST)
    await service.stage.happen(
        event(SYD, ContentReplicated((LAYERS[0],), WEB)),
        event(SYD, ContentReplicated((manifest,), WEB, references=tuple(LAYERS))),
    )

    answer = await service.replication.RequestReplication(asked())

    assert answer.progress.status == pb.REPLICATION_STATUS_COMPLETED
    assert answer.progress.ended
    assert answer.progress.transfer_bytes == 0
    assert answer.token == ""
    assert await stored(service, ReplicationRequested) == []


async def test_region_without_storage_means_the_one_that_serves_it(
    service: Service,
) -> None:
    """Santiago stores nothing; who repeats the request means the same."""
    first = await service.replication.RequestReplication(asked(target_region=SCL))
    again = await service.replication.RequestReplication(asked(target_region=SCL))

    (fact,) = await stored(service, ReplicationRequested)
    assert fact.target_region == IAD
    assert first.progress.target_region == again.progress.target_region == IAD


@pytest.mark.parametrize(
    ("fields", "reason", "code"),
    [
        ({"target_region": NOWHERE}, "REGION_UNKNOWN", "NOT_FOUND"),
        ({"reference": "v9"}, "MANIFEST_UNKNOWN", "NOT_FOUND"),
        ({"reference": "sha256:" + 64 * "e"}, "BLOB_UNKNOWN", "NOT_FOUND"),
        ({"repository": "Acme"}, "NAME_INVALID", "INVALID_ARGUMENT"),
        ({"reference": ""}, "TAG_INVALID", "INVALID_ARGUMENT"),
        ({"request_id": ""}, "TEXT_INVALID", "INVALID_ARGUMENT"),
        ({"target_region": ""}, "REGION_INVALID", "INVALID_ARGUMENT"),
    ],
)
async def test_request_that_cannot_be_is_refused(
    service: Service, fields: dict[str, Any], reason: str, code: str
) -> None:
    """With the reason that every other question gives, and nothing is stored."""
    found = await refused(service.replication.RequestReplication(asked(**fields)))

    assert (found.info.reason, found.code.name) == (reason, code)
    assert await stored(service, ReplicationRequested) == []


async def test_deadline_that_has_passed_is_refused(service: Service) -> None:
    """It could not be kept."""
    request = asked()
    request.deadline_time.FromNanoseconds(service.stage.now_ns - SECOND_NS)

    found = await refused(service.replication.RequestReplication(request))

    assert (found.info.reason, found.field) == ("TIME_INVALID", "deadline_time")


RESIDENCY = '[[residency]]\nrepositories = ["acme/*"]\nallow = ["ams", "fra"]\n'


@pytest.mark.parametrize("target", [SYD, SCL])
async def test_policy_keeps_a_repository_out_of_a_region(
    service: Service, target: str
) -> None:
    """The error says where it may be, and a storage region is found where one may."""
    await service.stage.happen(ordered(RESIDENCY))

    if target == SCL:  # served from the nearest region that is allowed
        request = asked(target_region=SCL, reference="v1")
        answer = await service.replication.RequestReplication(request)
        assert answer.progress.target_region == AMS
        assert answer.progress.ended
        return
    found = await refused(service.replication.RequestReplication(asked()))

    assert found.code is grpc.StatusCode.FAILED_PRECONDITION
    assert found.info.reason == "RESIDENCY_FORBIDDEN"
    assert found.info.metadata["permitted_regions"] == "ams, fra"
    assert await stored(service, ReplicationRequested) == []


async def test_policy_that_allows_no_storage_refuses_every_region(
    service: Service,
) -> None:
    """Also one that would be served from elsewhere."""
    rule = '[[residency]]\nrepositories = ["acme/*"]\nallow = ["scl"]\n'
    await service.stage.happen(ordered(rule))

    found = await refused(
        service.replication.RequestReplication(asked(target_region=SCL))
    )

    assert found.info.reason == "RESIDENCY_FORBIDDEN"
    assert found.info.metadata["permitted_regions"] == "nowhere"


async def test_spent_budget_is_answered_with_when_to_come_again(
    service: Service,
) -> None:
    """The link carried its bytes half an hour ago: some are free in half an hour."""
    await service.stage.happen(ordered('[limits.links]\n"ams:syd" = 1000\n'))
    await service.stage.happen(pushed("b", AMS), planned("copy-1", "b", trigger=3))
    await service.stage.happen(
        event(SYD, ReplicationCompleted(subject("copy-1", "b"), 10_000_000))
    )
    service.stage.now_ns += 1_800 * SECOND_NS

    found = await refused(service.replication.RequestReplication(asked()))

    assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert found.info.reason == "BUDGET_EXHAUSTED"
    assert "link_bytes_per_hour" in found.info.metadata["budget"]
    assert found.retry_ms is not None
    assert 1_790_000 < found.retry_ms < 1_800_000
    assert await stored(service, ReplicationRequested) == []


async def test_answer_comes_also_when_the_request_is_not_folded_in_time() -> None:
    """Marked STALE, with what is known of the image; its token shows it later."""
    async with serving() as service:
        await service.stage.happen(*released())

        answer = await service.replication.RequestReplication(asked())
        await service.stage.fold_all()
        again = await service.replication.RequestReplication(asked())

    assert answer.basis.state == 3  # STALE
    assert answer.progress.status == pb.REPLICATION_STATUS_REQUESTED
    assert answer.progress.transfer_bytes == WHOLE_BYTES
    token = answer.token.split(".")[:3]
    assert again.basis.token.split(".")[:3] == token  # the same epoch and sequence


async def test_request_limited_to_a_platform_is_met_by_that_platform(
    service: Service,
) -> None:
    """What other platforms need is not waited for."""
    platform = events_pb.Platform(os="linux", architecture="mips")

    found = await service.replication.RequestReplication(asked(platform=platform))

    assert found.progress.status == pb.REPLICATION_STATUS_REQUESTED  # told of none
    assert found.progress.transfer_bytes > LAYER_BYTES


def cancelled(own_id: str = "copy-1", **fields: str) -> pb.CancelReplicationRequest:
    """Return an order to call off a decision."""
    words = {"actor": "ops", "reason": "wrong image", **fields}
    return pb.CancelReplicationRequest(replication_id=own_id, **words)


async def test_open_decision_is_called_off_once(service: Service) -> None:
    """Who asked and why is in the log; the same call again changes nothing."""
    await service.stage.happen(planned("copy-1"))

    first = await service.replication.CancelReplication(cancelled())
    again = await service.replication.CancelReplication(cancelled())
    asked_for = pb.GetReplicationRequest(replication_id="copy-1")
    shown = await service.replication.GetReplication(asked_for)

    (fact,) = await stored(service, ReplicationCancelled)
    assert (fact.subject, fact.actor, fact.reason) == (
        subject("copy-1"),
        "ops",
        "wrong image",
    )
    assert first.event_id == again.event_id
    assert shown.replication.status == pb.REPLICATION_STATUS_CANCELLED
    assert shown.progress.ended


async def test_removal_is_called_off_like_a_copy(service: Service) -> None:
    """By its own fact."""
    removal = EvictionPlanned(Identifier("out-1"), WEB, A, AMS)
    await service.stage.happen(event(AMS, removal))

    await service.replication.CancelReplication(cancelled("out-1"))

    (fact,) = await stored(service, EvictionCancelled)
    assert (fact.eviction_id, fact.target_region, fact.actor) == ("out-1", AMS, "ops")


async def test_decision_that_has_ended_cannot_be_called_off(service: Service) -> None:
    """The error says how it ended."""
    done = ReplicationCompleted(subject("copy-1"), WHOLE_BYTES)
    await service.stage.happen(planned("copy-1"), event(SYD, done))

    found = await refused(service.replication.CancelReplication(cancelled()))

    assert found.code is grpc.StatusCode.FAILED_PRECONDITION
    assert found.info.reason == "REPLICATION_CLOSED"
    assert found.info.metadata["status"] == "completed"


async def test_decision_that_ends_while_it_is_called_off_is_closed() -> None:
    """The log's order counts: who finished first, finished."""
    async with serving() as service:
        await service.stage.happen(*released(), planned("copy-1"))
        done = event(SYD, ReplicationCompleted(subject("copy-1"), WHOLE_BYTES))
        done = replace(done, event_id=Identifier("done-1"))
        call = service.replication.CancelReplication(cancelled())
        await Publisher(service.stage.log, service.stage.view).publish([done])
        async with folding(service):
            found = await refused(call)

    assert found.info.reason == "REPLICATION_CLOSED"


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (cancelled("copy-9"), "REPLICATION_UNKNOWN", None),
        (cancelled(""), "TEXT_INVALID", "replication_id"),
        (cancelled(actor=" "), "INPUT_INVALID", "actor"),
        (cancelled(reason=""), "INPUT_INVALID", "reason"),
    ],
)
async def test_call_that_cannot_be_is_refused(
    service: Service,
    request_: pb.CancelReplicationRequest,
    reason: str,
    field: str | None,
) -> None:
    """Nobody calls off what nobody decided, nor without a name and a reason."""
    found = await refused(service.replication.CancelReplication(request_))

    assert found.info.reason == reason
    assert field is None or found.field == field
