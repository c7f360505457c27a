"""Power loss after an acknowledgement: what the broker lost, agents store once more.

Figures of a run: ``pytest -rP tests/e2e/test_power_loss.py``.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.client import Outbox, PlacementCallError, PlacementClient
from placement.v1 import events_pb2
from tests.e2e.test_agent import post_until_taken
from tests.e2e.test_broker_kills import push
from tests.e2e.test_store_rollback import LIVE, store
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_agent import RealAgent
from tests.real_service import POLL_SECONDS, RealService

KEPT, LOST = 10, 15
"""So many were stored before the store was kept, and so many after it."""
HEALED_SECONDS_MAX = 60.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    await asyncio.to_thread(broker.start)
    yield broker
    broker.kill()


@pytest.fixture
async def service(server: NatsServer, tmp_path: Path) -> AsyncIterator[RealService]:
    """A service over it."""
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    service.start()
    await asyncio.to_thread(service.wait_until_serving)
    yield service
    service.kill()


@pytest.fixture
async def agents(
    server: NatsServer, service: RealService, tmp_path: Path
) -> AsyncIterator[list[RealAgent]]:
    """One agent that reaches the broker, and one that reaches the service only."""
    found = [
        RealAgent(tmp_path / "direct", {"NATS__URL": server.url}),
        RealAgent(tmp_path / "through", {"SERVER": service.target}, region="ams"),
    ]
    for agent in found:
        agent.start()
    for agent in found:
        await agent.ready()
    yield found
    for agent in found:
        agent.kill()


async def post(agents: list[RealAgent], first: int, count: int) -> None:
    """Have each agent take *count* pushes, and wait until all are in the log."""
    for number in range(first, first + count):
        for index, agent in enumerate(agents):
            await post_until_taken(agent, 1_000 * index + number)
    for agent in agents:
        await agent.until(waiting=0, sent=first + count)


async def missing(client: PlacementClient, count: int) -> list[str]:
    """Return the tags that the service does not know, of all that agents took."""
    found = []
    for tag in (f"v{1_000 * index + n}" for index in (0, 1) for n in range(count)):
        try:
            await client.resolve_reference("acme/web", tag)
        except PlacementCallError as error:
            if error.reason != "MANIFEST_UNKNOWN":
                raise
            found.append(tag)
    return found


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "grown", [pytest.param(2 * LOST - 5, marks=pytest.mark.long), 2 * LOST + 5]
)
async def test_what_the_broker_lost_is_stored_once_more(
    server: NatsServer, service: RealService, agents: list[RealAgent], grown: int
) -> None:
    """Its store is set back, and others fill the gap before any agent looks."""
    await post(agents, 0, KEPT)
    server.stop()
    server.keep_store()
    await asyncio.to_thread(server.start)
    await post(agents, KEPT, LOST)
    server.kill()
    server.put_store_back()
    await asyncio.to_thread(server.start)
    back = time.monotonic()
    await store(server, "grown", grown)

    async with PlacementClient(service.target, timeout_s=10) as client:
        lost_before = lost = await missing(client, KEPT + LOST)
        while True:
            state = (await client.get_service_info()).basis.state
            lost = await missing(client, KEPT + LOST)
            lost_before = max(lost, lost_before, key=len)
            broken = "epoch_broken" in service.output()
            if state == LIVE and broken and not lost:
                break
            assert time.monotonic() - back < HEALED_SECONDS_MAX, (lost, state)
            await asyncio.sleep(POLL_SECONDS)
    healed_s = time.monotonic() - back

    tell(
        "power loss",
        grown=grown,
        acknowledged_and_lost=2 * LOST,
        missing_meanwhile=len(lost_before),
        missing_in_the_end=len(lost),
        healed_s=healed_s,
    )


def pushes(first: int, count: int) -> list[events_pb2.Event]:
    """Return pushes in two regions, so that one call stores several messages."""
    found = [push(f"o{number}") for number in range(first, first + count)]
    for event in found[::2]:
        event.region = "ams"
    return found


async def test_outbox_publishes_again_what_the_log_lost(
    server: NatsServer, service: RealService
) -> None:
    """Several messages a call, and others stored where they were: none is missing."""
    async with PlacementClient(service.target, timeout_s=10) as client:
        outbox = Outbox(client)
        await outbox.publish(pushes(0, KEPT))
        server.stop()
        server.keep_store()
        await asyncio.to_thread(server.start)
        for number in range(LOST):
            while True:
                try:
                    await outbox.publish(pushes(KEPT + 4 * number, 4))
                    break
                except PlacementCallError:
                    await asyncio.sleep(POLL_SECONDS)
        whole = await outbox.reconcile()
        server.kill()
        server.put_store_back()
        await asyncio.to_thread(server.start)
        await store(server, "grown", 3 * LOST)

        async with asyncio.timeout(HEALED_SECONDS_MAX):
            while "rebuild_ended" not in service.output():  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_SECONDS)
        known = (await client.get_service_info()).counts.folded_count
        again = await outbox.reconcile()
        settled = await outbox.reconcile()
        info = await client.get_service_info()

    tell("outbox", events=len(outbox), lost=4 * LOST, published_again=again)
    assert whole == 0
    assert known == KEPT + 3 * LOST, "the log lost them, and the service says so"
    assert again == 4 * LOST
    assert settled == 0
    assert info.counts.folded_count == KEPT + 4 * LOST + 3 * LOST
    assert len(outbox) == KEPT + 4 * LOST
