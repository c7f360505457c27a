"""One app's deployments alternate between two registries, as their authors promise.

"It is safe to switch between the default registry and registry2 as much as you need."
The default one is iad's, the global one is the nearest: here syd's. Each is reached by
the mirror of its own agent.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from placement.client import PlacementClient
from tests.docker_registry import DockerRegistry, needs_registry
from tests.inventories import stored
from tests.oci_layout import write_image
from tests.ports import free_port
from tests.real_agent import RealAgent
from tests.real_service import RealService, running

SKOPEO: Final = shutil.which("skopeo")
ROUNDS: Final = 20 if os.environ.get("PLACEMENT_LONG") else 3
NAME: Final = "acme/web"
REGIONS: Final = ("iad", "syd")
PATIENCE_S: Final = 60.0
COPY_SECONDS: Final = 60

pytestmark = [
    needs_registry,
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A region: its registry, its agent, and the address of its mirror."""

    registry: DockerRegistry
    agent: RealAgent
    mirror: str


@contextmanager
def places(directory: Path, service: RealService) -> Iterator[dict[str, Place]]:
    """Run both regions' registries and agents."""
    found: dict[str, Place] = {}
    with ExitStack() as stack:
        for region in REGIONS:
            agent = RealAgent(directory / f"agent-{region}", region=region)
            agent.port = free_port()
            registry = DockerRegistry(
                directory / f"registry-{region}", region, {"notifications": told(agent)}
            )
            stack.enter_context(registry)
            mirror = f"127.0.0.1:{free_port()}"
            found[region] = Place(registry, agent, mirror)
        for region, place in found.items():
            others = {
                other: {"url": it.registry.url}
                for other, it in found.items()
                if other != region
            }
            stack.callback(place.agent.stop)
            place.agent.start(
                SERVER=service.target,
                AGENT__REGISTRY__URL=place.registry.url,
                AGENT__SOURCES=json.dumps(others),
                AGENT__ROUTER__LISTEN=place.mirror,
                AGENT__INVENTORY__INTERVAL_SECONDS="0",
            )
        yield found


def told(agent: RealAgent) -> dict[str, Any]:
    """Return how a registry notifies *agent*."""
    endpoint = {
        "name": "placement",
        "url": agent.notifications,
        "timeout": "1s",
        "threshold": 3,
        "backoff": "1s",
    }
    return {"events": {"includereferences": True}, "endpoints": [endpoint]}


async def copied(source: str, target: str) -> None:
    """Copy an image with skopeo, which must succeed."""
    process = await asyncio.create_subprocess_exec(
        *(str(SKOPEO), "--insecure-policy", "copy", "--quiet"),
        *("--src-tls-verify=false", "--dest-tls-verify=false", source, target),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(COPY_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0, f"{source} to {target}: {output.decode()}"


def counted(place: Place, service: RealService) -> None:
    """Take one inventory of a region, now."""
    subprocess.run(
        [
            *(sys.executable, "-m", "placement", "--server", service.target),
            *("inventory", "--region", place.agent.region),
            *("--registry", place.registry.url),
        ],
        check=True,
        capture_output=True,
        cwd=place.agent.directory,
        timeout=60,
    )


async def known(service: RealService) -> set[tuple[str, str, str]]:
    """Return what the service believes: repository, digest, region."""
    async with PlacementClient(service.target, timeout_s=5) as client:
        return {
            (one.repository, one.digest, one.region)
            async for one in client.list_replicas()
        }


async def test_twenty_alternations_leave_every_image_pullable_from_both(
    tmp_path: Path,
) -> None:
    """Pulls are under way all the time; one inventory makes the state the listing."""
    digests = {
        n: write_image(tmp_path / f"image-{n}", f"v{n}", (40_000, 20_000 + n), seed=n)
        for n in range(ROUNDS)
    }
    with (
        running(RealService(tmp_path / "service")) as service,
        places(tmp_path, service) as found,
    ):
        for place in found.values():
            await place.agent.ready()
        pulls: list[asyncio.Task[None]] = []
        for n in range(ROUNDS):
            here, there = (found[REGIONS[(n + k) % 2]].mirror for k in (0, 1))
            pushing = copied(
                f"oci:{tmp_path}/image-{n}:v{n}", f"docker://{here}/{NAME}:v{n}"
            )
            await asyncio.gather(
                pushing, copied_again(there, n - 1, tmp_path / f"early-{n}")
            )
            got = f"oci:{tmp_path}/got-{n}:v{n}"
            pulls.append(
                asyncio.create_task(copied(f"docker://{there}/{NAME}:v{n}", got))
            )
        await asyncio.gather(*pulls)
        for n in range(ROUNDS):
            for region, place in found.items():
                last = tmp_path / f"last-{region}-{n}"
                await copied(f"docker://{place.mirror}/{NAME}:v{n}", f"oci:{last}:v{n}")
                index = json.loads((last / "index.json").read_text())
                assert index["manifests"][0]["digest"] == digests[n]
        for place in found.values():
            await asyncio.to_thread(counted, place, service)
        listing = {
            (*one, region)
            for region, place in found.items()
            for one in stored(place.registry)
        }
        ends = time.monotonic() + PATIENCE_S
        while await known(service) != listing:
            assert time.monotonic() < ends, (await known(service)) ^ listing
            await asyncio.sleep(0.1)

    assert {digest for _, digest, _ in listing} >= set(digests.values())


async def copied_again(mirror: str, n: int, into: Path) -> None:
    """Pull the image before, while the next one is pushed."""
    if n >= 0:
        await copied(f"docker://{mirror}/{NAME}:v{n}", f"oci:{into}:v{n}")
