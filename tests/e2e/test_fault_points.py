"""The real program, ended at named points: what it folded stays a fold of the log."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementClient
from placement.client.errors import PlacementCallError
from placement.faults import FaultPoint
from placement.runtime.replay import Replayed, replay
from placement.wire.events import encode_event
from tests.nats_server import NatsServer, newest_server
from tests.projecting import pushes
from tests.real_service import POLL_SECONDS, RealService, running

EVENT_COUNT = 1_000
QUICK_CHECKPOINTS = {
    "PLACEMENT_CHECKPOINT__MESSAGE_COUNT": "20",
    "PLACEMENT_CHECKPOINT__INTERVAL_SECONDS": "0.1",
}
FOLD_FAILED = 72
KILLED = -9


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    await asyncio.to_thread(broker.start)
    yield broker
    broker.kill()


@pytest.fixture
async def log(server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """Reach its log."""
    opened = await JetStreamLog.connect(server.settings)
    yield opened
    await opened.close()


def service_on(server: NatsServer, directory: Path, faults: str = "") -> RealService:
    """Return a service that saves all the time and fails where *faults* says."""
    settings = QUICK_CHECKPOINTS | {"PLACEMENT_FAULT_POINTS": faults}
    return RealService(directory, ("--nats-url", server.url), settings)


async def ended(service: RealService) -> int:
    """Return the exit code of a service that is to end by itself."""
    async with asyncio.timeout(30):
        while service.runs:  # noqa: ASYNC110 - a process, seen from outside
            await asyncio.sleep(POLL_SECONDS)
    return service.stop()


async def fill(log: JetStreamLog, first: int, count: int) -> None:
    """Store *count* events, one a message."""
    for event in pushes(count, first):
        body = encode_event(event).SerializeToString()
        subject = "placement.events.v1.iad.content_pushed"
        await log.append(subject, body, event.event_id)


async def fill_until_ended(service: RealService, log: JetStreamLog, first: int) -> int:
    """Store events for as long as *service* runs; return how many that were."""
    count = 0
    async with asyncio.timeout(60):
        while service.runs:
            await fill(log, first + count, 50)
            count += 50
    return count


async def require_same(service: RealService, log: JetStreamLog) -> Replayed:
    """Assert that the service is where a fold of the log from its start is."""
    expected = await replay(log)
    async with (
        PlacementClient(service.target, timeout_s=20) as client,
        asyncio.timeout(20),
    ):
        while True:
            info = await client.get_service_info(include_fingerprint=True)
            if info.basis.sequence >= expected.sequence:
                break
            await asyncio.sleep(POLL_SECONDS)
    assert info.basis.sequence == expected.sequence
    assert info.fingerprint == expected.fingerprint
    return expected


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(FaultPoint.AFTER_DECODE, marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_FOLD_BEFORE_ADVANCE, marks=pytest.mark.long),
        pytest.param(FaultPoint.BEFORE_SAVE, marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_SAVE, marks=pytest.mark.long),
    ],
)
async def test_service_killed_at_a_point_folds_to_the_same_state(
    server: NatsServer, log: JetStreamLog, tmp_path: Path, point: FaultPoint
) -> None:
    """Killed there at the first and at the eighth time, nothing is lost."""
    service, stored = service_on(server, tmp_path / "service"), 0
    for count in (1, 8):
        service.settings["PLACEMENT_FAULT_POINTS"] = f"{point}=kill:{count}"
        await fill(log, stored, EVENT_COUNT)
        stored += EVENT_COUNT
        service.start()
        try:
            stored += await fill_until_ended(service, log, stored)
        finally:
            service.kill()
        assert await ended(service) == KILLED

    service.settings["PLACEMENT_FAULT_POINTS"] = ""
    with running(service):
        replayed = await require_same(service, log)
    assert replayed.counts["folded"] == stored


@pytest.mark.long
async def test_publisher_killed_before_its_answer_loses_nothing_by_a_repeat(
    server: NatsServer, log: JetStreamLog, tmp_path: Path
) -> None:
    """Whether or not the events were stored: asked again, each is there once."""
    service = service_on(server, tmp_path / "service")
    wanted = [encode_event(event) for event in pushes(100)]
    for point in (FaultPoint.BEFORE_APPEND, FaultPoint.AFTER_APPEND_BEFORE_ANSWER):
        service.settings["PLACEMENT_FAULT_POINTS"] = f"{point}=kill"
        with running(service):
            async with PlacementClient(service.target, timeout_s=2) as client:
                with pytest.raises(PlacementCallError):
                    await client.publish_events(wanted)
            assert await ended(service) == KILLED

    service.settings["PLACEMENT_FAULT_POINTS"] = ""
    with running(service):
        async with PlacementClient(service.target, timeout_s=20) as client:
            await client.publish_events(wanted)
        replayed = await require_same(service, log)
    assert replayed.counts["folded"] == 100


async def test_message_that_cannot_be_folded_ends_three_processes(
    server: NatsServer, log: JetStreamLog, tmp_path: Path
) -> None:
    """Each says so by its exit code; the fourth leaves the message out and serves."""
    await fill(log, 0, 50)
    poor = service_on(server, tmp_path / "service", "after_decode=raise:7")
    for _ in range(3):
        poor.start()
        assert await ended(poor) == FOLD_FAILED
    assert "message_quarantined" in poor.output()

    poor.settings["PLACEMENT_FAULT_POINTS"] = ""
    with running(poor):
        replayed = await require_same(poor, log)
    assert replayed.sequence == 51
    assert replayed.counts["folded"] == 50
