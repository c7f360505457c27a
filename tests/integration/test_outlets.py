"""Both ways into the log: what a position says, what is rejected, what is refused."""

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from placement.adapters.memory import MemoryEventLog
from placement.agent.outlets import LogOutlet
from placement.agent.service_outlet import UNKNOWN, ServiceOutlet
from placement.api.server import ServerSettings
from placement.client import PlacementCallError, PlacementClient
from placement.core.event import (
    Event,
    Identifier,
    MachineStopped,
    StartsRequested,
    TimeNs,
)
from placement.core.topology import Region
from placement.ports import LogUnavailableError
from placement.runtime.limits import LimitSettings
from placement.spooling import Position
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import events_pb2 as events_pb
from placement.wire.events import encode_event
from tests.builders import FRA, IAD, LATEST, START_NS, SYD, WEB, pushed
from tests.serving import EPOCH, Service, serving


def events(*names: str) -> list[Event]:
    """Return a push of each name, in iad."""
    return [
        replace(
            pushed(name, IAD),
            event_id=Identifier(f"push-{name}"),
            occur_time_ns=TimeNs(START_NS),
        )
        for name in names
    ]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service in this process."""
    async with serving() as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[PlacementClient]:
    """A client of it."""
    async with PlacementClient(service.target, timeout_s=1) as client:
        yield client


async def test_service_stores_what_it_is_given(
    service: Service, client: PlacementClient
) -> None:
    """The position is that of the log; a repeat is as good, and is stored once."""
    outlet = ServiceOutlet(client)

    first = await outlet.publish(events("a", "b"))
    await service.stage.fold_all()
    again = await outlet.publish(events("a", "b"))

    assert first.position == again.position == Position(EPOCH, 1)
    assert first.rejected == ()
    assert (await service.stage.log.status()).last_sequence == 1


async def test_service_rejects_one_event_and_stores_the_others(
    client: PlacementClient,
) -> None:
    """It says which and why; a batch of nothing else has no position."""
    outlet = ServiceOutlet(client)
    far_ns = TimeNs(START_NS + 3 * 86_400 * 1_000_000_000)
    [good, late] = events("a", "b")
    future = replace(late, occur_time_ns=far_ns)

    mixed = await outlet.publish([good, future])
    alone = await outlet.publish([future])

    assert [(one.event, one.reason) for one in mixed.rejected] == [
        (future, "TIME_INVALID")
    ]
    assert mixed.position == Position(EPOCH, 1)
    assert (alone.position, len(alone.rejected)) == (None, 1)


async def test_request_that_is_refused_as_a_whole_is_halved(
    client: PlacementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the event at fault is alone; what is UNAVAILABLE is tried again later."""
    publish = client.publish_events

    async def picky(batch: list[events_pb.Event]) -> event_pb.PublishEventsResponse:
        if any(event.event_id == "push-c" for event in batch):
            code = grpc.StatusCode.INVALID_ARGUMENT
            raise PlacementCallError(code, "LIMIT_INVALID", "too large")
        return await publish(batch)

    monkeypatch.setattr(client, "publish_events", picky)

    found = await ServiceOutlet(client).publish(events("a", "b", "c", "d", "e"))

    assert [one.event.event_id for one in found.rejected] == ["push-c"]
    assert found.rejected[0].reason == "LIMIT_INVALID"
    assert found.position is not None


def denying(
    client: PlacementClient, monkeypatch: pytest.MonkeyPatch, reason: str, own: Region
) -> None:
    """Let the service deny any call with an event of another region than *own*."""
    publish = client.publish_events

    async def picky(batch: list[events_pb.Event]) -> event_pb.PublishEventsResponse:
        if any(event.event_id == "push-c" for event in batch):
            code = grpc.StatusCode.PERMISSION_DENIED
            raise PlacementCallError(code, reason, "not yours", region=own)
        return await publish(batch)

    monkeypatch.setattr(client, "publish_events", picky)


@pytest.mark.parametrize("reason", ["REGION_FORBIDDEN", "FACT_FORBIDDEN"])
async def test_event_that_is_denied_is_rejected_and_the_others_are_stored(
    client: PlacementClient, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """It may never be stored: to repeat the call would hold all others up."""
    denying(client, monkeypatch, reason, IAD)

    found = await ServiceOutlet(client, IAD).publish(events("a", "b", "c", "d", "e"))

    assert [one.event.event_id for one in found.rejected] == ["push-c"]
    assert found.rejected[0].reason == reason
    assert found.position is not None


async def test_certificate_of_another_region_is_for_an_operator(
    client: PlacementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is at fault then, and none is given up."""
    denying(client, monkeypatch, "REGION_FORBIDDEN", SYD)

    with pytest.raises(PlacementCallError, match="not yours"):
        await ServiceOutlet(client, IAD).publish(events("a", "b", "c"))


async def test_too_many_new_contents_hold_back_nothing_else() -> None:
    """A real service's limit: what it allows goes on now, and the rest in time."""
    limits = LimitSettings(caller_new_contents_per_second=4.0, new_contents_burst=4)
    stopped = [
        Event(Identifier(f"stop-{n}"), IAD, MachineStopped(Identifier(f"m-{n}")))
        for n in range(3)
    ]
    wanted = [*events(*(f"new-{n}" for n in range(16))), *stopped]
    async with (
        serving(ServerSettings(limits=limits)) as service,
        PlacementClient(service.target, timeout_s=5) as client,
    ):
        await client.publish_events([encode_event(one) for one in events("x")])
        outlet = ServiceOutlet(client, chance=lambda: 0.9)
        found = await outlet.publish(wanted)
        await service.stage.fold_all()
        stored = service.stage.view.state.count("folded")
        rounds, left = 1, found.held
        while left:
            left = (await outlet.publish(left)).held
            rounds += 1
        await service.stage.fold_all()
        in_the_end = service.stage.view.state.count("folded")

    assert not {one.event_id for one in stopped} & {one.event_id for one in found.held}
    assert found.rejected == ()
    assert stored == 1 + len(wanted) - len(found.held)
    assert in_the_end == 1 + len(wanted)
    assert found.why_held is None or found.why_held.reason == "CONTENT_LIMIT"


async def test_service_that_takes_nothing_new_takes_all_else() -> None:
    """It is full until an operator makes room: twelve refusals a round, no more."""
    async with (
        serving(ServerSettings(limits=LimitSettings(contents_max=1))) as service,
        PlacementClient(service.target, timeout_s=5) as client,
    ):
        await client.publish_events([encode_event(one) for one in events("x")])
        await service.stage.fold_all()
        calls = []
        publish = client.publish_events

        async def counted(batch: list[events_pb.Event]) -> object:
            calls.append(len(batch))
            return await publish(batch)

        client.publish_events = counted  # type: ignore[method-assign,assignment]  # to count
        new, known = events("a", "b"), events("x")
        known = [replace(known[0], event_id=Identifier("once-more"))]
        found = await ServiceOutlet(client, chance=lambda: 0.9).publish([*new, *known])

    assert [one.event_id for one in found.held] == ["push-a", "push-b"]
    assert found.position is not None
    assert found.why_held is not None
    assert found.why_held.reason == "CONTENT_LIMIT"
    assert len(calls) <= 6


async def test_log_that_is_away_is_said_by_the_service(
    service: Service, client: PlacementClient
) -> None:
    """The sender then waits and tries again."""
    service.stage.log.stop()

    with pytest.raises(PlacementCallError) as error:
        await ServiceOutlet(client).publish(events("a"))

    assert error.value.reason == "LOG_UNAVAILABLE"


async def test_end_is_told_only_by_a_service_that_is_up_to_date(
    service: Service, client: PlacementClient
) -> None:
    """One that answers from before a break would send us in circles."""
    outlet = ServiceOutlet(client)

    fresh = await outlet.end()
    await service.stage.happen(*events("a"))
    live = await outlet.end()
    service.stage.view.broken("the log was made anew")
    broken = await outlet.end()

    assert fresh in {None, Position(EPOCH, UNKNOWN)}
    assert live == Position(EPOCH, UNKNOWN)
    assert broken is None


async def test_events_of_two_regions_are_two_messages() -> None:
    """One region's batch after the other; the last position counts."""
    log = MemoryEventLog(lambda: START_NS)
    [first, second] = events("a", "b")

    found = await LogOutlet(log).publish([first, replace(second, region=SYD)])

    assert found.position == Position("memory-1", 2)
    assert found.first_new_sequence == 1
    assert await LogOutlet(log).end() == Position("memory-1", 2)


async def test_log_that_becomes_another_one_within_a_publish_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What went into the first one is lost."""
    log = MemoryEventLog(lambda: START_NS)
    append = log.append

    async def replaced_after_one(*message: object) -> object:
        stored = await append(*message)  # type: ignore[arg-type]  # passed on as given
        log.replace()
        return stored

    monkeypatch.setattr(log, "append", replaced_after_one)
    [first, second] = events("a", "b")

    with pytest.raises(LogUnavailableError):
        await LogOutlet(log).publish([first, replace(second, region=SYD)])


async def test_log_is_opened_anew_after_some_failures() -> None:
    """A broker may come back without its disk, and the stream with it."""
    logs = [MemoryEventLog(lambda: START_NS) for _ in range(2)]
    opened = iter(logs)
    outlet = LogOutlet(next(opened), lambda: next(opened))
    logs[0].stop()

    for _ in range(3):
        with pytest.raises(LogUnavailableError):
            await outlet.publish(events("a"))
    found = await outlet.publish(events("a"))
    await outlet.close()

    assert found.position == Position("memory-1", 1)
    with pytest.raises(LogUnavailableError):
        await logs[1].status()


async def test_event_of_no_catalogues_region_is_given_up_before_the_log() -> None:
    """The fold cannot know that it is invented, and has few places for such."""
    log, wanted = MemoryEventLog(lambda: START_NS), (FRA, Region("atlantis"))
    asked = Event(Identifier("asked"), FRA, StartsRequested(WEB, LATEST, wanted))

    found = await LogOutlet(log, regions={FRA, IAD}).publish([asked, pushed("a", FRA)])

    assert [(one.event, one.reason) for one in found.rejected] == [
        (asked, "REGION_UNKNOWN")
    ]
    assert (await log.status()).last_sequence == 1
