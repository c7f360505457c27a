"""The gRPC door: how fresh, when the service goes and comes, and what is passed on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from placement.agent.door.door import Door, DoorSettings
from placement.api.server import ServerSettings
from placement.client import LocalPlacements
from placement.core.errors import InputError
from placement.runtime.view import ServingState
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.events import encode_event
from tests.builders import (
    FRA,
    IAD,
    LATEST,
    SECOND_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    B,
    D,
    digest,
    pushed,
    replicated,
    tagged,
)
from tests.doors import PATIENCE_S, OpenDoor, door_of, door_to, image_in_two_regions
from tests.ports import free_port
from tests.serving import LAYERS, Service, Stage, refused

STALE = basis_pb.SERVING_STATE_STALE
LIVE = basis_pb.SERVING_STATE_LIVE
RANK = pb.RankSourcesRequest(repository=WEB, digest=A, region=SYD)
BY_DIGEST = pb.EstimateStartsRequest(
    images=[pb.ImageSelector(repository=WEB, reference=A)]
)
BY_TAG = pb.EstimateStartsRequest(
    images=[pb.ImageSelector(repository=WEB, reference=LATEST)]
)
RESOLVE = pb.ResolveReferenceRequest(repository=WEB, reference=LATEST)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in two regions."""
    async with image_in_two_regions() as found:
        yield found


@pytest.fixture
async def door(service: Service) -> AsyncIterator[OpenDoor]:
    """A door before it."""
    async with door_of(service) as found:
        yield found


async def gone(service: Service, door: OpenDoor) -> None:
    """End the service, and wait until the door knows."""
    await service.server.stop(0)
    await door.until(lambda: door.local.basis.state is ServingState.STALE)


def wanted(request: Any, **consistency: Any) -> Any:  # noqa: ANN401 - any request
    """Return *request* with a freshness."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.consistency.CopyFrom(basis_pb.Consistency(**consistency))
    return copy


async def test_calls_are_counted_by_how_they_ended(door: OpenDoor) -> None:
    """Answered here, refused here; what is no method of ours has no series."""
    await door.placement.RankSources(RANK)
    nonsense = pb.RankSourcesRequest(repository="NO", digest=A, region=SYD)
    with suppress(grpc.aio.AioRpcError):
        await door.placement.RankSources(nonsense)
    ask: Any = door.channel.unary_unary("/placement.v1.Anything/AtAll")
    with suppress(grpc.aio.AioRpcError):
        await ask(b"")

    counted = {
        name: {code: took.counts[-1] for code, took in calls.took.items()}
        for name, calls in door.door.calls
    }
    invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert counted["/placement.v1.PlacementService/RankSources"] == {
        0: 1,
        13: 0,
        invalid: 1,
    }
    assert "/placement.v1.Anything/AtAll" not in counted


async def test_answers_go_on_when_the_service_is_gone(
    service: Service, door: OpenDoor
) -> None:
    """Marked STALE, with their age; and LIVE again once the service is back."""
    port = int(service.target.rpartition(":")[2])
    before = await door.placement.RankSources(RANK)
    await gone(service, door)
    service.stage.now_ns += 30 * SECOND_NS

    ranked = await door.placement.RankSources(RANK)
    estimated = await door.placement.EstimateStarts(BY_DIGEST)

    assert ranked.sources[0].region == before.sources[0].region
    assert estimated.estimates[0].region == IAD
    for answer in (ranked, estimated):
        assert answer.basis.state == STALE
        assert answer.basis.staleness.seconds >= 30

    service.stage.view.caught_up()
    restarted = service.stage.server(ServerSettings(port=port))
    await restarted.start()
    await door.until(lambda: door.local.basis.live)
    assert (await door.placement.RankSources(RANK)).basis.state == LIVE
    await restarted.stop(0)


async def test_door_is_there_before_its_service() -> None:
    """It names the fallback, denies nothing, and says that it knows nothing yet."""
    port = free_port()
    target = f"127.0.0.1:{port}"
    stage = Stage()
    await stage.happen(pushed("a", IAD, references=LAYERS, tag=LATEST))
    local = LocalPlacements.follow(target, TOPOLOGY, clock=lambda: stage.now_ns)
    async with local, door_to(local, target) as door:
        ranked = await door.placement.RankSources(RANK)
        assert (len(ranked.sources), ranked.fallback.region) == (0, IAD)
        assert ranked.basis.state == basis_pb.SERVING_STATE_REBUILDING
        for request in (BY_DIGEST, BY_TAG):
            found = await refused(door.placement.EstimateStarts(request))
            assert found.info.reason == "STATE_BEHIND"
        assert (await door.http.get("/healthz")).status_code == 503

        server = stage.server(ServerSettings(port=port))
        await server.start()
        await local.wait_live(PATIENCE_S)
        assert (await door.placement.RankSources(RANK)).sources[0].region == IAD
        assert (await door.http.get("/healthz")).status_code == 200
        await server.stop(0)


async def test_tag_is_never_answered_from_stale_state(
    service: Service, door: OpenDoor
) -> None:
    """It may have moved: neither resolved nor estimated for."""
    await gone(service, door)

    for call in (
        door.placement.ResolveReference(RESOLVE),
        door.placement.EstimateStarts(BY_TAG),
    ):
        found = await refused(call)
        assert found.code is grpc.StatusCode.UNAVAILABLE
        assert found.info.reason == "STATE_BEHIND"
        assert found.retry_ms is not None


async def test_tag_is_asked_of_the_service_while_only_the_replica_is_stale(
    service: Service, door: OpenDoor
) -> None:
    """As when its watch is silent: the service answers, and says that it is LIVE."""
    service.stage.now_ns += 16 * SECOND_NS
    service.stage.view.caught_up()
    assert door.local.basis.state is ServingState.STALE

    answer = await door.placement.ResolveReference(RESOLVE)

    assert answer.content.digest == A
    assert answer.content.media_type
    assert answer.basis.state == LIVE


async def test_token_is_reached_or_the_service_asked(
    service: Service, door: OpenDoor
) -> None:
    """Who holds a token of a write sees it through the door."""
    for number in range(20):
        name = f"image {number}"
        token = await service.stage.happen(
            pushed(name, IAD), tagged("latest", name, IAD)
        )

        answer = await door.placement.ResolveReference(wanted(RESOLVE, token=token))

        assert answer.content.digest == digest(name)
        assert answer.basis.state == LIVE


async def test_token_of_the_replica_is_the_service_s(
    service: Service, door: OpenDoor
) -> None:
    """What the door's basis gives can be passed to either of them."""
    token = (await door.placement.RankSources(RANK)).basis.token

    assert token == service.stage.view.basis().token
    for stub in (door.placement, service.placement):
        answer = await stub.RankSources(wanted(RANK, token=token, fail=True))
        assert answer.basis.state == LIVE


async def test_freshness_that_nobody_reaches_is_told(
    service: Service, door: OpenDoor
) -> None:
    """Marked STALE, or failed where that is wanted; with and without the service."""
    unreached = "v1.memory-1.9999"
    for _ in range(2):
        answer = await door.placement.RankSources(wanted(RANK, token=unreached))
        assert answer.basis.state == STALE
        found = await refused(
            door.placement.RankSources(wanted(RANK, token=unreached, fail=True))
        )
        assert found.info.reason == "STATE_BEHIND"
        await gone(service, door)


async def test_max_staleness_is_held(service: Service, door: OpenDoor) -> None:
    """The replica answers within it, the service beyond, and nobody when it is gone."""
    request = wanted(RANK, max_staleness={"seconds": 2}, fail=True)
    assert (await door.placement.RankSources(request)).basis.state == LIVE
    service.stage.now_ns += 3 * SECOND_NS
    service.stage.view.caught_up()

    assert (await door.placement.RankSources(request)).basis.staleness.seconds == 0

    await gone(service, door)
    found = await refused(door.placement.RankSources(request))
    assert found.info.reason == "STATE_BEHIND"


async def test_bad_token_is_refused_alike(service: Service, door: OpenDoor) -> None:
    """By field and reason."""
    request = wanted(RANK, token="nonsense")  # noqa: S106 - it is no secret

    mine = await refused(door.placement.RankSources(request))
    its = await refused(service.placement.RankSources(request))

    assert mine == its
    assert mine.field == "consistency.token"


async def test_thousands_are_ranked_in_columns(
    service: Service, door: OpenDoor
) -> None:
    """The same sources and durations; the columns' regions may be others."""
    names = [A, B, D, digest("layer"), digest("config")] * 40
    request = pb.BatchRankSourcesPackedRequest(
        repository=WEB,
        region=SYD,
        sha256_digests=b"".join(bytes.fromhex(name[7:]) for name in names),
    )

    mine = await door.placement.BatchRankSourcesPacked(request)
    its = await service.placement.BatchRankSourcesPacked(request)

    assert spread(mine) == spread(its)
    assert (mine.fallback, mine.basis) == (its.fallback, its.basis)


def spread(answer: pb.BatchRankSourcesPackedResponse) -> Any:  # noqa: ANN401 - nested lists
    """Return the counts, and of each source its region and durations."""
    regions = [answer.regions[position].region for position in answer.source_regions]
    sources = list(zip(regions, answer.p50_ns, answer.p90_ns, strict=True))
    return list(answer.source_counts), sources


async def test_info_is_the_service_s_while_it_is_there(
    service: Service, door: OpenDoor
) -> None:
    """And afterwards what the replica knows: the catalogue, without counts."""
    request = pb.GetServiceInfoRequest(include_fingerprint=True)
    its = await service.placement.GetServiceInfo(request)
    assert await door.placement.GetServiceInfo(request) == its
    await gone(service, door)

    mine = await door.placement.GetServiceInfo(request)

    assert (mine.regions, mine.limits) == (its.regions, its.limits)
    assert (mine.version, mine.home_region) == (its.version, its.home_region)
    assert not mine.HasField("pending_message_count")
    assert mine.basis.state == STALE


async def test_all_else_is_passed_on(service: Service, door: OpenDoor) -> None:
    """Answers, errors with their details, and writes."""
    where = pb.GetPlacementRequest(repository=WEB, reference=LATEST)
    assert await door.placement.GetPlacement(
        where
    ) == await service.placement.GetPlacement(where)
    where.reference = "v9"
    assert await refused(door.placement.GetPlacement(where)) == await refused(
        service.placement.GetPlacement(where)
    )
    event = encode_event(pushed("d", SYD))
    event.event_id = "pushed-d"
    answer = await door.events.PublishEvents(
        event_pb.PublishEventsRequest(events=[event])
    )
    await service.stage.fold_all()

    request = pb.RankSourcesRequest(repository=WEB, digest=D, region=SYD)
    request.consistency.token = answer.token
    assert (await door.placement.RankSources(request)).sources[0].region == SYD


async def test_what_only_the_service_can_answer_fails_without_it(
    service: Service, door: OpenDoor
) -> None:
    """With a reason, a remedy, and when to come again; streams, too."""
    await gone(service, door)

    where = pb.GetPlacementRequest(repository=WEB, reference=A)
    found = await refused(door.placement.GetPlacement(where))
    assert found.code is grpc.StatusCode.UNAVAILABLE
    assert found.info.reason == "SERVICE_UNREACHABLE"
    assert found.retry_ms is not None
    watch = door.placement.WatchPlacements(pb.WatchPlacementsRequest())
    assert (await refused(anext(aiter(watch)))).info.reason == "SERVICE_UNREACHABLE"


async def test_stream_is_passed_on_until_who_reads_leaves(
    service: Service, door: OpenDoor
) -> None:
    """A replica of the door itself is as good; and the service learns who left."""
    target = f"127.0.0.1:{door.ports['agent.door.listen']}"
    async with await LocalPlacements.start(
        target, clock=lambda: service.stage.now_ns
    ) as second:
        assert second.holds(WEB, A, FRA)
        assert watch_count(service) == 2

        await service.stage.happen(replicated("a", SYD))
        async with asyncio.timeout(PATIENCE_S):
            while not second.holds(WEB, A, SYD):
                await second.changed()
    async with asyncio.timeout(PATIENCE_S):
        while watch_count(service) > 1:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)


def watch_count(service: Service) -> int:
    """Return how many watch the service now."""
    return service.server._hub.open_count  # noqa: SLF001 - nothing else tells


async def test_method_of_nobody_is_unimplemented(door: OpenDoor) -> None:
    """Of another API here, and of ours by the service."""
    for path in ("/other.Service/Call", "/placement.v1.PlacementService/Nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await in_bytes(door.channel, path, b"")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_bytes_that_are_no_request_are_refused_alike(
    service: Service, door: OpenDoor
) -> None:
    """As INPUT_INVALID."""
    path = "/placement.v1.PlacementService/RankSources"
    mine = await refused(in_bytes(door.channel, path, b"\xff\xff"))

    assert mine == await refused(in_bytes(service.channel, path, b"\xff\xff"))


async def in_bytes(channel: grpc.aio.Channel, path: str, body: bytes) -> bytes:
    """Call a method with a request that is written already."""
    method: Any = channel.unary_unary(path)
    return bytes(await method(body))


async def test_deadline_is_the_caller_s(service: Service, door: OpenDoor) -> None:
    """A call that is passed on ends at the service when it ends here."""
    watch = door.placement.WatchPlacements(pb.WatchPlacementsRequest(), timeout=0.5)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in watch:
            pass

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(PATIENCE_S):
        while watch_count(service) > 1:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)


async def test_health_and_reflection_are_served(door: OpenDoor) -> None:
    """As by the service."""
    channel: Any = door.channel
    health: Any = health_pb2_grpc.HealthStub(channel)
    request: Any = health_pb2.HealthCheckRequest()
    answer = await health.Check(request)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([request])):
        names = {one.name for one in response.list_services_response.service}
        assert "placement.v1.PlacementService" in names


@pytest.mark.parametrize("key", ["listen", "http_listen"])
async def test_other_machines_cannot_reach_a_door(service: Service, key: str) -> None:
    """It has no lock, and asks as the agent."""
    async with await LocalPlacements.start(service.target) as local:
        with pytest.raises(InputError) as raised:
            Door(DoorSettings(**{key: ("0.0.0.0", 0)}), local, service.target)  # noqa: S104 - that it is refused

    assert raised.value.field == f"agent.door.{key}"


@pytest.mark.parametrize("key", ["listen", "http_listen"])
async def test_address_that_is_taken_is_named(
    service: Service, door: OpenDoor, key: str
) -> None:
    """By its key."""
    taken = ("127.0.0.1", door.ports[f"agent.door.{key}"])
    settings = DoorSettings(**{key: taken})
    with pytest.raises(InputError) as raised:
        await Door(settings, door.local, service.target).run()

    assert raised.value.field == f"agent.door.{key}"
