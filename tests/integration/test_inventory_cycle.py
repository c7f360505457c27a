"""An inventory that runs for ever: in the agent, and in its own time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from placement.agent.inventory.inventory import Inventory
from placement.core.oci import Repository
from placement.core.topology import Region
from tests.docker_registry import DockerRegistry, needs_registry
from tests.inventories import (
    PUSHER,
    Folded,
    asked_by,
    inventory_of,
    stored,
    tag_as,
)
from tests.real_agent import RealAgent
from tests.real_service import RealService, running
from tests.registry_images import WEB, push_image

IAD: Final = Region("iad")
PATIENCE_S: Final = 20.0

pytestmark = needs_registry


async def push(registry: DockerRegistry, repository: Repository, seed: int) -> None:
    """Push an image with a tag."""
    async with asked_by(registry, PUSHER) as client:
        image = await push_image(client, [700, 800], repository, seed)
        await tag_as(client, repository, image.descriptor.digest, "v1")


@contextlib.asynccontextmanager
async def run_of(inventory: Inventory) -> AsyncIterator[None]:
    """Run an inventory beside a test."""
    task = asyncio.create_task(inventory.run())
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until_complete(folded: Folded, count: int) -> None:
    """Wait for so many whole scans."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(page.complete for page in folded.pages) < count:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)


async def test_scans_come_once_an_interval_and_outlive_a_registry(
    tmp_path: Path,
) -> None:
    """What is pushed between them is known; a registry that was away is read again."""
    folded = Folded(IAD)
    registry = DockerRegistry(tmp_path)
    with registry:
        await push(registry, WEB, 1)
        async with asked_by(registry) as client:
            inventory = inventory_of(client, folded, interval_ns=500_000_000)
            async with run_of(inventory):
                await until_complete(folded, 1)
                await push(registry, Repository("acme/api"), 2)
                await until_complete(folded, 2)
                registry.kill()
                await asyncio.sleep(1.0)
                registry.start()
                await push(registry, Repository("acme/db"), 3)
                count = sum(page.complete for page in folded.pages)
                await until_complete(folded, count + 2)

    assert folded.present() == stored(registry)
    times = sorted({page.scan_time_ns for page in folded.pages})
    assert all(b - a >= 500_000_000 for a, b in pairwise(times))


async def test_scan_is_not_repeated_after_a_restart(tmp_path: Path) -> None:
    """A finished one is remembered: restarts do not cost the registry a scan each."""
    folded = Folded(IAD)
    path = tmp_path / "inventory.json"
    with DockerRegistry(tmp_path / "registry") as registry:
        await push(registry, WEB, 1)
        async with asked_by(registry) as client:
            await inventory_of(client, folded, position_file=path).scan()
            async with run_of(inventory_of(client, folded, position_file=path)):
                await asyncio.sleep(0.5)

    assert [page.complete for page in folded.pages] == [True]


async def test_agent_tells_of_a_registry_that_was_full_before_it(
    tmp_path: Path,
) -> None:
    """The real agent, its spool, the real service: all of it is known at once."""
    with DockerRegistry(tmp_path / "registry") as registry:
        for number in range(3):
            await push(registry, Repository(f"acme/app-{number}"), number)
        service = RealService(tmp_path / "service")
        with running(service):
            agent = RealAgent(
                tmp_path / "agent",
                {"SERVER": service.target, "AGENT__REGISTRY__URL": registry.url},
            )
            agent.start()
            try:
                await agent.ready()
                known = await known_of(service, len(stored(registry)))
            finally:
                agent.kill()

    assert known == stored(registry)
    assert (tmp_path / "agent").exists()


async def known_of(service: RealService, count: int) -> set[tuple[str, str]]:
    """Return what the service knows of, once that is so many contents."""
    from placement.client import PlacementClient  # noqa: PLC0415 - costs 0.3 s

    found: set[tuple[str, str]] = set()
    async with asyncio.timeout(PATIENCE_S), PlacementClient(service.target) as client:
        while len(found) < count:
            await asyncio.sleep(0.05)
            listed = client.list_replicas("iad")
            found = {(one.repository, one.digest) async for one in listed}
    return found
