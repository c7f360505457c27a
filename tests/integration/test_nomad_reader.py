"""Following Nomad's stream over a socket: resumed by index, cut, refused."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from placement.agent.starts import streams
from placement.agent.starts.nomad_reader import NomadReader
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.streams import Api, ApiSettings
from placement.agent.starts.telling import Teller
from placement.core.event import CacheKind, MachineStarted, Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from tests.integration.test_kubernetes_reader import Log, until
from tests.scheduler_twins import NomadTwin, served

CAPTURED = Path(__file__).parents[1] / "golden/starts/nomad-allocation.json"
DIGEST = Digest(f"sha256:{'d' * 64}")
STARTED_NS = 1_678_984_379_681_876_071
SETTINGS = StartSettings(
    region=Region("iad"), publisher=Name("agent/iad"), region_label="region"
)


async def find(repository: Repository, _tag: Tag) -> Digest | None:
    """Every tag is known, but those of acme/gone."""
    return None if repository == "acme/gone" else DIGEST


def allocation(name: str, *, told: bool = True) -> dict[str, Any]:
    """An allocation with one running task; *told*: its events name the image."""
    document = json.loads(CAPTURED.read_text(encoding="utf-8"))["body"]
    found: dict[str, Any] = document["Events"][0]["Payload"]["Allocation"]
    del found["TaskStates"]["create_filesystem"]
    found |= {"ID": name, "JobID": f"job-{name}"}
    if not told:
        events = found["TaskStates"]["job1"]["Events"]
        events[:] = [event for event in events if event["Type"] != "Driver"]
    return found


def job(image: str) -> dict[str, Any]:
    """A job whose task runs *image*."""
    tasks = [{"Name": "job1", "Driver": "docker", "Config": {"image": image}}]
    return {"TaskGroups": [{"Name": "job1Group", "Tasks": tasks}]}


@pytest.fixture
def twin() -> NomadTwin:
    """A cluster of one node."""
    twin = NomadTwin()
    twin.nodes["ebd78455-3ffb-4678-b569-a2b813c31981"] = {"Meta": {"region": "fra"}}
    return twin


@pytest.fixture
def log() -> Log:
    """Where the reader reports."""
    return Log()


@pytest.fixture
async def reader(
    twin: NomadTwin, log: Log, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[NomadReader]:
    """A reader of the cluster, not yet running, that backs off but briefly."""
    monkeypatch.setattr(streams, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(streams, "BACKOFF_SECONDS_MAX", 0.05)
    async with served(twin.app) as url, httpx.AsyncClient() as http:
        named = {"header": "X-Nomad-Token", "scheme": ""}
        api = Api(ApiSettings(url=url, token=lambda: "secret", **named), http)
        teller = Teller(SETTINGS, log.report, find, lambda: 0.5)
        yield NomadReader(api, teller, lambda: STARTED_NS + 10**9)
        twin.closing = True


@contextlib.asynccontextmanager
async def running(reader: NomadReader) -> AsyncIterator[None]:
    """The reader runs meanwhile."""
    task = asyncio.create_task(reader.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_start_is_told_with_its_wait_and_region(
    twin: NomadTwin, log: Log, reader: NomadReader
) -> None:
    """The tag is resolved when the task starts; the node's metadata is the region."""
    async with running(reader):
        twin.change(allocation("a-1"))
        await until(lambda: bool(log.events))

    (event,) = log.events
    assert isinstance(event.fact, MachineStarted)
    assert (event.region, event.fact.digest) == ("fra", DIGEST)
    assert event.fact.image_wait_ns == 19_028_083_170
    assert twin.tokens == {"secret"}


async def test_cut_stream_is_resumed_by_index_and_tells_nothing_twice(
    twin: NomadTwin, log: Log, reader: NomadReader
) -> None:
    """The index is asked for again: what was told from it is known."""
    async with running(reader):
        for number in range(20):
            twin.cuts["stream"] += number % 3 == 0
            twin.change(allocation(f"a-{number}"))
            await until(lambda: len(log.events) == number + 1)  # noqa: B023 - awaited at once

    assert len({event.event_id for event in log.events}) == len(log.events) == 20
    indexes = [int(query["index"]) for query in twin.asked("/v1/event/stream")]
    assert len(indexes) > 1
    assert indexes == sorted(indexes)


async def test_image_that_no_event_tells_is_asked_for_once_a_job(
    twin: NomadTwin, log: Log, reader: NomadReader
) -> None:
    """The image was on the host: the driver told nothing, the stream has no job."""
    image = job("registry.example.com/acme/web:v1")
    async with running(reader):
        for number in range(3):
            document = {**allocation(f"a-{number}", told=False), "JobID": "one"}
            twin.change(document, image)
        await until(lambda: len(log.events) == 3)

    facts = [event.fact for event in log.events]
    assert {fact.cache for fact in facts if isinstance(fact, MachineStarted)} == {
        CacheKind.HOST
    }
    asked = [path for path, _ in twin.requests if path.startswith("/v1/allocation/")]
    assert asked == ["/v1/allocation/a-0"]


async def test_refusals_delay_and_lose_nothing(
    twin: NomadTwin, log: Log, reader: NomadReader
) -> None:
    """Also in the middle of asking for a node or an image."""
    twin.failures = [500, 503]
    log.refusals = 2
    async with running(reader):
        await until(lambda: not twin.failures)
        twin.failures = [500, 500]
        twin.change(allocation("a-1", told=False), job("acme/web:v1"))
        await until(lambda: bool(log.events))

    assert len(log.events) == 1


async def test_running_tasks_are_listed_page_by_page(
    twin: NomadTwin, reader: NomadReader
) -> None:
    """With the images of the jobs that their events do not tell."""
    for number in range(300):
        twin.change(allocation(f"a-{number}", told=number % 2 == 0), job("acme/web:v1"))
    ended = allocation("a-0")
    ended["TaskStates"]["job1"]["State"] = "dead"
    twin.change(ended)

    machines = [machine async for machine in reader.machines()]

    assert len({machine.machine_id for machine in machines}) == len(machines) == 299
    assert {machine.image.repository for machine in machines} == {
        "acme/web",
        "linuxserver/job1",
    }
    assert len(twin.asked("/v1/allocations")) == 2
