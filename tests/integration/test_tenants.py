"""Tenants: whatever they ask, others might as well not be there."""

import asyncio
from collections.abc import AsyncIterator
from statistics import median
from time import perf_counter_ns
from typing import Any

import grpc
import pytest

from placement.client.errors import call_error
from placement.runtime.limits import LimitSettings
from placement.v1 import placement_service_pb2 as places
from placement.v1 import replication_service_pb2 as copies
from tests.authorized import Guarded, guarded
from tests.builders import AMS, FRA, digest, pushed
from tests.certificates import Papers
from tests.figures import tell
from tests.two_worlds import Question, others, own, questions

TENANT = {
    "ReportService/GetReport": "tenant/acme/analyst",
    "PlacementService/GetPlacement": "tenant/acme/analyst",
}
SCHEDULER = "tenant/acme/scheduler"
PATIENCE_S = 20.0
RESPONSES_READ = 32
Answer = tuple[Any, ...]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates of one authority."""
    return Papers(tmp_path_factory.mktemp("papers"))


async def world(papers: Papers, *, here: bool) -> AsyncIterator[Guarded]:
    """Give a service with what the tenant has, and others."""
    async with guarded(papers) as served:
        mine, theirs = own(), others(here=here)
        await served.stage.happen(*mine[:3], *theirs, *mine[3:])
        yield served


async def test_watches_of_a_tenant_are_counted_together(papers: Papers) -> None:
    """Whatever role its certificates name; another tenant has its own."""
    limits = LimitSettings(tenant_watches=1)
    name = "/placement.v1.PlacementService/WatchPlacements"
    async with guarded(papers, limits=limits) as served:
        found = []
        for path in (SCHEDULER, "tenant/acme/analyst", "tenant/other/scheduler"):
            opened: Any = served.kept_channel(path)
            call = opened.unary_stream(name)(b"", timeout=PATIENCE_S)
            try:
                found.append("" if await call.read() is not grpc.aio.EOF else "ended")
            except grpc.aio.AioRpcError as error:
                found.append(call_error(error).reason)

    assert found == ["", "CALLER_LIMIT", ""]


@pytest.fixture
async def inhabited(papers: Papers) -> AsyncIterator[Guarded]:
    """A world where others have what is asked for."""
    async for served in world(papers, here=True):
        yield served


@pytest.fixture
async def empty(papers: Papers) -> AsyncIterator[Guarded]:
    """A world where they do not."""
    async for served in world(papers, here=False):
        yield served


async def answer(service: Guarded, path: str, question: Question) -> Answer:
    """Return all that a caller is told, byte for byte."""
    method, request = question
    name = f"/placement.v1.{method}"
    body: bytes = request.SerializeToString()
    responses: list[bytes] = []
    opened: Any = service.kept_channel(path)
    if "Watch" not in method:
        call = opened.unary_unary(name)(body, timeout=PATIENCE_S)
        try:
            return ("answered", await call)
        except grpc.aio.AioRpcError as error:
            return refusal(error)
    call = opened.unary_stream(name)(body, timeout=PATIENCE_S)
    try:
        while len(responses) < RESPONSES_READ:
            response = await call.read()
            responses.append(response)
            if response is grpc.aio.EOF or told_all(method, response):
                break
    except grpc.aio.AioRpcError as error:
        return (*responses, *refusal(error))
    finally:
        call.cancel()
    if method.endswith("WatchReplication"):
        return ("answered", *responses)
    return ("answered", *items_of(responses))


def items_of(responses: list[bytes]) -> list[bytes]:
    """Return what was told, however it was cut into responses."""
    told = [places.WatchPlacementsResponse.FromString(each) for each in responses]
    return [item.SerializeToString() for each in told for item in each.items]


def refusal(error: grpc.aio.AioRpcError) -> Answer:
    """Return all that an error says."""
    return (error.code(), error.details(), tuple(error.trailing_metadata()))


def told_all(method: str, response: bytes) -> bool:
    """Say whether nothing more is told until something happens."""
    if method.endswith("WatchReplication"):
        return True
    told = places.WatchPlacementsResponse.FromString(response)
    return any(item.HasField("bookmark") for item in told.items)


async def test_tenant_cannot_tell_whether_others_are_there(
    inhabited: Guarded, empty: Guarded
) -> None:
    """Every answer, refusal and stream is the same, to the byte, in both worlds.

    So what is unknown and what is forbidden look the same as well.
    """
    asked = 0
    for question in questions():
        path = TENANT.get(question[0], SCHEDULER)
        one = await answer(inhabited, path, question)
        other = await answer(empty, path, question)
        assert one == other, question
        assert one[0] is not grpc.StatusCode.PERMISSION_DENIED, question
        asked += 1
    tell("two worlds", questions=asked, told_apart=0)


async def test_others_can_tell_the_worlds_apart(
    inhabited: Guarded, empty: Guarded
) -> None:
    """The test above would notice: of these questions a platform's scheduler learns."""
    apart = 0
    for question in questions():
        if question[0] == "ReportService/GetReport":
            continue
        one = await answer(inhabited, "scheduler", question)
        apart += one != await answer(empty, "scheduler", question)
    assert apart > 50


async def test_tenant_sees_what_is_its_own(inhabited: Guarded) -> None:
    """Its image, copy, machine and watch are told, as to anybody."""
    named: Any = {"repository": "acme/web", "reference": "v1"}
    found = await answer(
        inhabited,
        SCHEDULER,
        ("PlacementService/GetPlacement", places.GetPlacementRequest(**named)),
    )
    assert found[0] == "answered"
    listed = await answer(
        inhabited,
        SCHEDULER,
        ("ReplicationService/ListReplications", copies.ListReplicationsRequest()),
    )
    page = copies.ListReplicationsResponse.FromString(listed[1])
    assert [each.replication_id for each in page.replications] == ["copy-2", "copy-1"]
    told = await answer(
        inhabited,
        SCHEDULER,
        ("PlacementService/WatchPlacements", places.WatchPlacementsRequest()),
    )
    items = [places.WatchItem.FromString(item) for item in told[1:]]
    names = {item.placement.repository for item in items if item.HasField("placement")}
    assert names == {"acme/web"}


async def test_kept_answer_is_for_whoever_may_see_it(inhabited: Guarded) -> None:
    """One who sees everything asks first, and keeps it: the tenant is told its own."""
    request = places.RankSourcesRequest(
        repository="globex/shop", digest=digest("secret"), region=FRA
    )
    question = ("PlacementService/RankSources", request)
    for _ in range(3):
        all_seen = await answer(inhabited, "region/fra/node", question)
        own_seen = await answer(inhabited, SCHEDULER, question)
    sources = [
        len(places.RankSourcesResponse.FromString(seen[1]).sources)
        for seen in (all_seen, own_seen)
    ]

    assert sources == [1, 0]


async def test_change_of_others_is_not_told(inhabited: Guarded) -> None:
    """A watcher hears of its own next push, and of nothing in between."""
    async with inhabited.channel(SCHEDULER) as channel:
        method: Any = channel.unary_stream(
            "/placement.v1.PlacementService/WatchPlacements",
            places.WatchPlacementsRequest.SerializeToString,
            places.WatchPlacementsResponse.FromString,
        )
        stream = method(places.WatchPlacementsRequest(include_tags=True))
        while not any(i.HasField("bookmark") for i in (await stream.read()).items):
            pass
        await inhabited.stage.happen(*others(here=True)[:4])
        await inhabited.stage.happen(pushed("new", AMS))
        seen = set()
        async with asyncio.timeout(PATIENCE_S):
            while "acme/web" not in seen:
                for item in (await stream.read()).items:
                    if item.HasField("placement"):
                        seen.add(item.placement.repository)
                    if item.HasField("tag"):
                        seen.add(item.tag.repository)

    assert seen == {"acme/web"}


@pytest.mark.long
async def test_forbidden_takes_as_long_as_unknown(inhabited: Guarded) -> None:
    """Medians of many calls in turn, within a tenth of each other."""
    pairs = {
        "repository": ("globex/shop", "globex/none", "v1"),
        "digest": ("acme/web", "acme/web", ""),
    }
    async with inhabited.channel(SCHEDULER) as channel:
        method: Any = channel.unary_unary("/placement.v1.PlacementService/GetPlacement")
        for what, (forbidden, unknown, tag) in pairs.items():
            bodies = [
                places.GetPlacementRequest(
                    repository=repository, reference=tag or digest(name)
                ).SerializeToString()
                for repository, name in ((forbidden, "secret"), (unknown, "none"))
            ]
            times: list[list[int]] = [[], []]
            for turn in range(6_000):
                which = turn % 2
                began = perf_counter_ns()
                with pytest.raises(grpc.aio.AioRpcError):
                    await method(bodies[which])
                times[which].append(perf_counter_ns() - began)
            ratio = median(times[0]) / median(times[1])
            tell(f"forbidden {what} against unknown", ratio=ratio)
            assert 0.9 < ratio < 1.1
