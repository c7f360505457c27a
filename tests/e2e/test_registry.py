"""The README's tour with a real registry: its own configuration, its own commands."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from placement.client import PlacementCallError, PlacementClient
from placement.v1 import events_pb2
from tests.oci_layout import write_image
from tests.ports import free_port
from tests.real_service import POLL_SECONDS, RealService, running

README = Path(__file__).parents[2] / "README.md"
REGISTRY = shutil.which("docker-registry")
SKOPEO = shutil.which("skopeo")
DEADLINE_SECONDS = 15

pytestmark = pytest.mark.skipif(
    not (REGISTRY and SKOPEO),
    reason="docker-registry and skopeo are not installed: tools/setup --checks does it",
)


def registry_configuration(directory: Path, port: int, agent_port: int) -> Path:
    """Write the README's registry.yml, with our ports and folder."""
    block = re.search(
        r"```yaml\n# registry.yml\n(.*?)```", README.read_text(), re.DOTALL
    )
    assert block is not None
    text = block[1].replace("127.0.0.1:5000", f"127.0.0.1:{port}")
    text = text.replace("127.0.0.1:7451", f"127.0.0.1:{agent_port}")
    text = text.replace("/tmp/registry", str(directory / "registry"))  # noqa: S108 - the README's
    path = directory / "registry.yml"
    path.write_text(text)
    return path


@contextmanager
def program(directory: Path, name: str, *command: str) -> Iterator[None]:
    """Run a command beside the test, its output in a file, and end it afterwards."""
    with (directory / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=directory, env={**os.environ}
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def until_answers(url: str) -> None:
    """Return once *url* answers anything."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=1)  # noqa: S310 - our own loopback URL
        except OSError:
            assert time.monotonic() < ends, url
            time.sleep(POLL_SECONDS)
        else:
            return


def skopeo(*arguments: str) -> None:
    """Run skopeo without TLS, against loopback only."""
    command = [str(SKOPEO), "--insecure-policy", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    """Return once *asked* says yes; unknown content is a no."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            if await asked():
                return
        except PlacementCallError as error:
            if error.reason != "MANIFEST_UNKNOWN":
                raise
        assert time.monotonic() < ends
        await asyncio.sleep(POLL_SECONDS)


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[tuple[RealService, str]]:
    """Run the README's service, agent and registry; yield the registry's address."""
    service = RealService(tmp_path / "service")
    port, agent_port = free_port(), free_port()
    configuration = registry_configuration(tmp_path, port, agent_port)
    agent = [
        *(sys.executable, "-m", "placement", "agent", "--region", "iad"),
        *("--listen", f"127.0.0.1:{agent_port}", "--server"),
    ]
    with (
        running(service),
        program(tmp_path, "agent", *agent, service.target),
        program(tmp_path, "registry", str(REGISTRY), "serve", str(configuration)),
    ):
        until_answers(f"http://127.0.0.1:{agent_port}/healthz")
        until_answers(f"http://127.0.0.1:{port}/v2/")
        yield service, f"127.0.0.1:{port}"


async def test_tour_of_the_readme(
    tour: tuple[RealService, str], tmp_path: Path
) -> None:
    """A push, a pull and a delete at a real registry are known within seconds."""
    service, registry = tour
    image = f"docker://{registry}/acme/web:v1"
    digest = write_image(tmp_path / "app", "v1", (300_000, 20_000), seed=1)

    async with PlacementClient(service.target, timeout_s=5) as client:

        async def resolved() -> bool:
            answer = await client.resolve_reference("acme/web", "v1")
            return answer.content.digest == digest

        async def pulled() -> bool:
            placement = (await client.get_placement("acme/web", "v1")).placement
            return [d.pull_count for d in placement.demands] == [1]

        async def gone() -> bool:
            answer = await client.rank_sources("acme/web", digest, "syd")
            return not answer.sources and answer.fallback.region == "iad"

        skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/app:v1", image)
        await until(resolved)
        pushed = (await client.get_placement("acme/web", "v1")).placement
        assert [(r.region, r.complete) for r in pushed.regions] == [("iad", True)]
        assert pushed.image_size_bytes > 320_000
        assert not pushed.demands, "a push asks HEAD for every blob: that is no use"

        skopeo("copy", "--src-tls-verify=false", image, f"oci:{tmp_path}/got:v1")
        await until(pulled)
        stored = await client.publish_events([start_in_sydney(digest)])
        preview = await client.preview_replications(
            "acme/web", "v1", token=stored.token
        )
        assert [r.target_region for r in preview.replications] == ["syd"]
        assert preview.replications[0].transfer_bytes == pushed.image_size_bytes

        skopeo("delete", "--tls-verify=false", image)
        await until(gone)


def start_in_sydney(digest: str) -> events_pb2.Event:
    """Return a machine's start of the image, far from where it is."""
    started = events_pb2.MachineStarted(
        digest=digest, repository="acme/web", machine_id="m"
    )
    return events_pb2.Event(event_id="s", region="syd", machine_started=started)
