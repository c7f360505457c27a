"""``placement inventory`` between a real registry and a real service."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner, Result

from placement.cli.main import main
from tests.docker_registry import DockerRegistry, needs_registry
from tests.inventories import PUSHER, asked_by, stored, tag_as
from tests.ports import free_port
from tests.real_service import RealService, running
from tests.registry_images import WEB, push_image

PATIENCE_S: Final = 10.0

pytestmark = needs_registry


def run(target: str, *arguments: str) -> Result:
    """Return what a command says and answers; a bug in it is raised."""
    command = ("--server", target, "-o", "json", *arguments)
    return CliRunner().invoke(main, command, catch_exceptions=False)


def replicas(service: RealService) -> set[tuple[str, str]]:
    """Return what the service knows of the region."""
    found: dict[str, Any] = json.loads(
        run(service.target, "replicas", "--region", "iad").stdout
    )
    return {(one["repository"], one["digest"]) for one in found["replicas"]}


def settled(service: RealService, expected: set[tuple[str, str]]) -> bool:
    """Say whether the service comes to know just that; it folds in its own time."""
    ends = time.monotonic() + PATIENCE_S
    while replicas(service) != expected:
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


async def push(registry: DockerRegistry) -> str:
    """Push an image with a tag; returns its digest."""
    async with asked_by(registry, PUSHER) as client:
        image = await push_image(client, [700, 800], WEB, 1)
        await tag_as(client, WEB, image.descriptor.digest, "v1")
    return image.descriptor.digest


async def delete(registry: DockerRegistry) -> None:
    """Delete that image's manifest."""
    async with asked_by(registry, PUSHER) as client:
        image = await push_image(client, [700, 800], WEB, 1)
        await client.delete_manifest(WEB, image.descriptor.digest)


def test_command_imports_a_registry_and_heals_it(tmp_path: Path) -> None:
    """A dry run publishes nothing; later what is gone is published as absent."""
    with (
        DockerRegistry(tmp_path / "registry") as registry,
        running(RealService(tmp_path / "service")) as service,
    ):
        command = ("inventory", "--region", "iad", "--registry", registry.url)
        digest = asyncio.run(push(registry))

        dry = run(service.target, *command, "--dry-run")
        assert (dry.exit_code, replicas(service)) == (0, set())
        first = run(service.target, *command)
        assert settled(service, stored(registry))
        asyncio.run(delete(registry))
        second = run(service.target, *command)

        assert settled(service, stored(registry))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert json.loads(dry.stdout)["published"] is False
    told = json.loads(first.stdout)
    assert (told["repository_count"], told["tag_count"]) == (1, 1)
    assert (told["content_count"], told["absence_count"]) == (4, 0)
    assert json.loads(second.stdout)["absence_count"] == 1
    assert (WEB, digest) not in stored(registry)


def test_command_without_a_service_or_a_registry(tmp_path: Path) -> None:
    """4 where nobody can be told, 1 where nothing can be read, 2 for bad input."""
    target = f"127.0.0.1:{free_port()}"
    nowhere = f"http://127.0.0.1:{free_port()}"
    with DockerRegistry(tmp_path) as registry:
        asyncio.run(push(registry))
        untold = run(target, "inventory", "--region", "iad", "--registry", registry.url)
    dry = ("inventory", "--region", "iad", "--dry-run", "--registry", nowhere)
    unread = run(target, *dry)
    unnamed = run(target, "inventory", "--registry", nowhere)

    assert (untold.exit_code, unread.exit_code, unnamed.exit_code) == (4, 1, 2)
    assert "REGISTRY_UNREACHABLE" in unread.stderr


def test_deleted_image_takes_its_tag_along(tmp_path: Path) -> None:
    """Both notifications were lost: the scan finds neither, and says so of both."""
    with (
        DockerRegistry(tmp_path / "registry") as registry,
        running(RealService(tmp_path / "service")) as service,
    ):
        command = ("inventory", "--region", "iad", "--registry", registry.url)
        asyncio.run(push(registry))
        run(service.target, *command)
        assert settled(service, stored(registry))
        before = run(service.target, "show", f"{WEB}:v1")
        asyncio.run(delete(registry))
        told = json.loads(run(service.target, *command).stdout)
        assert settled(service, stored(registry))
        after = run(service.target, "show", f"{WEB}:v1")

    assert before.exit_code == 0
    assert (told["absence_count"], told["removed_tag_count"]) == (1, 1)
    assert after.exit_code == 1
    assert "MANIFEST_UNKNOWN" in after.stderr
