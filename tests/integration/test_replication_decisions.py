"""ListReplications, GetReplication, ExplainStart: decisions and what came of them."""

from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import pytest

from placement.core.event import (
    CacheKind,
    ContentEvicted,
    Event,
    EvictionPlanned,
    FailureCause,
    Identifier,
    MachineStarted,
    ReplicationCompleted,
    ReplicationFailed,
    ReplicationWithheld,
    Text,
    WithholdReason,
)
from placement.ports import LogUnavailableError
from placement.v1 import events_pb2 as events_pb
from placement.v1 import replication_service_pb2 as pb
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    IAD,
    NOWHERE,
    SYD,
    WEB,
    A,
    event,
    pushed,
    seconds,
)
from tests.copying import FACTORS, WHOLE_BYTES, planned, released, subject
from tests.serving import Service, refused, serving


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that has folded one decision of each kind, copy-1 first."""
    async with serving() as found:
        await found.stage.happen(*released(), *decisions())
        yield found


def decisions() -> list[Event]:
    """Return a copy that paid off, a failed and a withheld one, and a removal."""
    withheld = ReplicationWithheld(
        subject("copy-3", "a", IAD),
        WHOLE_BYTES,
        trigger_sequence=1,
        factors=FACTORS,
        start_regions=(IAD,),
        cause=WithholdReason.CONTROL_GROUP,
        explanation=Text("by lot"),
    )
    failed = ReplicationFailed(subject("copy-2", "a", FRA), cause=FailureCause.SOURCE)
    removal = EvictionPlanned(
        Identifier("out-1"), WEB, A, AMS, Text("unused 31 days"), WHOLE_BYTES
    )
    return [
        planned("copy-1"),
        event(SYD, ReplicationCompleted(subject("copy-1"), 59_000_000, seconds(20))),
        event(SYD, start("m1", CacheKind.REGION, 0.3)),
        planned("copy-2", target=FRA),
        event(FRA, failed),
        event(FRA, start("m2", CacheKind.REMOTE, 4.0)),
        event(IAD, withheld),
        event(AMS, removal),
    ]


def start(machine: str, cache: CacheKind, wait_s: float) -> MachineStarted:
    """Return a start of the image that waited."""
    return MachineStarted(
        A, WEB, Identifier(machine), image_wait_ns=seconds(wait_s), cache=cache
    )


async def listed(service: Service, **fields: Any) -> list[str]:  # noqa: ANN401 - any field
    """Return the ids of all decisions of a listing, page after page."""
    request = pb.ListReplicationsRequest(**fields)
    found: list[str] = []
    while True:
        page = await service.replication.ListReplications(request)
        found += [decision.replication_id for decision in page.replications]
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


async def got(service: Service, own_id: str) -> pb.GetReplicationResponse:
    """Return one decision."""
    request = pb.GetReplicationRequest(replication_id=own_id)
    response: pb.GetReplicationResponse
    response = await service.replication.GetReplication(request)
    return response


async def test_newest_decision_is_listed_first_whatever_the_page(
    service: Service,
) -> None:
    """One by one, or all at once."""
    assert await listed(service) == ["out-1", "copy-3", "copy-2", "copy-1"]
    assert await listed(service, page_size=1) == await listed(service)
    assert await listed(service, page_size=3) == await listed(service)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target_region": SYD}, ["copy-1"]),
        ({"repository": WEB}, ["out-1", "copy-3", "copy-2", "copy-1"]),
        ({"repository": API}, []),
        ({"status": pb.REPLICATION_STATUS_COMPLETED}, ["copy-1"]),
        ({"status": pb.REPLICATION_STATUS_WITHHELD}, ["copy-3"]),
        ({"trigger": events_pb.REPLICATION_TRIGGER_PUSH}, ["copy-2", "copy-1"]),
        ({"trigger": events_pb.REPLICATION_TRIGGER_PIN}, []),
        ({"kind": pb.DECISION_KIND_REMOVAL}, ["out-1"]),
        ({"kind": pb.DECISION_KIND_COPY}, ["copy-3", "copy-2", "copy-1"]),
    ],
)
async def test_listing_can_be_narrowed(
    service: Service, fields: dict[str, Any], expected: list[str]
) -> None:
    """By where, what, how far, why and which kind."""
    await service.stage.happen(pushed("c", AMS, API))

    assert await listed(service, **fields) == expected


async def test_listing_can_be_narrowed_by_when(service: Service) -> None:
    """From a moment on, and up to before another one."""
    second = (await got(service, "copy-2")).replication.decide_time
    third = (await got(service, "copy-3")).replication.decide_time

    assert await listed(service, since_time=second, until_time=third) == ["copy-2"]
    assert await listed(service, since_time=third) == ["out-1", "copy-3"]


async def test_page_ends_after_so_many_decisions_were_read(service: Service) -> None:
    """However few of them are wanted, others are answered meanwhile."""
    request = pb.ListReplicationsRequest(target_region=SYD)

    with patch("placement.api.decision_servicer.DECISIONS_READ_MAX", 3):
        page = await service.replication.ListReplications(request)
        found = await listed(service, target_region=SYD)

    assert (len(page.replications), bool(page.next_page_token)) == (0, True)
    assert found == ["copy-1"]


async def test_new_decisions_do_not_shift_the_pages(service: Service) -> None:
    """What comes between two pages is newer than all that follows."""
    request = pb.ListReplicationsRequest(page_size=2)
    page = await service.replication.ListReplications(request)
    await service.stage.happen(planned("copy-4", "b", trigger=9))

    request.page_token = page.next_page_token
    page = await service.replication.ListReplications(request)

    assert [each.replication_id for each in page.replications] == ["copy-2", "copy-1"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"target_region": NOWHERE}, "REGION_UNKNOWN"),
        ({"target_region": "Syd"}, "REGION_INVALID"),
        ({"repository": "acme/none"}, "NAME_UNKNOWN"),
        ({"page_size": 1_001}, "LIMIT_INVALID"),
        ({"page_token": "none"}, "PAGE_TOKEN_INVALID"),
        ({"status": 9}, "INPUT_INVALID"),
        ({"status": 77}, "INPUT_INVALID"),
        ({"trigger": 77}, "INPUT_INVALID"),
        ({"kind": 7}, "INPUT_INVALID"),
    ],
)
async def test_listing_that_cannot_be_is_refused(
    service: Service, fields: dict[str, Any], reason: str
) -> None:
    """Naming the field, as everywhere."""
    request = pb.ListReplicationsRequest(**fields)

    found = await refused(service.replication.ListReplications(request))

    assert found.info.reason == reason


async def test_page_token_is_bound_to_its_filter(service: Service) -> None:
    """It goes on with nothing else."""
    request = pb.ListReplicationsRequest(page_size=1)
    token = (await service.replication.ListReplications(request)).next_page_token

    other = pb.ListReplicationsRequest(target_region=SYD, page_token=token)
    found = await refused(service.replication.ListReplications(other))

    assert found.info.reason == "PAGE_TOKEN_INVALID"


async def test_decision_comes_with_its_evidence_and_its_outcome(
    service: Service,
) -> None:
    """It was there in time, one start used it, and the log still says why."""
    answer = await got(service, "copy-1")

    decision, outcome = answer.replication, answer.replication.outcome
    assert decision.kind == pb.DECISION_KIND_COPY
    assert decision.status == pb.REPLICATION_STATUS_COMPLETED
    assert (decision.source_region, decision.target_region) == (AMS, SYD)
    assert list(decision.start_regions) == [SYD]
    assert list(decision.tags) == ["v1"]
    assert (decision.transfer_bytes, decision.moved_bytes) == (WHOLE_BYTES, 59_000_000)
    assert decision.transfer_duration.ToSeconds() == 20
    assert decision.policy == "default@0"
    assert decision.reason == "start-forecast"
    assert outcome.payoff == pb.PAYOFF_PAID_OFF
    assert (outcome.start_count, outcome.waited_count) == (1, 1)
    assert outcome.wait_duration.ToMilliseconds() == 300
    assert answer.progress.ended
    assert answer.progress.transferred_bytes == 59_000_000
    assert [(each.name, each.value) for each in answer.evidence.factors] == [
        ("probability", 0.25)
    ]
    assert answer.evidence.explanation == "one start in four comes"
    assert answer.evidence_unavailable == ""


async def test_failed_and_withheld_decisions_say_why(service: Service) -> None:
    """Each by its own code."""
    failed, withheld = await got(service, "copy-2"), await got(service, "copy-3")

    assert failed.replication.failure_cause == events_pb.FAILURE_CAUSE_SOURCE
    assert failed.replication.withhold_reason == 0
    assert failed.replication.outcome.payoff == pb.PAYOFF_MISSED
    cause = events_pb.WITHHOLD_REASON_CONTROL_GROUP
    assert withheld.replication.withhold_reason == cause
    assert withheld.evidence.explanation == "by lot"


async def test_removal_that_is_not_safe_says_so(service: Service) -> None:
    """Whoever is about to remove looks here first: it is the only whole copy."""
    answer = await got(service, "out-1")

    assert answer.replication.kind == pb.DECISION_KIND_REMOVAL
    assert answer.replication.trigger == 0
    assert answer.unsafe_reason
    assert not answer.progress.HasField("expected_ready_time")
    assert answer.evidence.explanation == "unused 31 days"


async def test_log_out_of_reach_leaves_the_rest_of_the_answer(
    service: Service,
) -> None:
    """And it says what is missing."""
    gone = LogUnavailableError("no broker")

    with patch.object(service.stage.log, "message", side_effect=gone):
        answer = await got(service, "copy-1")

    assert answer.replication.outcome.payoff == pb.PAYOFF_PAID_OFF
    assert not answer.HasField("evidence")
    assert answer.evidence_unavailable == "the log is out of reach"


@pytest.mark.parametrize("method", ["trimmed", "other", "broken"])
async def test_evidence_that_is_gone_is_said_to_be(
    service: Service, method: str
) -> None:
    """Trimmed, another message in its place, or the whole log another one."""
    view, log = service.stage.view, service.stage.log
    other = await log.message(1)
    expected = {
        "trimmed": "the log no longer holds the decision",
        "other": "the log holds something else where the decision was",
        "broken": "the log is not the one that the service's state was folded from",
    }

    if method == "broken":
        view.broken("it was replaced")
    found = None if method == "trimmed" else other
    with patch.object(log, "message", return_value=found):
        answer = await got(service, "copy-1")

    assert answer.evidence_unavailable == expected[method]


async def test_unknown_decision_is_not_found(service: Service) -> None:
    """By the reason that says so."""
    request = pb.GetReplicationRequest(replication_id="copy-9")

    found = await refused(service.replication.GetReplication(request))

    assert found.info.reason == "REPLICATION_UNKNOWN"
    assert found.info.metadata["replication_id"] == "copy-9"


async def test_verdict_is_of_the_moment_of_the_answer(service: Service) -> None:
    """What nobody used for 30 days was in vain."""
    await service.stage.happen(planned("copy-4", "layer", FRA, trigger=9))
    done = ReplicationCompleted(subject("copy-4", "layer", FRA), 1_000)
    await service.stage.happen(event(FRA, done))
    before = await got(service, "copy-4")

    service.stage.now_ns += 31 * DAY_NS
    after = await got(service, "copy-4")

    assert before.replication.outcome.payoff == pb.PAYOFF_PENDING
    assert after.replication.outcome.payoff == pb.PAYOFF_WASTED


async def explained(service: Service, machine: str) -> pb.ExplainStartResponse:
    """Return why a machine started as it did."""
    request = pb.ExplainStartRequest(machine_id=machine)
    response: pb.ExplainStartResponse = await service.replication.ExplainStart(request)
    return response


async def test_start_far_from_its_image_is_explained_by_its_decision(
    service: Service,
) -> None:
    """The copy failed, since its source could not be reached."""
    answer = await explained(service, "m2")

    assert answer.outcome == pb.START_OUTCOME_SOURCE_UNHEALTHY
    assert (answer.repository, answer.digest, answer.region) == (WEB, A, FRA)
    assert answer.replication.replication_id == "copy-2"
    assert answer.image_wait.ToSeconds() == 4
    assert answer.running
    assert "its source could not be reached" in answer.explanation
    assert "waited 4.00 s" in answer.explanation


async def test_start_beside_its_image_needs_no_decision(service: Service) -> None:
    """It was there."""
    answer = await explained(service, "m1")

    assert answer.outcome == pb.START_OUTCOME_LOCAL
    assert not answer.HasField("replication")


async def test_machine_that_nobody_started_is_not_found(service: Service) -> None:
    """By the reason that says so."""
    found = await refused(
        service.replication.ExplainStart(pb.ExplainStartRequest(machine_id="m9"))
    )

    assert found.info.reason == "MACHINE_UNKNOWN"


async def test_removal_that_was_carried_out_explains_the_start_after_it(
    service: Service,
) -> None:
    """It had been there, and was removed."""
    out = Identifier("out-2")
    removal = EvictionPlanned(out, WEB, A, SYD, Text("unused"), start_regions=(SYD,))
    await service.stage.happen(
        event(SYD, removal),
        event(SYD, ContentEvicted(WEB, (A,), eviction_id=out)),
        event(SYD, start("m3", CacheKind.REMOTE, 5.0)),
    )

    answer = await explained(service, "m3")
    decision = await got(service, "out-2")

    assert answer.outcome == pb.START_OUTCOME_EVICTED
    assert answer.replication.replication_id == "out-2"
    assert decision.replication.outcome.payoff == pb.PAYOFF_REGRETTED
