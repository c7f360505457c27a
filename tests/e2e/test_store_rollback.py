"""The broker's store set back in time: what it acknowledged and then lost is noticed.

A power failure after an acknowledgement, or a backup put back: the broker comes up with
an older log, and nothing in its answers says so.
Figures of a run: ``pytest -rP tests/e2e/test_store_rollback.py``.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementClient
from placement.v1 import basis_pb2, placement_service_pb2
from tests.e2e.test_broker_kills import push
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_service import POLL_SECONDS, RealService, running

KEPT, LOST = 20, 15
NOTICED_SECONDS_MAX = 5.0
LIVE = basis_pb2.SERVING_STATE_LIVE
EPOCH_BROKEN = basis_pb2.SERVING_STATE_EPOCH_BROKEN

Info = placement_service_pb2.GetServiceInfoResponse


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    broker.start()
    yield broker
    broker.kill()


async def publish(client: PlacementClient, name: str, count: int) -> None:
    """Publish *count* events one by one, each a message, and wait until all count."""
    for number in range(count):
        stored = await client.publish_events([push(f"{name}-{number}")])
    await client.resolve_reference(
        "acme/web", f"{name}-{count - 1}", token=stored.token
    )


async def store(server: NatsServer, name: str, count: int) -> None:
    """Store *count* messages past the service, as another publisher does."""
    log = await JetStreamLog.connect(server.settings)
    try:
        for number in range(count):
            event = push(f"{name}-{number}")
            await log.append(
                "placement.events.v1.iad.content_pushed",
                event.SerializeToString(),
                event.event_id,
            )
    finally:
        await log.close()


async def until_broken(client: PlacementClient, epoch: str) -> tuple[float, Info]:
    """Return after how long answers did not claim *epoch* unbroken, and the answer."""
    began = time.monotonic()
    while True:
        info = await client.get_service_info()
        if info.basis.state == EPOCH_BROKEN or info.basis.epoch != epoch:
            return time.monotonic() - began, info
        assert time.monotonic() - began < NOTICED_SECONDS_MAX
        await asyncio.sleep(POLL_SECONDS)


@pytest.mark.parametrize(
    "grown",
    [
        pytest.param(0, marks=pytest.mark.long),
        LOST - 5,
        pytest.param(LOST + 5, marks=pytest.mark.long),
    ],
)
async def test_store_set_back_is_noticed_and_folded_anew(
    server: NatsServer, tmp_path: Path, grown: int
) -> None:
    """Within 5 s, also where the log has grown again up to our position and beyond.

    Then the log as it is now is folded beside and put in place, under another epoch.
    """
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            await publish(client, "kept", KEPT)
            server.stop()
            server.keep_store()
            server.start()
            await publish(client, "lost", LOST)
            before = (await client.get_service_info()).basis
            server.kill()
            server.put_store_back()
            server.start()
            back = time.monotonic()
            await store(server, "grown", grown)

            noticed_s, broken = await until_broken(client, before.epoch)
            while (info := await client.get_service_info()).basis.state != LIVE:
                assert time.monotonic() - back < 3 * NOTICED_SECONDS_MAX
                await asyncio.sleep(POLL_SECONDS)

    tell("store rollback", grown=grown, noticed_s=noticed_s)
    if broken.basis.epoch == before.epoch:
        assert broken.basis.sequence == before.sequence
    assert info.basis.epoch != before.epoch
    assert info.counts.folded_count == KEPT + grown
    assert "epoch_broken" in service.output()
