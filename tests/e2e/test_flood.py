"""The real program and a flood of contents that nobody ever saw, from one source.

Figures: ``pytest -rP tests/e2e/test_flood.py``; with PLACEMENT_LONG=1 a million.
"""

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import grpc
import pytest

from placement.bench.measured import quantile
from placement.bench.watched import fill, place
from placement.client import PlacementCallError, PlacementClient
from placement.client.errors import call_error
from placement.core.event import ContentPushed, Event, Identifier
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region
from placement.v1 import event_service_pb2 as event_pb
from placement.v1.event_service_pb2_grpc import EventServiceStub
from placement.wire.events import encode_event
from tests.figures import tell
from tests.ports import free_port
from tests.real_service import RealService, running
from tests.strategies import LONG
from tests.watching_pages import MIB, figure, rss_bytes

KNOWN = 2_000
FLOOD = 1_000_000 if LONG else 30_000
ALLOWED = 100_000 if LONG else 5_000
"""Contents in all: the cap, which operators choose by the memory that they have."""
BATCH = 500
WARM = 20 * BATCH
"""So much is refused before memory is looked at: buffers have grown by then."""
CALLS = 1_000 if LONG else 150
OVER, P99_TIMES = 1.1, 2.0
NOISE = 1.0 if LONG else 2.5
"""In the gate others run beside, and questions are few."""
IAD, SYD = Region("iad"), Region("syd")
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


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
    with running(RealService(tmp_path, settings=settings)) as found:
        yield found


def flood(first: int) -> event_pb.PublishEventsRequest:
    """Return pushes of contents that nobody knows, each in a repository of its own."""
    events = []
    for number in range(first, first + BATCH):
        digest = Digest(f"sha256:{sha256(f'flood {number}'.encode()).hexdigest()}")
        content = Descriptor(digest, LAYER, 1)
        fact = ContentPushed(content, Repository(f"flood/r{number}"))
        events.append(encode_event(Event(Identifier(f"flood-{number}"), IAD, fact)))
    return event_pb.PublishEventsRequest(events=events)


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


async def is_refused(call: Any) -> bool:  # noqa: ANN401 - a call of a stub
    """Say whether a call was refused for what it brings; no other failure is right."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        reason = call_error(error).reason
        if reason in {"CONTENT_LIMIT", "OVERLOADED"}:
            return reason == "CONTENT_LIMIT"
        raise
    return False


async def test_flood_of_new_contents_stops_at_its_cap(
    service: RealService, metrics: str
) -> None:
    """Memory stays at the cap, others are answered the same and as fast, none is lost.

    The source of the flood goes on all the while, whatever it is told.
    """
    refused = 0
    async with (
        PlacementClient(service.target, timeout_s=60) as client,
        grpc.aio.insecure_channel(service.target) as channel,
    ):
        publish = EventServiceStub(channel).PublishEvents
        await fill(client, [IAD, SYD], KNOWN)
        before, alone_ms = await answers(client)
        most = rss_at_cap = first = 0

        async def go_on(until: int, asked: asyncio.Event) -> None:
            nonlocal first, refused, most
            while first < until or not asked.is_set():
                first += BATCH
                refused += await is_refused(publish(flood(first), timeout=60))
                most = max(most, rss_bytes(service.pid))

        asked = asyncio.Event()
        asked.set()
        await go_on(ALLOWED + WARM, asked)
        await asyncio.sleep(1.0)  # the last of them are folded
        rss_at_cap = rss_bytes(service.pid)
        asked.clear()
        flooding = asyncio.create_task(go_on(FLOOD, asked))
        amid, amid_ms = await answers(client)
        asked.set()
        await flooding
        after, after_ms = await answers(client)
        with pytest.raises(PlacementCallError, match="contents_max"):
            await client.publish_events(flood(first + BATCH).events)

    known = await asyncio.to_thread(
        figure, metrics, 'placement_state_rows{table="digests"}'
    )
    counted = await asyncio.to_thread(
        figure, metrics, 'placement_calls_refused_total{reason="contents"}'
    )
    tell(
        "a flood of contents",
        flood=first,
        cap=ALLOWED,
        known=known,
        rss_at_cap_mib=rss_at_cap / MIB,
        rss_times=rss_bytes(service.pid) / rss_at_cap,
        p99_times_amid=amid_ms / alone_ms,
        p99_times_after=after_ms / alone_ms,
    )
    assert known <= ALLOWED + BATCH  # what was on its way when the cap was reached
    assert refused >= (FLOOD - ALLOWED) / BATCH * 0.9
    assert counted >= refused
    assert before == amid == after
    assert most <= OVER * rss_at_cap
    assert amid_ms <= P99_TIMES * NOISE * alone_ms
