"""The README's tour with a real registry: its own configuration, its own commands."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from placement.client import PlacementCallError, PlacementClient
from placement.v1 import events_pb2
from tests.docs.scenarios import own_registry, read, with_own_ports
from tests.docs.terminal import Terminal, terminal
from tests.documented import ROOT, Block, blocks, commands
from tests.figures import tell
from tests.oci_layout import write_image
from tests.real_service import POLL_SECONDS

README = ROOT / "README.md"
REGISTRY = shutil.which("docker-registry")
SKOPEO = shutil.which("skopeo")
DEADLINE_SECONDS = 15
COMMANDS_MAX = 5
FIRST_ANSWER_SECONDS_MAX = 300

pytestmark = pytest.mark.skipif(
    not (REGISTRY and SKOPEO),
    reason="docker-registry and skopeo are not installed: tools/setup --checks does it",
)


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
def tour(tmp_path: Path) -> Iterator[Terminal]:
    """Type what the README's first five minutes say, here and now."""
    quiet = {"PLACEMENT_PLANNER__ENABLED": "false"}
    with terminal(tmp_path / "reader", **quiet) as opened:
        read(opened, "README.md")
        yield opened


def until_the_first_answer() -> list[Block]:
    """Return the README's blocks of commands up to the first answer."""
    found = [each for each in blocks(README) if each.language == "console"]
    first = [" estimate " in each.text for each in found].index(True)
    return found[: first + 1]


def test_first_answer_takes_few_commands() -> None:
    """At most five commands from a fresh clone to the first useful answer."""
    typed = [each for block in until_the_first_answer() for each in commands(block)]

    assert " estimate " in typed[-1].text
    assert len(typed) <= COMMANDS_MAX


@pytest.mark.long
@pytest.mark.timeout(900)
def test_first_answer_from_a_fresh_clone(tmp_path: Path) -> None:
    """The README alone leads from a clone to an answer about one's own registry."""
    clone = tmp_path / "placement"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)

    with terminal(clone) as opened:
        with_own_ports(opened, blocks(README))
        own_registry(opened)
        for block in until_the_first_answer():
            opened.run(block)

        took = opened.seconds
        tell("the first answer", commands=len(took), seconds=sum(took.values()))
        tell("each of the commands", **took)
        assert sum(took.values()) <= FIRST_ANSWER_SECONDS_MAX


@pytest.mark.timeout(300)
async def test_tour_of_the_readme(tour: Terminal, tmp_path: Path) -> None:
    """Its commands work; then a push, a pull and a delete are known within seconds."""
    registry = tour.rules["127.0.0.1:5000"]
    image = f"docker://{registry}/acme/web:v3"
    digest = write_image(tmp_path / "app", "v3", (310_000, 20_000), seed=3)

    async with PlacementClient(tour.listen, timeout_s=5) as client:

        async def resolved() -> bool:
            answer = await client.resolve_reference("acme/web", "v3")
            return answer.content.digest == digest

        async def pulled() -> bool:
            placement = (await client.get_placement("acme/web", "v3")).placement
            return [d.pull_count for d in placement.demands] == [1]

        async def gone() -> bool:
            answer = await client.rank_sources("acme/web", digest, "syd")
            return not answer.sources and answer.fallback.region == "iad"

        skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/app:v3", image)
        await until(resolved)
        pushed = (await client.get_placement("acme/web", "v3")).placement
        assert [(r.region, r.complete) for r in pushed.regions] == [("iad", True)]
        assert pushed.image_size_bytes > 320_000
        assert not pushed.demands, "a push asks HEAD for every blob: that is no use"

        skopeo("copy", "--src-tls-verify=false", image, f"oci:{tmp_path}/got:v3")
        await until(pulled)
        stored = await client.publish_events([start_in_sydney(digest)])
        preview = await client.preview_replications(
            "acme/web", "v3", token=stored.token
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
