"""The real program and crowds of watchers: who stand still, come back, leave at once.

Figures: ``pytest -rP tests/e2e/test_watch_crowds.py``; with PLACEMENT_LONG=1 those of
docs/faults.md.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Event, Thread, Timer
from time import monotonic, perf_counter
from typing import Any, Self

import grpc
import pytest

from placement.bench.crowds import NARROW
from placement.bench.measured import quantile
from placement.bench.watched import fill, place
from placement.client import PlacementClient
from placement.core.topology import Region
from placement.runtime.tokens import make_token
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from tests.figures import tell
from tests.ports import free_port
from tests.real_service import RealService, running
from tests.strategies import LONG
from tests.watching_pages import MIB, figure, rss_bytes

pytestmark = [pytest.mark.timeout(1_800 if LONG else 300), pytest.mark.alone]
MANY, FEW = 20_000, 500
"""Contents: a snapshot of many does not fit into a connection that is not read."""
HERD = 500 if LONG else 40
STALLED = 100 if LONG else 20
CONNECTIONS = 10
CANCELLED = 50_000 if LONG else 1_000
WARM = 5_000 if LONG else 300
"""Streams after which memory is taken to be what it stays at."""
AT_ONCE = 16
SETTLED_SECONDS = 0.5
MESSAGES = (
    'placement_rpc_stream_messages_total{method="PlacementService/WatchPlacements"}'
)
CALLS = 1_000 if LONG else 200
TURNS = 5 if LONG else 2
RETURN_SECONDS_MAX = 10.0
SNAPSHOTS_MAX = 8
STALLED_TIMES, STALLED_BYTES_MAX = 1.5, 600 * MIB
LEAK_BYTES_MAX = 20 * MIB
PATIENCE_SECONDS = 60.0
HERD_SECONDS_MAX = 240.0
"""A herd that says nothing for so long ends, and the test with it."""


@pytest.fixture
def metrics() -> str:
    """Where the service tells its figures."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def service(
    tmp_path: Path, metrics: str, request: pytest.FixtureRequest
) -> Iterator[RealService]:
    """A service that lets crowds in from one address."""
    settings = {
        "PLACEMENT_METRICS_LISTEN": metrics,
        "PLACEMENT_LIMITS__WATCHES": "1000",
        "PLACEMENT_LIMITS__CALLER_WATCHES": "0",
        "PLACEMENT_LIMITS__SNAPSHOTS": str(getattr(request, "param", SNAPSHOTS_MAX)),
    }
    with running(RealService(tmp_path, settings=settings)) as found:
        yield found


REGIONS = [Region("iad"), Region("syd")]


async def filled(service: RealService, contents: int) -> None:
    """Let *service* know so many contents, in both REGIONS."""
    async with PlacementClient(service.target, timeout_s=PATIENCE_SECONDS) as client:
        await fill(client, REGIONS, contents)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process is about to do."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.05)


async def until_still(counted: Callable[[], float]) -> None:
    """Wait until what is *counted* has stayed the same for SETTLED_SECONDS."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        before = -1.0
        while (now := counted()) != before:
            before = now
            await asyncio.sleep(SETTLED_SECONDS)


async def p99_ms(client: PlacementClient) -> float:
    """Return the slowest hundredth of questions, one after another."""
    took = []
    for number in range(CALLS):
        began = perf_counter()
        await client.rank_sources(*place(number % MANY), REGIONS[0])
        took.append(1e3 * (perf_counter() - began))
    return quantile(took, 0.99)


@asynccontextmanager
async def stalled(target: str) -> AsyncIterator[list[Any]]:
    """Give a while in which watchers take nothing of what they are told."""
    channels = [
        grpc.aio.insecure_channel(target, (*NARROW, ("pool", number)))
        for number in range(CONNECTIONS)
    ]
    stubs = [PlacementServiceStub(channel) for channel in channels]
    calls: list[Any] = [
        stubs[number % CONNECTIONS].WatchPlacements(pb.WatchPlacementsRequest())
        for number in range(STALLED)
    ]
    try:
        yield calls
    finally:
        for call in calls:
            call.cancel()
        for channel in channels:
            await channel.close()


@pytest.mark.long
@pytest.mark.parametrize("service", [1_000], indirect=True)  # all stall at once
async def test_watchers_who_read_nothing_hold_up_nobody(
    service: RealService, metrics: str
) -> None:
    """Others are answered as before, memory is bounded, and they are let go.

    They stand still once they have what fits between the service and a client. While
    they are told that, all at once, the service is as busy as with any who read.
    """

    def watching() -> float:
        return figure(metrics, "placement_watches")

    def sent() -> float:
        return figure(metrics, MESSAGES)

    alone_ms, told_ms, amid_ms, grown = [], [], [], 0
    await filled(service, MANY)
    async with PlacementClient(service.target) as client:
        await p99_ms(client)
        before = rss_bytes(service.pid)
        for _ in range(TURNS):
            await until(lambda: watching() == 0)
            alone_ms.append(await p99_ms(client))
            async with stalled(service.target) as calls:
                await until(lambda: watching() == STALLED)
                told_ms.append(await p99_ms(client))
                await until_still(sent)
                amid_ms.append(await p99_ms(client))
                assert watching() == STALLED
                grown = max(grown, rss_bytes(service.pid) - before)
                await until(lambda: watching() == 0)
                codes = [await code_of(call) for call in calls]

    times = min(amid_ms) / min(alone_ms)
    tell(
        "stalled watchers",
        stalled=STALLED,
        others_p99_times=times,
        others_p99_times_while_told=min(told_ms) / min(alone_ms),
        grown_mib=grown / MIB,
        let_go=codes.count(grpc.StatusCode.ABORTED),
    )
    assert codes == [grpc.StatusCode.ABORTED] * STALLED
    assert times <= STALLED_TIMES
    assert grown <= STALLED_BYTES_MAX


async def code_of(call: Any) -> grpc.StatusCode:  # noqa: ANN401 - a call of a stub
    """Read what is left of a call, and return how it ended."""
    with suppress(grpc.aio.AioRpcError):
        async for _ in call:
            pass
    code: grpc.StatusCode = await call.code()
    return code


class Herd:
    """Watchers in a process of their own, and what they say."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Listen to *process*."""
        self._process = process

    def says(self) -> dict[str, Any]:
        """Return the next thing that it says."""
        assert self._process.stdout is not None
        told = self._process.stdout.readline()
        assert told, "the herd has ended"
        line: dict[str, Any] = json.loads(told)
        return line


@contextmanager
def herd_of(target: str, number: int) -> Iterator[Herd]:
    """Run a herd of so many watchers."""
    arguments = [sys.executable, "-m", "tests.watch_herd", target, str(number)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        late = Timer(HERD_SECONDS_MAX, process.kill)
        late.start()
        try:
            yield Herd(process)
        finally:
            late.cancel()
            process.kill()


class Most:
    """The most that a figure was, looked at again and again."""

    def __init__(self, metrics: str, name: str) -> None:
        """Look at *name* on the page of *metrics*."""
        self.most = 0.0
        self._over = Event()
        self._thread = Thread(target=self._look, args=(metrics, name))

    def _look(self, metrics: str, name: str) -> None:
        while not self._over.wait(0.05):
            with suppress(OSError, AssertionError):  # the service may be down
                self.most = max(self.most, figure(metrics, name))

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()


def test_herd_comes_back_after_a_restart(service: RealService, metrics: str) -> None:
    """All are told a snapshot at first, few at a time; after a restart nobody is."""
    asyncio.run(filled(service, MANY))
    with (
        Most(metrics, "placement_snapshots") as snapshots,
        herd_of(service.target, HERD) as herd,
    ):
        began = herd.says()
        assert began["what"] == "there"
        killed_s = monotonic()
        service.kill()
        service.start()
        service.wait_until_serving()
        served_s = monotonic()
        lost = herd.says()
        assert lost["what"] == "lost"
        assert lost["at"] >= killed_s, "nobody lost it before"
        back = herd.says()
        took_s = monotonic() - served_s

    tell(
        "reconnect herd",
        watchers=HERD,
        first_s=began["seconds"],
        back_s=took_s,
        since_lost_s=back["seconds"],
        snapshots_at_once=snapshots.most,
        snapshots_after_restart=back["snapshots"] - began["snapshots"],
    )
    assert back["what"] == "there"
    assert not LONG or took_s <= RETURN_SECONDS_MAX  # in the gate others run beside
    assert 0 < snapshots.most <= SNAPSHOTS_MAX
    assert back["snapshots"] == began["snapshots"] == HERD


async def test_streams_that_are_cancelled_leave_nothing_behind(
    service: RealService, metrics: str
) -> None:
    """Watches and calls that wait, by our client, each broken off by its caller."""
    numbers = count()
    memory: dict[str, int] = {}
    await filled(service, FEW)
    async with PlacementClient(service.target) as client:
        basis = (await client.get_service_info()).basis
        later = make_token(basis.epoch, basis.sequence + 1_000_000)

        async def break_off(number: int) -> None:
            if number % 5 == 0:  # a call that waits for what never comes
                asking = client.rank_sources(*place(0), REGIONS[0], token=later)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.005):
                        await asking
                return
            async with aclosing(client.watch_placements()) as items:
                await anext(items)

        async def one_after_another(until_number: int) -> None:
            while (number := next(numbers)) < until_number:
                await break_off(number)

        for name, last in (("warm", WARM), ("done", WARM + CANCELLED)):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(one_after_another(last))
            await until(lambda: figure(metrics, "placement_watches") == 0)
            gc.collect()
            memory[f"service {name}"] = rss_bytes(service.pid)
            memory[f"client {name}"] = rss_bytes(os.getpid())
        await until(lambda: open_calls() == 0)

    grown = memory["service done"] - memory["service warm"]
    client_grown = memory["client done"] - memory["client warm"]
    tell(
        "cancelled streams",
        cancelled=CANCELLED,
        grown_mib=grown / MIB,
        client_grown_mib=client_grown / MIB,
        open_calls=open_calls(),
    )
    assert grown <= LEAK_BYTES_MAX
    assert client_grown <= LEAK_BYTES_MAX


def open_calls() -> int:
    """Return how many calls of this process have not ended."""
    gc.collect()
    return sum(
        isinstance(each, grpc.aio.Call) and not each.done() for each in gc.get_objects()
    )
