"""Whom the service lets in: limits of callers, deadlines, and who is always heard."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest

from placement.api.admission import (
    KINDS,
    SHARES_TOGETHER,
    Admission,
    CallerLimitError,
    DeadlinePassedError,
    OverloadedError,
    Rank,
)
from placement.api.answering import Answering, Context
from placement.api.authority.caller import MethodForbiddenError
from placement.api.authority.identity import Identity, Role
from placement.api.clients import CALLERS_KNOWN_MAX, Buckets, peer_address
from placement.api.holding import HELD_SECONDS
from placement.api.reading import Pace
from placement.api.server import ServerSettings
from placement.client import PlacementClient
from placement.core.event import Event, Identifier, contents_named
from placement.runtime.limits import LimitSettings
from placement.runtime.pressure import Pressure, PressureSettings
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import operations_service_pb2 as operations_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from placement.wire.events import encode_event
from placement.wire.service_answers import SERVICES
from tests.builders import IAD, SYD, WEB, A, descriptor, digest, pushed
from tests.serving import refused, serving

RANK = "/placement.v1.PlacementService/RankSources"
PREVIEW = "/placement.v1.ReplicationService/PreviewReplications"
PAUSE = "/placement.v1.OperationsService/PauseReplication"
WATCH = "/placement.v1.PlacementService/WatchPlacements"
HEALTH = "/grpc.health.v1.Health/Check"
MS_NS = 1_000_000

Answer = Callable[[bytes, Context], Awaitable[bytes]]


class Call:
    """What a guard sees of a call."""

    def __init__(self, remaining_s: float | None = None, peer: str = "") -> None:
        """Be a call from *peer* with so much of its time left."""
        self._remaining_s = remaining_s
        self._peer = peer or "ipv4:10.0.0.1:4711"

    def time_remaining(self) -> float | None:
        """Return what is left."""
        return self._remaining_s

    def peer(self) -> str:
        """Return where it comes from."""
        return self._peer


def call(remaining_s: float | None = None, peer: str = "") -> Context:
    """A call as a guard sees it."""
    return cast("Context", Call(remaining_s, peer))


def crowded() -> Pressure:
    """A queue that has stood at 20 ms for long, of a limit of 5 ms."""
    now_ns = [0]
    found = Pressure(
        PressureSettings(queue_ms=5),
        clock_ns=lambda: now_ns[0],
        chance=lambda: 0.5,
    )
    for _ in range(10):
        now_ns[0] += 20 * MS_NS
        found.entered += 100
        found.waited(20 * MS_NS, 100)
    return found


def admission(pressure: Pressure, **settings: Any) -> Admission:  # noqa: ANN401 - of any kind
    """A guard with these limits and a clock that stands still."""
    return Admission(pressure, LimitSettings(**settings), lambda: 0)


def test_every_method_of_the_contract_has_its_rank() -> None:
    """A new method is weighed on purpose; only operators' and one more always go in."""
    named = {
        f"/{service.full_name}/{method.name}"
        for service in SERVICES
        for method in service.methods
        if service.name != "OperationsService"
    }

    assert set(KINDS) == named
    always = {name for name, kind in KINDS.items() if kind.rank is Rank.ALWAYS}
    assert always == {"/placement.v1.PlacementService/GetServiceInfo"}


def test_decisions_are_sent_away_before_questions_and_operators_never() -> None:
    """In a crowd: a preview at once, some questions, no order and no health check."""
    pressure = crowded()
    guard = admission(pressure)
    counts = dict.fromkeys((PREVIEW, RANK, PAUSE, HEALTH), 0)

    for method in counts:
        for _ in range(100):
            with suppress(OverloadedError):
                guard.enter(method, call())
                continue
            counts[method] += 1

    assert counts[PREVIEW] == 100
    assert 0 < counts[RANK] < 100
    assert counts[PAUSE] == counts[HEALTH] == 0
    assert pressure.refused["overloaded"] == counts[PREVIEW] + counts[RANK]


@pytest.mark.parametrize("remaining_s", [-1.0, 0.0, 0.0009])
def test_call_without_time_left_is_not_begun(remaining_s: float) -> None:
    """Nobody would read its answer; an operator's neither."""
    pressure = crowded()
    for method in (RANK, PAUSE):
        with pytest.raises(DeadlinePassedError):
            admission(pressure).enter(method, call(remaining_s))

    assert pressure.refused["deadline"] == 2


def test_callers_have_their_shares_each_and_what_weighs_more_takes_more() -> None:
    """Two seconds' worth at once; who asks from another port is the same caller."""
    guard = admission(crowded_not(), caller_weight_per_second=50.0)
    for number in range(100):
        guard.enter(RANK, call(peer=f"ipv4:10.0.0.1:{number}"))

    with pytest.raises(Exception, match="caller_weight_per_second") as raised:
        guard.enter(RANK, call())
    assert getattr(raised.value, "retry_delay_ms", 0) == 20
    guard.enter(PREVIEW, call(peer="ipv4:10.0.0.2:1"))
    with pytest.raises(Exception, match="caller_weight_per_second"):
        guard.enter(RANK, call(peer="ipv4:10.0.0.2:1"))
    guard.enter(RANK, call(peer="ipv4:10.0.0.3:1"))


def test_callers_of_one_tenant_share_what_it_has() -> None:
    """By whatever tells tenants apart; who is of none is not limited by it."""
    tenants = {"ipv4:10.0.0.1:1": "acme", "ipv4:10.0.0.2:1": "acme"}
    guard = Admission(
        crowded_not(),
        LimitSettings(tenant_weight_per_second=5.0),
        lambda: 0,
        tenant=lambda context: tenants.get(str(context.peer()), ""),
    )
    for number in range(10):
        guard.enter(RANK, call(peer=f"ipv4:10.0.0.{1 + number % 2}:1"))

    with pytest.raises(Exception, match="tenant_weight_per_second"):
        guard.enter(RANK, call(peer="ipv4:10.0.0.1:1"))
    for _ in range(100):
        guard.enter(RANK, call(peer="ipv4:10.0.0.9:1"))


def test_addresses_of_one_ipv6_network_are_one_caller() -> None:
    """Whoever has one of them has 2^64; another network is another caller."""
    guard = admission(crowded_not(), caller_weight_per_second=50.0)
    for number in range(100):
        guard.enter(RANK, call(peer=f"ipv6:%5B2001:db8:0:1::{number:x}%5D:4711"))

    with pytest.raises(CallerLimitError):
        guard.enter(RANK, call(peer="ipv6:%5B2001:db8:0:1:ffff::1%5D:4711"))
    guard.enter(RANK, call(peer="ipv6:%5B2001:db8:0:2::1%5D:4711"))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:43210", "ipv4:10.0.0.7"),
        ("ipv6:%5B2001:db8::7%5D:443", "ipv6:2001:db8::/64"),
        ("ipv6:[2001:db8::7]:443", "ipv6:2001:db8::/64"),
        ("ipv6:%5Bfe80::7%25eth0%5D:443", "ipv6:fe80::/64"),
        ("ipv6:%5B::ffff:10.0.0.7%5D:443", "ipv4:10.0.0.7"),
        ("ipv6:%5Bnothing%5D:443", "ipv6:%5Bnothing%5D"),
        ("unix:", "unix"),
    ],
)
def test_address_is_without_what_its_caller_chooses(peer: str, address: str) -> None:
    """As gRPC writes addresses."""
    assert peer_address(call(peer=peer)) == address


def certified(pressure: Pressure, **settings: Any) -> Admission:  # noqa: ANN401 - of any kind
    """A guard to which 10.0.x.y shows certificate x."""
    return Admission(
        pressure,
        LimitSettings(**settings),
        lambda: 0,
        certificate=lambda context: str(context.peer()).split(".")[2],
    )


@pytest.mark.parametrize(
    ("settings", "most"),
    [({}, 2 * SHARES_TOGETHER), ({"identity_weight_per_second": 3.0}, 6)],
)
def test_one_certificate_at_many_addresses_has_one_share(
    settings: dict[str, float], most: int
) -> None:
    """Some callers' shares, or what an operator says; others have theirs."""
    pressure = crowded_not()
    guard = certified(pressure, caller_weight_per_second=1.0, **settings)
    for number in range(most):
        guard.enter(RANK, call(peer=f"ipv4:10.0.1.{number}:1"))

    with pytest.raises(CallerLimitError, match="identity_weight_per_second"):
        guard.enter(RANK, call(peer="ipv4:10.0.1.200:1"))
    guard.enter(RANK, call(peer="ipv4:10.0.2.200:1"))
    assert pressure.refused["identity"] == 1


def test_one_certificate_at_many_addresses_watches_so_often_alone() -> None:
    """The third of two is refused; once one has ended there is room again."""
    guard = certified(crowded_not(), identity_watches=2)
    for number in (1, 2):
        guard.enter(WATCH, call(peer=f"ipv4:10.0.1.{number}:1"))

    with pytest.raises(CallerLimitError, match="identity_watches"):
        guard.enter(WATCH, call(peer="ipv4:10.0.1.3:1"))
    guard.enter(WATCH, call(peer="ipv4:10.0.2.1:1"))
    guard.leave(WATCH, call(peer="ipv4:10.0.1.1:1"))
    guard.enter(WATCH, call(peer="ipv4:10.0.1.3:1"))


def crowded_not() -> Pressure:
    """Nobody waits."""
    return Pressure(PressureSettings(), clock_ns=lambda: 0, chance=lambda: 0.5)


def test_watches_of_a_caller_are_counted_until_they_end() -> None:
    """The third of two is refused; once one has ended there is room again."""
    guard = admission(crowded_not(), caller_watches=2)
    for _ in range(2):
        guard.enter(WATCH, call())

    with pytest.raises(Exception, match="caller_watches"):
        guard.enter(WATCH, call())
    guard.enter(WATCH, call(peer="ipv4:10.0.0.2:1"))
    guard.leave(WATCH, call())
    guard.enter(WATCH, call())
    for _ in range(2):
        guard.leave(WATCH, call())
    guard.leave(WATCH, call(peer="ipv4:10.0.0.2:1"))
    assert guard.watching_callers == 0


def test_callers_are_forgotten_before_there_are_too_many() -> None:
    """A flood of addresses costs what ten thousand of them cost."""
    buckets = Buckets(1.0, lambda: 0)
    for number in range(2 * CALLERS_KNOWN_MAX):
        assert buckets.take(f"caller {number}", 1) == 0

    assert len(buckets) == CALLERS_KNOWN_MAX


class Doorkeeper:
    """A gate that lets in one address's operator, and nobody else."""

    def enter(self, method: str, context: Context) -> None:
        """Let the operator in."""
        if not str(context.peer()).endswith(":1"):
            raise MethodForbiddenError(Identity(Role.SCHEDULER), method)

    def leave(self, method: str, context: Context) -> None:
        """Do nothing."""


def gated(pressure: Pressure) -> Admission:
    """A guard behind whose gate all at an address may take 32 questions at once."""
    limits = LimitSettings(caller_weight_per_second=1.0)
    return Admission(pressure, limits, lambda: 0, gates=(Doorkeeper(),))


@pytest.mark.parametrize("method", [RANK, PAUSE])
def test_whom_a_gate_denies_is_counted_and_has_an_addresss_share(method: str) -> None:
    """Of operators' methods, too; an operator at the same address is let in."""
    pressure = crowded_not()
    guard = gated(pressure)
    for _ in range(2 * SHARES_TOGETHER):
        with pytest.raises(MethodForbiddenError):
            guard.enter(method, call())
    for _ in range(3):
        with pytest.raises(CallerLimitError) as raised:
            guard.enter(method, call())
        assert raised.value.retry_delay_ms

    guard.enter(PAUSE, call(peer="ipv4:10.0.0.1:1"))
    with pytest.raises(MethodForbiddenError):
        guard.enter(method, call(peer="ipv4:10.0.0.2:4711"))
    assert pressure.entered == 2 * SHARES_TOGETHER + 5
    assert pressure.refused["caller"] == 3


def test_call_without_time_left_is_not_asked_who_it_is() -> None:
    """The gate costs more than the clock."""
    with pytest.raises(DeadlinePassedError):
        gated(crowded_not()).enter(RANK, call(0.0))


async def test_health_is_told_and_orders_are_taken_while_all_others_are_refused() -> (
    None
):
    """On a real server whose callers have used up their share."""
    limits = LimitSettings(caller_weight_per_second=0.001)
    async with serving(ServerSettings(limits=limits)) as service:
        await service.stage.happen(pushed("a", IAD))
        asked = pb.RankSourcesRequest(repository=WEB, digest=A, region=SYD)

        await service.placement.RankSources(asked)
        found = await refused(service.placement.RankSources(asked))

        assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert found.info.reason == "CALLER_LIMIT"
        assert found.retry_ms is not None
        await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
        await service.operations.ListOrders(operations_pb.ListOrdersRequest())
        preview = replication_pb.PreviewReplicationsRequest()
        told = await refused(service.replication.PreviewReplications(preview))
        assert told.info.reason == "CALLER_LIMIT"


async def test_our_client_comes_again_when_it_was_told_to() -> None:
    """Ten calls a second: three too many take the client as many tenths longer."""
    limits = LimitSettings(caller_weight_per_second=10.0)
    async with (
        serving(ServerSettings(limits=limits)) as service,
        PlacementClient(service.target) as client,
    ):
        await service.stage.happen(pushed("a", IAD))
        began_s = time.monotonic()
        for _ in range(23):
            assert (await client.rank_sources(WEB, A, IAD)).sources

        assert time.monotonic() - began_s >= 0.3


async def test_call_that_came_too_late_is_never_begun() -> None:
    """Fifty wait while the server stands still, until their time is over."""
    begun = []

    async def answer(body: bytes, _context: Context) -> bytes:
        begun.append(body)
        return body

    async with standing(answer) as ask:
        waiting = [ask(b"late", 0.2) for _ in range(50)]
        await asyncio.sleep(0.05)
        begun.clear()
        time.sleep(0.4)  # noqa: ASYNC251 - the server stands still
        found = await asyncio.gather(*waiting, return_exceptions=True)

        assert begun == []
        late = [each for each in found if isinstance(each, grpc.aio.AioRpcError)]
        codes = {each.code() for each in late}
        assert codes <= {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert await ask(b"in time", 5.0) == b"in time"


async def test_long_answer_ends_with_its_callers_deadline() -> None:
    """It works in slices, and is told between two of them that nobody waits."""
    ended = asyncio.Event()

    async def answer(body: bytes, _context: Context) -> bytes:
        pace = Pace()
        ends_s = time.monotonic() + 20
        try:
            while time.monotonic() < ends_s:
                await pace.step()
        except asyncio.CancelledError:
            ended.set()
            raise
        return body

    async with standing(answer) as ask:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await ask(b"", 0.2)

        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(5):
            await ended.wait()


@asynccontextmanager
async def standing(answer: Answer) -> AsyncIterator[Any]:
    """Give what asks a server behind our guard that answers so."""
    server = grpc.aio.server()
    plain: Any = bytes
    guard = admission(crowded_not())
    Answering(server, guards=(guard,)).add_registered_method_handlers(
        "tests.Parrot",
        {"Echo": grpc.unary_unary_rpc_method_handler(answer, plain, plain)},
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: Any = channel.unary_unary("/tests.Parrot/Echo")
        yield lambda body, seconds: method(body, timeout=seconds)
    await server.stop(None)


def publish(*names: str) -> event_pb.PublishEventsRequest:
    """Return the pushes of contents of these names."""
    events = [named(pushed(name, IAD), f"push-{name}") for name in names]
    return event_pb.PublishEventsRequest(events=map(encode_event, events))


def named(event: Event, event_id: str) -> Event:
    """Return *event* under an id."""
    return replace(event, event_id=Identifier(event_id))


async def test_publishing_ends_with_its_callers_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the log stores nothing; the same events are taken once it does."""
    async with serving() as service:
        stalled, ended = asyncio.Event(), asyncio.Event()
        append = service.stage.log.append

        async def stall(*told: Any, **more: Any) -> Any:  # noqa: ANN401 - of append
            try:
                await stalled.wait()
            except asyncio.CancelledError:
                ended.set()
                raise
            return await append(*told, **more)

        monkeypatch.setattr(service.stage.log, "append", stall)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await service.events.PublishEvents(publish("a"), timeout=0.3)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

        async with asyncio.timeout(10):
            await ended.wait()
        stalled.set()
        answer = await service.events.PublishEvents(publish("a"), timeout=5)
        assert [each.outcome for each in answer.results] == [
            event_pb.PUBLISH_OUTCOME_STORED
        ]


async def test_flood_of_new_contents_is_refused_and_known_ones_are_not() -> None:
    """Four new ones at once and no more; what is known already goes on."""
    limits = LimitSettings(caller_new_contents_per_second=1.0, new_contents_burst=4)
    async with serving(ServerSettings(limits=limits)) as service:
        await service.events.PublishEvents(publish("a", "b", "c", "d"))
        await service.stage.fold_all()

        found = await refused(service.events.PublishEvents(publish("e", "f")))

        assert found.info.reason == "CONTENT_LIMIT"
        assert found.info.metadata["new_contents"] == "2"
        assert found.retry_ms is not None
        assert 1_000 <= found.retry_ms <= 2_000
        began_s = time.monotonic()
        unread = await refused(service.events.PublishEvents(publish("a")))
        assert unread.info.reason == "CONTENT_LIMIT"  # it comes too soon
        assert time.monotonic() - began_s >= HELD_SECONDS
        await asyncio.sleep(1.1)
        again = encode_event(named(pushed("a", SYD), "again"))
        await service.events.PublishEvents(
            event_pb.PublishEventsRequest(events=[again])
        )


async def test_full_service_takes_no_new_content_from_anybody() -> None:
    """The third of two; where the two are changes all the same."""
    limits = LimitSettings(contents_max=2)
    async with serving(ServerSettings(limits=limits)) as service:
        await service.events.PublishEvents(publish("a", "b"))
        await service.stage.fold_all()

        found = await refused(service.events.PublishEvents(publish("c")))

        assert found.info.metadata["limit"] == "contents_max"
        assert found.retry_ms == 60_000


def test_contents_of_an_event_are_all_that_its_fact_names() -> None:
    """A manifest's references, too: each would be a row."""
    references = (descriptor("b"), descriptor("c"))
    found = set(contents_named(pushed("a", IAD, references=references)))

    assert found == {digest("a"), digest("b"), digest("c")}
