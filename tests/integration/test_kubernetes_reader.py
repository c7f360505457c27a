"""Following a cluster over a socket: resumed, begun anew, cut, refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx
import pytest

from placement.agent.feeds.times import parse_timestamp_ns
from placement.agent.starts import kubernetes_reader, streams
from placement.agent.starts.kubernetes import PULL_TOLD_NS
from placement.agent.starts.kubernetes_reader import KubernetesReader
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.streams import Api, ApiSettings, SchedulerError
from placement.agent.starts.telling import Teller
from placement.core.event import Event, MachineStarted, MachineStopped, Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.ports import LogUnavailableError
from tests.kubernetes_objects import container, pod, pulled
from tests.scheduler_twins import KubernetesTwin, served

NOW_NS = parse_timestamp_ns("2026-08-01T10:00:12Z", "now")
TOOK = 'Successfully pulled image "x" in 9.1s (9.2s including waiting)'
SETTINGS = StartSettings(
    region=Region("iad"),
    publisher=Name("agent/iad"),
    region_label="topology.kubernetes.io/region",
)


class Log:
    """Keeps what is reported; refuses as often as planned."""

    def __init__(self) -> None:
        """Begin empty."""
        self.events: list[Event] = []
        self.refusals = 0

    async def report(self, events: Sequence[Event]) -> None:
        """Keep *events*, or refuse them."""
        if self.refusals:
            self.refusals -= 1
            message = "disk full"
            raise LogUnavailableError(message)
        self.events += events

    def waits(self) -> dict[str, int | None]:
        """The started machines and how long each waited."""
        facts = [event.fact for event in self.events]
        return {
            fact.machine_id: fact.image_wait_ns
            for fact in facts
            if isinstance(fact, MachineStarted)
        }

    def stops(self) -> list[str]:
        """The stopped machines."""
        facts = [event.fact for event in self.events]
        return [fact.machine_id for fact in facts if isinstance(fact, MachineStopped)]


async def find(_repository: Repository, _tag: Tag) -> Digest | None:
    """No tag is known: pods tell digests."""
    return None


async def until(done: Callable[[], bool]) -> None:
    """Wait until *done*, at most ten seconds."""
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.005)


@pytest.fixture
def twin() -> KubernetesTwin:
    """A cluster of one node."""
    twin = KubernetesTwin()
    labels = {"topology.kubernetes.io/region": "us-east-1"}
    twin.nodes["n1"] = {"metadata": {"name": "n1", "labels": labels}}
    return twin


@pytest.fixture
def log() -> Log:
    """Where the reader reports."""
    return Log()


@pytest.fixture
def clock() -> list[int]:
    """What time it is, in nanoseconds; may be set."""
    return [NOW_NS]


@pytest.fixture
async def reader(
    twin: KubernetesTwin, log: Log, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KubernetesReader]:
    """A reader of the cluster, not yet running, that backs off but briefly."""
    monkeypatch.setattr(streams, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(streams, "BACKOFF_SECONDS_MAX", 0.05)
    monkeypatch.setattr(kubernetes_reader, "DUE_SECONDS", 0.01)
    async with served(twin.app) as url, httpx.AsyncClient() as http:
        api = Api(ApiSettings(url=url, token=lambda: "secret"), http)
        teller = Teller(SETTINGS, log.report, find, lambda: 0.5)
        yield KubernetesReader(api, teller, lambda: clock[0])
        twin.closing = True


@contextlib.asynccontextmanager
async def running(reader: KubernetesReader) -> AsyncIterator[None]:
    """The reader runs meanwhile."""
    task = asyncio.create_task(reader.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def start(twin: KubernetesTwin, uid: str) -> None:
    """A pod of one container pulls its image and starts."""
    twin.change("events", "ADDED", pulled(TOOK, uid=uid))
    twin.change("pods", "MODIFIED", pod(container(), uid=uid))


def watches(twin: KubernetesTwin) -> list[dict[str, str]]:
    """The queries of the watches of pods."""
    return [query for query in twin.asked("/api/v1/pods") if "watch" in query]


async def watching(twin: KubernetesTwin) -> None:
    """Wait until both streams are open."""
    await until(
        lambda: all(
            any("watch" in query for query in twin.asked(f"/api/v1/{path}"))
            for path in ("pods", "events")
        )
    )


async def test_starts_and_stops_are_told_with_their_waits_and_region(
    twin: KubernetesTwin, log: Log, reader: KubernetesReader
) -> None:
    """What ran before is listed; what comes is watched; the node tells the region."""
    twin.change(
        "pods", "ADDED", pod(container(started="2026-07-01T00:00:00Z"), uid="old")
    )
    async with running(reader):
        await watching(twin)
        start(twin, "u-1")
        await until(lambda: "u-1/web" in log.waits())
        twin.change("pods", "DELETED", pod(container(), uid="u-1"))
        await until(lambda: bool(log.stops()))

    assert log.waits() == {"u-1/web": 9_200_000_000}
    assert log.stops() == ["u-1/web"]
    assert {event.region for event in log.events} == {"us-east-1"}
    assert twin.tokens == {"Bearer secret"}
    assert len(twin.asked("/api/v1/nodes/n1")) == 1


async def test_cut_connection_is_resumed_from_the_last_version(
    twin: KubernetesTwin, log: Log, reader: KubernetesReader
) -> None:
    """Half a line is no line: the change comes again, once."""
    async with running(reader):
        await watching(twin)
        for number in range(20):
            twin.cuts["pods"] += number % 3 == 0
            twin.cuts["events"] += number % 4 == 0
            start(twin, f"u-{number}")
            await until(lambda: len(log.waits()) == number + 1)  # noqa: B023 - awaited at once

    assert set(log.waits().values()) == {9_200_000_000}
    assert len(log.events) == 20
    versions = [int(query["resourceVersion"]) for query in watches(twin)]
    assert len(versions) > 1
    assert versions == sorted(versions)
    lists = [query for query in twin.asked("/api/v1/pods") if "watch" not in query]
    assert len(lists) == 1


@pytest.mark.parametrize("over_http", [False, True])
async def test_version_that_is_gone_begins_with_a_list_again(
    twin: KubernetesTwin,
    log: Log,
    reader: KubernetesReader,
    clock: list[int],
    over_http: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """410 comes as a status, or inside the watch; starts missed meanwhile are told.

    Their pulls were told while nobody listened: those starts have no wait.
    """
    twin.http_gone = over_http
    async with running(reader):
        await watching(twin)
        start(twin, "u-1")
        await until(lambda: "u-1/web" in log.waits())
        twin.compact()
        twin.pods["u-2"] = pod(container(), uid="u-2")  # missed: not in the history
        twin.cuts.update(("pods", "events"))
        start(twin, "u-3")
        await until(lambda: len(watches(twin)) == 3)  # first, refused, after the list
        clock[0] += 2 * PULL_TOLD_NS
        await until(lambda: len(log.waits()) == 3)

    assert set(log.waits()) == {"u-1/web", "u-2/web", "u-3/web"}
    assert len(log.waits()) == len(log.events)


async def test_bookmarks_move_the_version_on(
    twin: KubernetesTwin, reader: KubernetesReader
) -> None:
    """A quiet watch resumes from where the server said, not from long ago."""
    async with running(reader):
        await watching(twin)
        twin.bookmark("pods")
        marked = twin.version
        await asyncio.sleep(0.05)
        twin.cuts["pods"] = 1
        twin.change("pods", "MODIFIED", pod(container()))
        await until(lambda: len(watches(twin)) == 2)

    assert int(watches(twin)[-1]["resourceVersion"]) == marked


async def test_refusals_and_a_full_disk_delay_and_lose_nothing(
    twin: KubernetesTwin, log: Log, reader: KubernetesReader
) -> None:
    """The API is down, then the spool is: each is tried again."""
    twin.failures = [503, 500, 401, 503, 429]
    log.refusals = 3
    async with running(reader):
        await watching(twin)
        start(twin, "u-1")
        await until(lambda: "u-1/web" in log.waits())

    assert log.waits() == {"u-1/web": 9_200_000_000}
    assert (twin.failures, log.refusals) == ([], 0)


async def test_running_machines_are_listed_page_by_page(
    twin: KubernetesTwin, reader: KubernetesReader
) -> None:
    """Every running container of every page, with its region and digest."""
    for number in range(600):
        twin.pods[f"u-{number}"] = pod(container(), uid=f"u-{number}")
    twin.pods["done"] = pod(container(ended="2026-08-01T10:00:11Z"), uid="done")

    machines = [machine async for machine in reader.machines()]

    assert len({machine.machine_id for machine in machines}) == len(machines) == 600
    assert {machine.region for machine in machines} == {"us-east-1"}
    assert len(twin.asked("/api/v1/pods")) == 3


async def test_listing_that_fails_half_way_says_so(
    twin: KubernetesTwin, reader: KubernetesReader
) -> None:
    """A count must not take the unread rest for gone."""
    for number in range(300):
        twin.pods[f"u-{number}"] = pod(container(), uid=f"u-{number}")
    listed = reader.machines()
    await anext(listed)
    twin.failures = [500]

    with pytest.raises(SchedulerError, match="answered 500"):
        _ = [machine async for machine in listed]


async def test_token_is_read_anew_for_every_request_and_never_shown(
    twin: KubernetesTwin, tmp_path: Path
) -> None:
    """A service account's token is renewed while the agent runs; a lost one is told."""
    token_file = tmp_path / "token"
    token_file.write_text("first")

    async with served(twin.app) as url, httpx.AsyncClient() as http:
        settings = ApiSettings(url=url, token=token_file.read_text)
        api = Api(settings, http)
        await api.get("/api/v1/nodes", {"limit": 1})
        token_file.write_text("second")
        await api.get("/api/v1/nodes", {"limit": 1})
        token_file.unlink()
        with pytest.raises(SchedulerError, match="token cannot be read"):
            await api.get("/api/v1/nodes", {"limit": 1})

    assert twin.tokens == {"Bearer first", "Bearer second"}
    assert "first" not in repr(settings)
