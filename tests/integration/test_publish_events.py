"""PublishEvents over a real connection: what became of each event, one by one."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import grpc
import pytest

from placement.core.event import ContentPulled, Event, StartsRequested
from placement.core.tables.table import ABSENT
from placement.core.topology import Region
from placement.runtime.tokens import parse_token
from placement.v1 import basis_pb2, events_pb2
from placement.v1 import event_service_pb2 as pb
from placement.v1 import placement_service_pb2 as placement_pb
from placement.wire.events import EVENT_BYTES_MAX, encode_event
from placement.wire.requests import LIMITS
from tests.builders import (
    DAY_NS,
    FRA,
    IAD,
    LATEST,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    event,
    pulled,
    pushed,
)
from tests.serving import EPOCH, Service, refused, serving

OLD_NS = START_NS - DAY_NS
STORED, DUPLICATE, REJECTED = (
    pb.PUBLISH_OUTCOME_STORED,
    pb.PUBLISH_OUTCOME_DUPLICATE,
    pb.PUBLISH_OUTCOME_REJECTED,
)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that has folded its empty log."""
    async with serving() as found:
        await found.stage.fold_all()
        yield found


def named(event_id: str, event: Event) -> events_pb2.Event:
    """Return *event* as a client sends it."""
    proto = encode_event(event)
    proto.event_id = event_id
    return proto


async def publish(
    service: Service, *events: events_pb2.Event
) -> pb.PublishEventsResponse:
    """Publish *events* and return the whole answer."""
    request = pb.PublishEventsRequest(events=events)
    response = await service.events.PublishEvents(request)
    assert isinstance(response, pb.PublishEventsResponse)
    return response


async def test_events_are_stored_and_the_token_shows_them(service: Service) -> None:
    """Of any regions; asked for with the token, all of it is there."""
    answer = await publish(
        service,
        named("1", pushed("a", IAD, tag=LATEST)),
        named("2", pulled("a", FRA)),
    )
    await service.stage.fold_all()

    assert [(each.event_id, each.outcome) for each in answer.results] == [
        ("1", STORED),
        ("2", STORED),
    ]
    wanted = basis_pb2.Consistency(token=answer.token, fail=True)
    asked = placement_pb.GetPlacementRequest(
        repository=WEB, reference=LATEST, consistency=wanted
    )
    placement = (await service.placement.GetPlacement(asked)).placement
    assert placement.content.digest == A
    assert [demand.region for demand in placement.demands] == [FRA]


async def test_repeated_event_is_a_duplicate_with_a_token(service: Service) -> None:
    """Before and after it is folded, and within one request: safe to repeat."""
    event = named("1", pushed("a", IAD))

    first = await publish(service, event)
    unfolded = await publish(service, event)
    await service.stage.fold_all()
    folded = await publish(service, event, event)

    assert [each.outcome for each in first.results] == [STORED]
    assert [each.outcome for each in unfolded.results] == [DUPLICATE]
    assert [each.outcome for each in folded.results] == [DUPLICATE, DUPLICATE]
    tokens = [parse_token(answer.token) for answer in (first, unfolded, folded)]
    assert {(token.epoch, token.sequence) for token in tokens} == {(EPOCH, 1)}
    view = service.stage.view
    assert all([await view.wait_for(answer.token, 0) for answer in (first, folded)])


def _without_fact() -> events_pb2.Event:
    return events_pb2.Event(event_id="1", region=IAD)


def _with_short_digest() -> events_pb2.Event:
    event = named("1", pushed("a", IAD))
    event.content_pushed.content.digest = "sha256:12"
    return event


def _of_tomorrow() -> events_pb2.Event:
    return named("1", pushed("a", IAD, at_ns=START_NS + DAY_NS + 1))


def _too_large() -> events_pb2.Event:
    event = named("1", pushed("a", IAD))
    event.content_pushed.tag = "x" * EVENT_BYTES_MAX
    return event


def _from_nowhere() -> events_pb2.Event:
    event = named("1", pushed("a", IAD))
    event.region = "Nowhere!"
    return event


@pytest.mark.parametrize(
    ("make", "reason", "field"),
    [
        (_without_fact, "FACT_UNKNOWN", "fact"),
        (_with_short_digest, "DIGEST_INVALID", "content_pushed.content.digest"),
        (_of_tomorrow, "TIME_INVALID", "occur_time"),
        (_too_large, "LIMIT_INVALID", "event"),
        (_from_nowhere, "REGION_INVALID", "region"),
    ],
)
async def test_bad_event_is_rejected_and_stops_no_other(
    service: Service,
    make: Callable[[], events_pb2.Event],
    reason: str,
    field: str,
) -> None:
    """It is told why, with the field; its neighbours are stored."""
    good = named("2", pushed("b", IAD))

    answer = await publish(service, make(), good)

    bad, stored = answer.results
    assert (bad.event_id, bad.outcome) == ("1", REJECTED)
    assert (bad.reason, bad.field) == (reason, field)
    assert bad.message.startswith(f"{field}: ")
    assert stored == pb.PublishResult(event_id="2", outcome=STORED, token=answer.token)
    assert answer.token


async def test_event_of_less_than_a_day_ahead_is_stored(service: Service) -> None:
    """Clocks differ; the log's time is what counts in the end."""
    ahead = named("1", pushed("a", IAD, at_ns=START_NS + DAY_NS))
    old = named("2", pushed("b", IAD, at_ns=OLD_NS - 400 * DAY_NS))

    answer = await publish(service, ahead, old)

    assert [each.outcome for each in answer.results] == [STORED, STORED]


async def test_nothing_stored_has_no_token(service: Service) -> None:
    """There is nothing to wait for."""
    answer = await publish(service, _without_fact())

    assert [each.outcome for each in answer.results] == [REJECTED]
    assert answer.token == ""
    assert (await service.stage.log.status()).last_sequence == 0


async def test_long_id_is_rejected_and_shown_in_part(service: Service) -> None:
    """128 characters are an id; of more, the first 128 are sent back."""
    full = named("i" * 128, pushed("a", IAD))
    longer = named("i" * 129, pushed("b", IAD))

    answer = await publish(service, full, longer)

    assert [each.outcome for each in answer.results] == [STORED, REJECTED]
    assert answer.results[1].field == "event_id"
    assert answer.results[1].event_id == "i" * 128


async def test_number_of_events_is_limited(service: Service) -> None:
    """512 are stored; none, or one more, is refused as a whole."""
    most = LIMITS["events"]
    events = [named(str(number), pushed("a", IAD)) for number in range(most + 1)]

    answer = await publish(service, *events[:most])
    over = await refused(
        service.events.PublishEvents(pb.PublishEventsRequest(events=events))
    )
    none = await refused(service.events.PublishEvents(pb.PublishEventsRequest()))

    assert {each.outcome for each in answer.results} == {STORED}
    assert (over.info.reason, over.field) == ("LIMIT_INVALID", "events")
    assert (none.info.reason, none.field) == ("LIMIT_INVALID", "events")


async def test_log_out_of_reach_is_unavailable_and_says_when_to_retry(
    service: Service,
) -> None:
    """In the table's words: those of the adapter may name hosts and files."""
    service.stage.log.stop()

    refusal = await refused(
        service.events.PublishEvents(
            pb.PublishEventsRequest(events=[named("1", pushed("a", IAD))])
        )
    )

    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.info.reason == "LOG_UNAVAILABLE"
    assert refusal.message == "the log cannot be reached"
    assert refusal.retry_ms == 1_000


async def test_full_log_is_resource_exhausted(service: Service) -> None:
    """Nothing is dropped to make room."""
    service.stage.log._messages_max = 0  # noqa: SLF001 - a log that is full already

    refusal = await refused(
        service.events.PublishEvents(
            pb.PublishEventsRequest(events=[named("1", pushed("a", IAD))])
        )
    )

    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal.info.reason == "LOG_FULL"
    assert refusal.retry_ms == 30_000


async def test_queries_go_on_while_the_log_is_out_of_reach(service: Service) -> None:
    """Serving depends on nothing but memory; the answer says STALE."""
    await service.stage.happen(pushed("a", IAD, tag=LATEST))
    service.stage.log.stop()
    service.stage.now_ns += 60 * SECOND_NS
    asked = placement_pb.ResolveReferenceRequest(repository=WEB, reference=LATEST)

    answer = await service.placement.ResolveReference(asked)

    assert answer.content.digest == A
    assert answer.basis.state == basis_pb2.SERVING_STATE_STALE


async def test_event_that_names_a_region_of_no_catalogue_is_rejected_by_itself(
    service: Service,
) -> None:
    """Its own, a user's, a source's or one that starts: none takes a place for good."""
    nowhere = Region("atlantis")
    pull = pulled("a", FRA)
    assert isinstance(pull.fact, ContentPulled)
    bad = [
        pulled("a", nowhere),
        replace(pull, fact=replace(pull.fact, client_region=nowhere)),
        replace(pull, fact=replace(pull.fact, source_region=nowhere)),
        event(FRA, StartsRequested(WEB, LATEST, (FRA, nowhere))),
    ]
    told = [named(f"bad-{number}", each) for number, each in enumerate(bad)]

    answer = await publish(service, *told, named("good", pushed("a", FRA)))

    *refused_, stored = answer.results
    assert stored.outcome == STORED
    assert [each.outcome for each in refused_] == [REJECTED] * len(bad)
    assert {each.reason for each in refused_} == {"REGION_UNKNOWN"}
    await service.stage.fold_all()
    assert service.stage.view.state.regions.find(b"atlantis") == ABSENT
