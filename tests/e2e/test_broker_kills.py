"""The real program under load while its broker dies, again and again.

Figures of a run: ``pytest -rP tests/e2e/test_broker_kills.py``.
"""

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementCallError, PlacementClient
from placement.runtime.replay import replay
from placement.v1 import basis_pb2, events_pb2
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_service import POLL_SECONDS, RealService, running

LONG = bool(os.environ.get("PLACEMENT_LONG"))
KILL_COUNT = 40 if LONG else 5
WATCHED_KILLS = KILL_COUNT if LONG else 2
"""So many outages last until answers say STALE; the others are short."""
SHORT_OUTAGE_SECONDS = 0.5
STALE_SECONDS_MAX = 5.0
FOLDED_SECONDS_MAX = 3.0
PUBLISHERS, QUERIERS = 3, 3
BATCH_EVENTS = 10
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STALE = basis_pb2.SERVING_STATE_STALE


def push(name: str) -> events_pb2.Event:
    """Return the push of a digest of its own, named by its own tag."""
    digest = f"sha256:{int.from_bytes(name.encode()):064x}"
    content = events_pb2.Descriptor(media_type=MANIFEST, digest=digest, size_bytes=100)
    pushed = events_pb2.ContentPushed(content=content, repository="acme/web", tag=name)
    return events_pb2.Event(event_id=name, region="iad", content_pushed=pushed)


@dataclass
class Load:
    """Publishers that repeat until acknowledged, and queries that may not fail.

    What was acknowledged is in ``acknowledged``, by event id.
    """

    client: PlacementClient
    acknowledged: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    query_count: int = 0
    slowest_s: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, publisher: int) -> None:
        """Publish batch after batch; one that is not acknowledged comes again."""
        number = 0
        while not self.over.is_set():
            names = [f"p{publisher}-{number + i}" for i in range(BATCH_EVENTS)]
            number += BATCH_EVENTS
            while True:
                try:
                    await self.client.publish_events([push(name) for name in names])
                except PlacementCallError as error:
                    if error.reason not in {"LOG_UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                        self.failures.append(f"publish: {error}")
                    await asyncio.sleep(0.05)
                else:
                    break
            self.acknowledged += names
            await asyncio.sleep(0.02)

    async def query(self) -> None:
        """Ask for what was acknowledged at the start, for as long as the load lasts."""
        while not self.over.is_set():
            began = time.monotonic()
            try:
                await self.client.resolve_reference("acme/web", "first")
            except PlacementCallError as error:
                self.failures.append(f"query: {error}")
            self.query_count += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            await asyncio.sleep(0.01)


async def seconds_until_stale(client: PlacementClient) -> float:
    """Return after how long answers said STALE."""
    began = time.monotonic()
    while (await client.get_service_info()).basis.state != STALE:
        assert time.monotonic() - began < STALE_SECONDS_MAX
        await asyncio.sleep(POLL_SECONDS)
    return time.monotonic() - began


async def seconds_until_folded(
    client: PlacementClient, server: NatsServer, name: str
) -> float:
    """Store an event past the service; return how long after now it is answered."""
    began = time.monotonic()
    log = await JetStreamLog.connect(server.settings)
    try:
        body = push(name).SerializeToString()
        await log.append("placement.events.v1.iad.content_pushed", body, name)
    finally:
        await log.close()
    while True:
        with suppress(PlacementCallError):  # MANIFEST_UNKNOWN: not folded yet
            await client.resolve_reference("acme/web", name)
            return time.monotonic() - began
        assert time.monotonic() - began < FOLDED_SECONDS_MAX
        await asyncio.sleep(POLL_SECONDS)


@dataclass
class Outages:
    """Kills a broker and brings it back, and notes how long the service took."""

    server: NatsServer
    load: Load
    stale_s: list[float] = field(default_factory=list)
    folded_s: list[float] = field(default_factory=list)

    async def repeat(self, count: int, watched: int) -> None:
        """Kill *count* times; the first *watched* outages last until STALE is said."""
        for number in range(count):
            await asyncio.sleep(SHORT_OUTAGE_SECONDS)
            self.server.kill()
            if number < watched:
                self.stale_s.append(await seconds_until_stale(self.load.client))
            else:
                await asyncio.sleep(SHORT_OUTAGE_SECONDS)
            self.server.start()
            name = f"kill-{number}"
            took_s = await seconds_until_folded(self.load.client, self.server, name)
            self.folded_s.append(took_s)
            self.load.acknowledged.append(name)
        self.load.over.set()


async def under_load(client: PlacementClient, server: NatsServer) -> Outages:
    """Return what happened while *server* was killed under load."""
    first = await client.publish_events([push("first")])
    await client.resolve_reference("acme/web", "first", token=first.token)
    load = Load(client, ["first"])
    outages = Outages(server, load)
    async with asyncio.TaskGroup() as tasks:
        for number in range(PUBLISHERS):
            tasks.create_task(load.publish(number))
        for _ in range(QUERIERS):
            tasks.create_task(load.query())
        tasks.create_task(outages.repeat(KILL_COUNT, WATCHED_KILLS))
    return outages


@pytest.mark.timeout(60 + 15 * KILL_COUNT)
@pytest.mark.long
async def test_broker_kills_lose_no_acknowledged_event(tmp_path: Path) -> None:
    """Whatever was acknowledged is folded, no query fails, and outages are told."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    try:
        with running(service):
            async with PlacementClient(service.target, timeout_s=10) as client:
                outages = await under_load(client, server)
                load = outages.load
                last = await client.publish_events([push("last")])
                await client.resolve_reference("acme/web", "last", token=last.token)
                info = await client.get_service_info(include_fingerprint=True)
        log = await JetStreamLog.connect(server.settings)
        undisturbed = await replay(log)
        await log.close()
    finally:
        server.kill()

    tell(
        "broker kills",
        kills=KILL_COUNT,
        acknowledged=len(load.acknowledged),
        queries=load.query_count,
        failed_queries=len(load.failures),
        slowest_query_s=load.slowest_s,
        stale_after_s_max=max(outages.stale_s),
        folded_after_s_max=max(outages.folded_s),
    )
    assert load.failures == []
    assert info.counts.folded_count == len(set(load.acknowledged)) + 1
    assert info.counts.set_aside_count == 0
    assert info.basis.sequence == undisturbed.sequence
    assert info.fingerprint == undisturbed.fingerprint
