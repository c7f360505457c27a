"""PlacementClient against the real server: every method, errors, repeats, deadlines."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import grpc
import pytest

from placement.api.server import ServerSettings
from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import InputError
from placement.core.event import Event
from placement.runtime.tokens import make_token
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import events_pb2
from placement.wire.events import encode_event
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LATEST,
    SYD,
    WEB,
    A,
    B,
    pushed,
    replicated,
    started,
)
from tests.serving import EPOCH, Service, serving


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows one image in three regions."""
    async with serving() as found:
        await found.stage.happen(
            pushed("a", IAD, tag=LATEST),
            replicated("a", FRA),
            replicated("a", AMS),
            started("a", SYD),
        )
        yield found


@pytest.fixture
async def client(service: Service) -> AsyncIterator[PlacementClient]:
    """A client of that service."""
    async with PlacementClient(service.target) as found:
        yield found


def named(event_id: str, event: Event) -> events_pb2.Event:
    """Return *event* as a client sends it."""
    proto = encode_event(event)
    proto.event_id = event_id
    return proto


async def test_every_method_gives_its_answer(client: PlacementClient) -> None:
    """The protobuf responses as they are."""
    ranked = await client.rank_sources(WEB, A, AMS, 1)
    batch = await client.batch_rank_sources(WEB, [A, B], AMS)
    resolved = await client.resolve_reference(WEB, LATEST)
    placed = await client.get_placement(WEB, LATEST)
    info = await client.get_service_info(include_fingerprint=True)
    preview = await client.preview_replications(WEB, LATEST, SYD)

    assert [source.region for source in ranked.sources] == [AMS]
    assert [ranking.digest for ranking in batch.rankings] == [A, B]
    assert resolved.content.digest == placed.placement.content.digest == A
    assert len(info.fingerprint) == 32
    assert [copy.target_region for copy in preview.replications] == [SYD]


async def test_replicas_come_one_by_one_over_all_pages(client: PlacementClient) -> None:
    """Pages are the client's business, unless they are asked for."""
    every = [replica.region async for replica in client.list_replicas(page_size=1)]
    in_fra = [replica async for replica in client.list_replicas(FRA, WEB)]
    first = await client.list_replicas_page(page_size=2)
    second = await client.list_replicas_page("", "", 2, first.next_page_token)

    assert every == [AMS, FRA, IAD]
    assert [replica.region for replica in in_fra] == [FRA]
    pages = [*first.replicas, *second.replicas]
    assert [replica.region for replica in pages] == every
    assert second.next_page_token == ""


async def test_what_was_published_is_there_with_its_token(
    service: Service, client: PlacementClient
) -> None:
    """A write, then a read of it, while the fold is still on its way."""
    event = named("1", pushed("b", IAD, API, tag=LATEST))
    published = await client.publish_events([event])
    asked = asyncio.ensure_future(
        client.resolve_reference(API, LATEST, token=published.token, fail=True)
    )
    await asyncio.sleep(0.02)
    await service.stage.fold_all()

    assert (await asked).content.digest == B
    again = await client.publish_events([event])
    assert again.results[0].outcome == event_pb.PUBLISH_OUTCOME_DUPLICATE


async def test_error_has_all_that_a_program_decides_on(client: PlacementClient) -> None:
    """Code, reason, field, remedy, and whether to come again."""
    with pytest.raises(PlacementCallError) as raised:
        await client.rank_sources(WEB, "sha256:12", AMS)

    error = raised.value
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.field) == ("DIGEST_INVALID", "digest")
    assert "sha256:" in error.remedy
    assert not error.retryable
    assert error.message == str(error)
    assert error.metadata["field"] == "digest"


async def test_freshness_is_asked_for_by_name(client: PlacementClient) -> None:
    """A staleness that no service can meet, or a token; never both."""
    fresh = await client.rank_sources(WEB, A, AMS, max_staleness_s=10.0, fail=True)
    with pytest.raises(InputError) as raised:
        await client.rank_sources(WEB, A, AMS, token="t", max_staleness_s=1.0)  # noqa: S106 - no password

    assert fresh.sources
    assert raised.value.field == "max_staleness_s"


async def test_unavailable_is_repeated_until_it_is_there(
    service: Service, client: PlacementClient
) -> None:
    """The log comes back while the call still has time."""
    service.stage.log.stop()
    asked = asyncio.ensure_future(client.publish_events([named("1", pushed("b", IAD))]))
    await asyncio.sleep(0.1)
    assert not asked.done()

    service.stage.log.resume()

    (result,) = (await asked).results
    assert result.outcome == event_pb.PUBLISH_OUTCOME_STORED


async def test_unavailable_to_the_end_is_said_within_the_deadline(
    service: Service,
) -> None:
    """With the service's own reason, not with a deadline that passed."""
    service.stage.log.stop()
    began_s = monotonic()

    async with PlacementClient(service.target, timeout_s=1.0) as client:
        with pytest.raises(PlacementCallError) as raised:
            await client.publish_events([named("1", pushed("b", IAD))])

    assert raised.value.reason == "LOG_UNAVAILABLE"
    assert raised.value.retryable
    assert monotonic() - began_s < 1.5


async def test_state_behind_is_waited_for_beyond_the_services_own_deadline(
    service: Service, client: PlacementClient
) -> None:
    """250 ms pass twice before the fold is there; the caller allowed two seconds."""
    token = make_token(EPOCH, 5)
    asked = asyncio.ensure_future(
        client.resolve_reference(WEB, LATEST, token=token, fail=True)
    )
    await asyncio.sleep(0.4)
    assert not asked.done()

    await service.stage.happen(pushed("b", IAD, tag=LATEST))

    assert (await asked).content.digest == B


async def test_nobody_there_is_unavailable_and_says_what_to_check(
    service: Service,
) -> None:
    """A port that nobody listens on."""
    await service.server.stop(0)

    async with PlacementClient(service.target, timeout_s=0.3) as client:
        with pytest.raises(PlacementCallError) as raised:
            await client.get_service_info()

    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert raised.value.reason == "UNAVAILABLE"
    assert "address" in raised.value.remedy
    assert raised.value.retryable


async def test_service_that_comes_up_later_is_found(service: Service) -> None:
    """A restart is shorter than a deadline."""
    port = int(service.target.rpartition(":")[2])
    await service.server.stop(0)
    async with PlacementClient(service.target, timeout_s=5.0) as client:
        asked = asyncio.ensure_future(client.get_service_info())
        await asyncio.sleep(0.2)
        restarted = service.stage.server(ServerSettings(port=port))
        await restarted.start()

        assert (await asked).version
        await restarted.stop(0)


async def test_cancelled_call_is_cancelled_at_the_service_too(
    service: Service, client: PlacementClient
) -> None:
    """What is abandoned does not go on elsewhere."""
    token = make_token(EPOCH, 99)
    asked = asyncio.ensure_future(client.rank_sources(WEB, A, AMS, token=token))
    await asyncio.sleep(0.05)
    waiters: Any = service.stage.view._waiters  # noqa: SLF001 - nothing else shows it
    assert len(waiters) == 1

    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await asyncio.sleep(0.05)

    assert not waiters
