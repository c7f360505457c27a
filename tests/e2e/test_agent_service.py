"""The real agent without NATS of its own: what it took reaches the log by a service."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.client import PlacementCallError, PlacementClient
from tests.e2e.test_agent import post_until_taken
from tests.real_agent import RealAgent
from tests.real_service import POLL_SECONDS, RealService


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[RealService]:
    """A service with a broker of its own."""
    service = RealService(tmp_path / "service")
    service.start()
    await asyncio.to_thread(service.wait_until_serving)
    yield service
    service.kill()


@pytest.fixture
async def agent(service: RealService, tmp_path: Path) -> AsyncIterator[RealAgent]:
    """An agent that knows nothing but the service."""
    beside = RealAgent(tmp_path / "agent", {"SERVER": service.target})
    beside.start()
    await beside.ready()
    yield beside
    beside.kill()


async def until_known(service: RealService, count: int) -> None:
    """Return once the service knows the tags v0 to v*count* - 1."""
    async with PlacementClient(service.target, timeout_s=5) as client:
        for number in range(count):
            async with asyncio.timeout(30):
                while True:
                    try:
                        await client.resolve_reference("acme/web", f"v{number}")
                        break
                    except PlacementCallError as error:
                        if error.reason != "MANIFEST_UNKNOWN":
                            raise
                        await asyncio.sleep(POLL_SECONDS)


async def test_service_that_is_away_gets_everything_once_it_is_back(
    service: RealService, agent: RealAgent
) -> None:
    """Killed with its broker; meanwhile the registry is answered at once."""
    await post_until_taken(agent, 0)
    await agent.until(waiting=0)
    service.kill()
    for number in range(1, 10):
        await post_until_taken(agent, number)
    away = await agent.health()

    service.start()
    await asyncio.to_thread(service.wait_until_serving)
    await agent.until(waiting=0, sent=10)

    assert away["waiting"] == 9
    await until_known(service, 10)


async def test_service_whose_log_was_lost_gets_everything_again(
    service: RealService, agent: RealAgent
) -> None:
    """Its disk is gone: the agent notices the new epoch while nothing is pushed."""
    for number in range(10):
        await post_until_taken(agent, number)
    await agent.until(waiting=0, sent=10)
    service.stop()
    shutil.rmtree(service.data_dir)

    service.start()
    await asyncio.to_thread(service.wait_until_serving)
    await agent.until(waiting=0, sent=20)

    await until_known(service, 10)
