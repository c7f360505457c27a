"""A broker that is away for ten minutes: answers go on, and nothing grows.

Figures of a run: ``pytest -m long -rP tests/e2e/test_long_outage.py``.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest

from placement.client import PlacementClient
from tests.e2e.test_broker_kills import (
    FOLDED_SECONDS_MAX,
    STALE,
    Load,
    push,
    seconds_until_folded,
    seconds_until_stale,
)
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_service import RealService, running

OUTAGE_SECONDS = 600.0
SETTLED_SECONDS = 30.0
"""Into the outage: what it takes at first, and once, is taken by then."""
LOOK_SECONDS = 5.0
GROWN_BYTES_MAX = 8 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(service: RealService) -> int:
    """Return how much memory a service has in use."""
    pages = Path(f"/proc/{service.pid}/statm").read_text().split()[1]
    return int(pages) * PAGE_BYTES


async def watched_outage(
    service: RealService, client: PlacementClient
) -> tuple[float, list[int]]:
    """Return after how long STALE was said, and the memory in use now and then."""
    ends = time.monotonic() + OUTAGE_SECONDS
    stale_s, found = await seconds_until_stale(client), []
    await asyncio.sleep(SETTLED_SECONDS)
    while time.monotonic() < ends:
        found.append(resident_bytes(service))
        info = await client.get_service_info()
        assert info.basis.state == STALE
        await asyncio.sleep(LOOK_SECONDS)
    assert info.basis.staleness.seconds > OUTAGE_SECONDS - 2 * LOOK_SECONDS
    return stale_s, found


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_ten_minutes_without_the_broker(tmp_path: Path) -> None:
    """Publishers try all the time; then the next event is folded at once."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    try:
        with running(service):
            async with PlacementClient(service.target, timeout_s=10) as client:
                first = await client.publish_events([push("first")])
                await client.resolve_reference("acme/web", "first", token=first.token)
                load = Load(client, ["first"])
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(load.publish(0))
                    tasks.create_task(load.query())
                    await asyncio.sleep(1)
                    server.kill()
                    stale_s, memory = await watched_outage(service, client)
                    await asyncio.to_thread(server.start)
                    folded_s = await seconds_until_folded(client, server, "back")
                    load.over.set()
    finally:
        server.kill()

    grown_bytes = max(memory[-3:]) - memory[0]
    tell(
        "ten minutes without the broker",
        queries=load.query_count,
        failed=len(load.failures),
        slowest_query_s=load.slowest_s,
        stale_after_s=stale_s,
        folded_after_s=folded_s,
        grown_mb=grown_bytes / 1e6,
    )
    assert load.failures == []
    assert folded_s <= FOLDED_SECONDS_MAX
    assert grown_bytes <= GROWN_BYTES_MAX
