"""The real program and a flood of contents that nobody ever saw, from one source.

Figures: ``pytest -rP tests/e2e/test_flood.py``; with PLACEMENT_LONG=1 a million.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from placement.bench.measured import quantile
from placement.bench.watched import fill, place
from placement.client import PlacementCallError, PlacementClient
from placement.core.topology import Region
from tests.figures import tell
from tests.flooder import BATCH, batch
from tests.ports import free_port
from tests.real_service import RealService, running
from tests.strategies import LONG
from tests.watching_pages import MIB, figure, rss_bytes

pytestmark = [pytest.mark.timeout(1_800 if LONG else 300), pytest.mark.alone]
KNOWN = 2_000
FLOOD = 1_000_000 if LONG else 20_000
ALLOWED = 100_000 if LONG else 5_000
"""Contents in all: the cap, which operators choose by the memory that they have."""
FLOOD_SECONDS_MAX = 1_200.0
WARM = 20 * BATCH
"""So much is refused before memory is looked at: buffers have grown by then."""
CALLS = 1_000 if LONG else 150
OVER, P99_TIMES = 1.1, 2.0
IAD, SYD = Region("iad"), Region("syd")


@pytest.fixture
def metrics() -> str:
    """Where the service tells its figures."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def service(tmp_path: Path, metrics: str) -> Iterator[RealService]:
    """A service that takes so many contents and no more from callers."""
    settings = {
        "PLACEMENT_METRICS_LISTEN": metrics,
        "PLACEMENT_LIMITS__CONTENTS_MAX": str(ALLOWED),
    }
    with running(RealService(tmp_path, settings=settings, sheds=True)) as found:
        yield found


async def answers(client: PlacementClient) -> tuple[list[object], float]:
    """Return what another region is answered, and the slowest hundredth in ms."""
    found: list[object] = []
    took = []
    for number in range(CALLS):
        began = perf_counter()
        answer = await client.rank_sources(*place(number), SYD)
        took.append(1e3 * (perf_counter() - began))
        found.append([(each.region, each.endpoint) for each in answer.sources])
    return found, quantile(took, 0.99)


class Flood:
    """A process that floods a service until it is told that it is enough."""

    def __init__(self, target: str, first: int, last: int) -> None:
        """Begin."""
        arguments = (target, str(first), str(last))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flooder", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begins(self) -> None:
        """Return once it has made what it is to send."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "made\n"

    def enough(self) -> dict[str, int]:
        """Let it end once it has sent all that it was to send; return what it says."""
        said, _ = self._process.communicate(timeout=FLOOD_SECONDS_MAX)
        found: dict[str, int] = json.loads(said)
        return found


async def test_flood_of_new_contents_stops_at_its_cap(
    service: RealService, metrics: str
) -> None:
    """Memory stays at the cap, others are answered the same and as fast, none is lost.

    The source of the flood goes on all the while, whatever it is told.
    """
    async with PlacementClient(service.target, timeout_s=60) as client:
        await fill(client, [IAD, SYD], KNOWN)
        before, alone_ms = await answers(client)
        filling = Flood(service.target, 0, ALLOWED + WARM)
        await asyncio.to_thread(filling.begins)
        filled = await asyncio.to_thread(filling.enough)
        rss_at_cap = rss_bytes(service.pid)
        flood = Flood(service.target, filled["sent"], FLOOD)
        await asyncio.to_thread(flood.begins)
        await asyncio.sleep(1.0)  # it has begun
        amid, amid_ms = await answers(client)
        told = await asyncio.to_thread(flood.enough)
        rss = rss_bytes(service.pid)
        after, _ = await answers(client)
        with pytest.raises(PlacementCallError, match="contents_max"):
            await client.publish_events(batch(10 * FLOOD).events)
    refused = told["refused"]

    known = await asyncio.to_thread(
        figure, metrics, 'placement_state_rows{table="digests"}'
    )
    counted = await asyncio.to_thread(
        figure, metrics, 'placement_calls_refused_total{reason="contents"}'
    )
    tell(
        "a flood of contents",
        flood=filled["sent"] + told["sent"],
        cap=ALLOWED,
        known=known,
        rss_at_cap_mib=rss_at_cap / MIB,
        rss_times=rss / rss_at_cap,
        p99_times_amid=amid_ms / alone_ms,
    )
    assert known <= ALLOWED + BATCH  # what was on its way when the cap was reached
    assert refused >= 0.9 * told["sent"] / BATCH
    assert counted >= refused
    assert before == amid == after
    assert rss <= OVER * rss_at_cap
    if LONG:  # what others do beside would decide in the gate
        assert amid_ms <= P99_TIMES * alone_ms
