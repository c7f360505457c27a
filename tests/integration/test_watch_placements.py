"""WatchPlacements over a real connection: the stream, its limits, its ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Self
from unittest.mock import patch

import grpc
import pytest
from structlog.testing import capture_logs

from placement.api.server import ServerSettings
from placement.client import PlacementCallError, PlacementClient
from placement.core.event import ContentEvicted, TagMoved
from placement.core.fold import fold
from placement.core.state import State
from placement.runtime.watcher import WatchSettings
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.watch_answers import WATCH_RESPONSE_BYTES_MAX
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LATEST,
    WEB,
    A,
    B,
    event,
    message,
    pushed,
    replicated,
)
from tests.serving import Service, refused, serving

PATIENCE_S = 10.0
NARROW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16))
"""A client that takes little ahead of what is read."""


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in two regions and another one in one."""
    async with serving() as found:
        await found.stage.happen(
            pushed("a", IAD, tag=LATEST), replicated("a", FRA), pushed("b", IAD, API)
        )
        yield found


class Watch:
    """One watch of the plain stub, read item by item."""

    def __init__(self, service: Service, **request: Any) -> None:  # noqa: ANN401 - fields
        """Begin to watch."""
        asked = pb.WatchPlacementsRequest(**request)
        self.call: Any = service.placement.WatchPlacements(asked)
        self._items: list[pb.WatchItem] = []

    async def next(self) -> pb.WatchItem:
        """Return the next item; raises EOFError where the stream ends."""
        while not self._items:
            async with asyncio.timeout(PATIENCE_S):
                response = await self.call.read()
            if response is grpc.aio.EOF:
                raise EOFError
            self._items.extend(response.items)
        return self._items.pop(0)

    async def until(self, kind: str) -> list[pb.WatchItem]:
        """Return the items up to the first one of *kind*, and that one."""
        found = [await self.next()]
        while found[-1].WhichOneof("item") != kind:
            found.append(await self.next())
        return found


def kinds(items: list[pb.WatchItem]) -> list[str | None]:
    """Return what each item is."""
    return [item.WhichOneof("item") for item in items]


async def test_snapshot_then_bookmark_then_changes(service: Service) -> None:
    """The whole way of one placement and one tag."""
    watch = Watch(service, include_tags=True)
    first = await watch.until("bookmark")
    await service.stage.happen(
        event(FRA, ContentEvicted(WEB, (A,))), event(IAD, TagMoved(WEB, LATEST, B))
    )
    changes = await watch.until("bookmark")

    placement = ["placement", "placement", "tag"]
    assert kinds(first) == [
        "status",
        "snapshot_began",
        *placement,
        "snapshot_ended",
        "bookmark",
    ]
    assert first[0].status.state == basis_pb.SERVING_STATE_LIVE
    assert first[1].snapshot_began.reason == pb.SNAPSHOT_REASON_REQUESTED
    assert [r.region for r in first[2].placement.replicas] == [FRA, IAD]
    assert first[2].placement.replicas[0].phase == pb.REPLICA_PHASE_COMPLETE
    assert first[2].placement.size_bytes == 10_000_000
    assert (first[4].tag.tag, first[4].tag.digest) == (LATEST, A)
    assert first[-1].bookmark.sequence == 3
    assert kinds(changes) == ["placement", "tag", "bookmark"]
    assert [r.region for r in changes[0].placement.replicas] == [IAD]
    assert changes[1].tag.digest == B
    assert changes[-1].bookmark.sequence == 5
    watch.call.cancel()


async def test_only_what_was_asked_for_is_told(service: Service) -> None:
    """By region and by repository; what leaves a watched region is gone."""
    watch = Watch(service, regions=[FRA, AMS], repository_prefixes=["acme/web"])
    first = await watch.until("bookmark")
    await service.stage.happen(
        replicated("b", FRA, API),
        pushed("c", IAD),
        event(FRA, ContentEvicted(WEB, (A,))),
    )
    changes = await watch.until("bookmark")

    told = [item.placement for item in [*first, *changes] if item.HasField("placement")]
    assert [(each.digest, len(each.replicas)) for each in told] == [(A, 2), (A, 0)]
    watch.call.cancel()


async def test_token_goes_on_where_it_was(service: Service) -> None:
    """Without a snapshot, with what changed since and nothing else."""
    watch = Watch(service)
    token = (await watch.until("bookmark"))[-1].bookmark.resume_token
    watch.call.cancel()
    await service.stage.happen(replicated("a", AMS))

    again = Watch(service, resume_token=token)
    found = await again.until("bookmark")

    assert kinds(found) == ["status", "placement", "bookmark"]
    assert [r.region for r in found[1].placement.replicas] == [AMS, FRA, IAD]
    again.call.cancel()


async def test_serving_state_that_changes_is_told(service: Service) -> None:
    """Within a second, also when nothing is folded any more."""
    watch = Watch(service)
    await watch.until("bookmark")

    service.stage.view.broken("the log was replaced")

    (status,) = await watch.until("status")
    assert status.status.state == basis_pb.SERVING_STATE_EPOCH_BROKEN
    watch.call.cancel()


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        ({"resume_token": "w1.e.1"}, "TOKEN_INVALID", "resume_token"),
        ({"resume_token": "v1.e.1.1"}, "TOKEN_INVALID", "resume_token"),
        ({"resume_token": "w1.e.1.-1"}, "TOKEN_INVALID", "resume_token"),
        ({"regions": ["no region"]}, "REGION_INVALID", "regions[0]"),
        ({"regions": ["ams"] * 201}, "LIMIT_INVALID", "regions"),
        ({"repository_prefixes": ["a", "/"]}, "NAME_INVALID", "repository_prefixes[1]"),
        ({"repository_prefixes": ["a"] * 257}, "LIMIT_INVALID", "repository_prefixes"),
    ],
)
async def test_wrong_request_is_refused_with_its_field(
    service: Service, request_: dict[str, Any], reason: str, field: str
) -> None:
    """As any other call's."""
    found = await refused(first_of(Watch(service, **request_)))

    assert (found.info.reason, found.field) == (reason, field)


async def first_of(watch: Watch) -> Any:  # noqa: ANN401 - what a stub reads
    """Read one response."""
    return await watch.call.read()


async def test_bytes_that_are_no_request_are_refused_like_any_others(
    service: Service,
) -> None:
    """INVALID_ARGUMENT with a reason, not grpc's own INTERNAL."""
    method: Any = service.channel.unary_stream(
        "/placement.v1.PlacementService/WatchPlacements"
    )

    found = await refused(method(b"\xff\xff").read())

    assert found.info.reason == "INPUT_INVALID"


async def test_service_takes_no_more_watchers_than_it_says() -> None:
    """The one too many is told so, and has room when another one has left."""
    settings = ServerSettings(watch=WatchSettings(watch_count_max=1))
    async with serving(settings) as service:
        first = Watch(service)
        await first.until("bookmark")

        found = await refused(first_of(Watch(service)))
        first.call.cancel()
        await eventually(lambda: open_count(service) == 0)
        second = Watch(service)

        assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert found.info.reason == "WATCH_LIMIT"
        assert found.retry_ms == 5_000
        await second.until("bookmark")
        second.call.cancel()


def open_count(service: Service) -> int:
    """Return how many watches the service has."""
    hub = service.server._hub  # noqa: SLF001 - nothing else shows it
    return hub.open_count


def sent_count(service: Service) -> int:
    """Return how many responses the service has sent to its watchers."""
    method = "/placement.v1.PlacementService/WatchPlacements"
    return service.server.calls.method(method, streams=True).messages


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something *holds*."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def crowd(state: State, count: int) -> None:
    """Fold *count* pushes of different contents into two regions."""
    for number in range(count):
        name = f"layer-{number}"
        happened = (pushed(name, IAD, API), replicated(name, FRA, API))
        fold(state, message(state.sequence + 1, *happened))


async def test_large_snapshot_comes_whole_in_bounded_responses() -> None:
    """Thousands of placements, each once, and others are answered meanwhile."""
    async with serving() as service:
        crowd(service.stage.view.state, 5_000)
        service.stage.view.caught_up()
        asked = pb.WatchPlacementsRequest()
        call: Any = service.placement.WatchPlacements(asked)
        digests, sizes, marked = set(), [], False
        while not marked:
            response = await call.read()
            sizes.append(response.ByteSize())
            for item in response.items:
                if item.HasField("placement"):
                    digests.add(item.placement.digest)
            marked = response.items[-1].HasField("bookmark")
        call.cancel()

        assert len(digests) == 5_000
        assert max(sizes) <= WATCH_RESPONSE_BYTES_MAX
        assert len(sizes) > 10  # in slices, between which others run


async def test_watcher_that_reads_nothing_is_let_go_with_its_token() -> None:
    """Its place is free at once; what it was sent is followed by the reason."""
    with patch("placement.api.streaming.SEND_SECONDS_MAX", 0.3):
        async with (
            serving() as service,
            grpc.aio.insecure_channel(service.target, NARROW) as channel,
        ):
            await service.stage.happen(pushed("a", IAD))
            service.channel = channel
            watch = Watch(service)
            token = (await watch.until("bookmark"))[-1].bookmark.resume_token
            # Crowding holds up both ends: the last response has to be gone by then.
            await eventually(lambda: sent_count(service) > 0)
            crowd(service.stage.view.state, 30_000)
            service.stage.view.caught_up()
            await eventually(lambda: open_count(service) == 0)

            found = await refused(drained(watch))

            assert found.code is grpc.StatusCode.ABORTED
            assert found.info.reason == "WATCH_LAGGED"
            assert found.info.metadata["resume_token"] == token


async def test_watcher_that_took_not_even_the_first_response_is_told_why() -> None:
    """Its status comes even though no response counts as sent."""
    async with serving() as service:
        await service.stage.happen(pushed("a", IAD))
        with patch("placement.api.streaming.SEND_SECONDS_MAX", 0.0):
            watch = Watch(service)

            found = await refused(drained(watch))

        assert sent_count(service) == 0
        assert found.code is grpc.StatusCode.ABORTED
        assert found.info.reason == "WATCH_LAGGED"
        assert not found.info.metadata.get("resume_token")


async def drained(watch: Watch) -> None:
    """Read what there is until the call fails."""
    while True:
        await watch.next()


async def test_connection_that_breaks_under_a_response_is_no_failure_of_ours() -> None:
    """The watcher's machine is gone while the service waits for it to read."""
    async with serving() as service, Wire(service.target) as wire:
        crowd(service.stage.view.state, 20_000)
        service.stage.view.caught_up()
        async with grpc.aio.insecure_channel(wire.target, NARROW) as channel:
            service.channel = channel
            watch = Watch(service)
            await watch.next()
            wire.held.clear()
            await eventually(lambda: open_count(service) == 1)
            await asyncio.sleep(0.5)
            with capture_logs() as lines:
                wire.cut()
                await eventually(lambda: open_count(service) == 0)
                await asyncio.sleep(0.1)

    assert [line for line in lines if line["event"] == "call_failed"] == []


class Wire:
    """A connection between a client and a service that can be held and cut."""

    def __init__(self, target: str) -> None:
        """Lead to *target*."""
        self._far_port = int(target.rpartition(":")[2])
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.target = ""
        self.held = asyncio.Event()
        """While it is not set, the client is sent nothing."""
        self.held.set()

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.target = f"127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.cut()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection at both ends, as a machine does that is gone."""
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._far_port
        )
        self._writers += [writer, far_writer]
        self._tasks += [
            asyncio.create_task(self._carry(reader, far_writer, asyncio.Event())),
            asyncio.create_task(self._carry(far_reader, writer, self.held)),
        ]
        self._server.close()

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        gate: asyncio.Event,
    ) -> None:
        if gate is not self.held:
            gate.set()
        while data := await source.read(1 << 16):
            await gate.wait()
            target.write(data)
            await target.drain()


async def test_server_that_stops_ends_its_watches_without_an_error() -> None:
    """So a watcher knows that it may go on elsewhere."""
    async with serving() as service:
        watch = Watch(service)
        await watch.until("bookmark")

        stopping = asyncio.create_task(service.server.stop(5))

        with pytest.raises(EOFError):
            await drained(watch)
        await stopping


# The client, which outlives connections.


async def test_client_comes_back_with_its_token(service: Service) -> None:
    """Over a restart of the service: no second snapshot, no change twice."""
    port = int(service.target.rpartition(":")[2])
    async with (
        PlacementClient(service.target) as client,
        aclosing(client.watch_placements()) as items,
    ):
        before = await heard(items, "bookmark")
        await service.server.stop(0)
        await service.stage.happen(replicated("a", AMS))
        restarted = service.stage.server(ServerSettings(port=port))
        await restarted.start()
        after = await heard(items, "bookmark")
        await restarted.stop(0)

    assert kinds(before)[1] == "snapshot_began"
    assert kinds(after) == ["status", "placement", "bookmark"]
    assert len(after[1].placement.replicas) == 3


async def heard(items: AsyncIterator[pb.WatchItem], kind: str) -> list[pb.WatchItem]:
    """Return the items of a client's watch up to the first one of *kind*."""
    found: list[pb.WatchItem] = []
    async with asyncio.timeout(PATIENCE_S):
        async for item in items:
            found.append(item)
            if item.WhichOneof("item") == kind:
                break
    return found


async def test_client_that_leaves_ends_the_watch_at_the_service(
    service: Service,
) -> None:
    """What is abandoned does not go on elsewhere."""
    async with PlacementClient(service.target) as client:
        items = client.watch_placements(repository_prefixes=[WEB])
        await heard(items, "bookmark")
        assert open_count(service) == 1

        await items.aclose()

        await eventually(lambda: open_count(service) == 0)


async def test_client_raises_what_is_its_callers_fault(service: Service) -> None:
    """And what nobody can answer, once its time is over."""
    async with PlacementClient(service.target, timeout_s=0.5) as client:
        with pytest.raises(PlacementCallError) as wrong:
            await anext(client.watch_placements(resume_token="x"))  # noqa: S106 - no password
        await service.server.stop(0)
        with pytest.raises(PlacementCallError) as absent:
            await anext(client.watch_placements())

    assert (wrong.value.reason, wrong.value.field) == ("TOKEN_INVALID", "resume_token")
    assert absent.value.code is grpc.StatusCode.UNAVAILABLE


async def test_client_comes_again_where_nothing_is_heard_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection may die without a word; bookmarks come every ten seconds."""
    monkeypatch.setattr("placement.client.watching.SILENCE_S", 0.2)
    silent = ServerSettings(watch=WatchSettings(bookmark_interval_s=3_600))
    async with serving(silent) as service:
        await service.stage.happen(pushed("a", IAD))
        async with (
            PlacementClient(service.target) as client,
            aclosing(client.watch_placements()) as items,
        ):
            first = await heard(items, "bookmark")
            second = await heard(items, "bookmark")

    assert "snapshot_began" in kinds(first)
    assert kinds(second) == ["status", "bookmark"]
