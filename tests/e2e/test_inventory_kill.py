"""The real agent, killed in the middle of a scan: it goes on, and all of it is told."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import pytest

from placement.client import PlacementClient
from placement.core.oci import Repository
from tests.docker_registry import DockerRegistry, needs_registry
from tests.figures import tell
from tests.inventories import PUSHER, asked_by, stored, tag_as
from tests.real_agent import RealAgent
from tests.real_service import RealService, running
from tests.registry_images import push_image

PATIENCE_S: Final = 30.0
REPOSITORIES: Final = 4
LAYERS: Final = 70
"""More than a page is worth, so that the position moves on after each repository."""

pytestmark = needs_registry


async def fill(registry: DockerRegistry) -> None:
    """Push an image of many layers into each repository."""
    async with asked_by(registry, PUSHER) as client:
        for number in range(REPOSITORIES):
            name = Repository(f"acme/app-{number}")
            image = await push_image(client, [300] * LAYERS, name, number)
            await tag_as(client, name, image.descriptor.digest, "v1")


def position(file: Path) -> dict[str, Any]:
    """Return how far the agent's scan is."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {"after": "", "finished": False}
    return found


async def until(file: Path, name: str) -> dict[str, Any]:
    """Return the position once it says *name*."""
    async with asyncio.timeout(PATIENCE_S):
        while not position(file)[name]:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    return position(file)


@pytest.mark.long
async def test_agent_that_is_killed_goes_on_with_its_scan(tmp_path: Path) -> None:
    """Kill -9 after the first repositories: none is read twice, none is left out."""
    file = tmp_path / "agent/state/inventory.json"
    with DockerRegistry(tmp_path / "registry") as registry:
        await fill(registry)
        service = RealService(tmp_path / "service")
        with running(service):
            told = {"SERVER": service.target, "AGENT__REGISTRY__URL": registry.url}
            agent = RealAgent(tmp_path / "agent", told)
            try:
                agent.start(AGENT__INVENTORY__REQUESTS_PER_SECOND="60")
                killed = await until(file, "after")
                agent.kill()
                agent.start()
                done = await until(file, "finished")
                known = await known_of(service, stored(registry))
            finally:
                agent.kill()

    [line] = [
        json.loads(line)
        for line in agent.output().splitlines()
        if '"inventory_taken"' in line
    ]
    whole = len(stored(registry)) + REPOSITORIES
    tell("a killed scan", requests_after=line["request_count"], of=whole)
    assert not killed["finished"]
    assert known == stored(registry)
    assert done["scan_time_ns"] == killed["scan_time_ns"]
    assert (done["repository_count"], done["failed_count"]) == (REPOSITORIES, 0)
    assert done["content_count"] == len(stored(registry))
    assert line["request_count"] < whole


async def known_of(
    service: RealService, expected: set[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return what the service knows of, once that is all, or too late."""
    found: set[tuple[str, str]] = set()
    ends = time.monotonic() + PATIENCE_S
    async with PlacementClient(service.target) as client:
        while found != expected and time.monotonic() < ends:
            await asyncio.sleep(0.05)
            listed = client.list_replicas("iad")
            found = {(one.repository, one.digest) async for one in listed}
    return found
