"""What folds of the past cost who asks about now, while 10,000 events come a second.

Turns with and without questions about the past follow each other, so that what else the
machine does is in both. Figures: ``pytest -rP -m long tests/e2e/test_past_beside.py``.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.bench.contents import REPOSITORY, digest_of, fill
from placement.client import PlacementCallError, PlacementClient
from placement.config import Config, load_topology
from placement.core.event import ContentPulled, Event, Identifier
from placement.core.topology import Region
from placement.v1 import placement_service_pb2 as pb
from placement.wire.events import encode_message
from tests.closed_callers import Found, closed_loop
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_service import RealService, running

pytestmark = [pytest.mark.long, pytest.mark.alone, pytest.mark.timeout(900)]
LAYERS: Final = 1_000
EVENTS_PER_SECOND: Final = 10_000
BATCH: Final = 500
TURNS: Final = 4
SECONDS: Final = 8.0
CALLERS: Final = 2
POINTS_MAX: Final = 200
"""Up to 100,000 events are folded for one: so that some folds end in a turn."""
MARK: Final = "@@@@@@@@"
RANK: Final = "/placement.v1.PlacementService/RankSources"
SETTINGS: Final = {
    "PLACEMENT_PAST__STATES_MAX": "1",
    "PLACEMENT_WATCHDOG_SECONDS": "60",
}
"""A first run compiles, which on a busy machine takes a while."""
PATIENCE_S: Final = 120.0


def batch(region: Region) -> tuple[str, bytes]:
    """Return a message of pulls, whose events are of the batch MARK."""
    chance = Random(7)
    events = [
        Event(
            Identifier(f"{MARK}-{number}"),
            region,
            ContentPulled(digest_of(chance.randrange(LAYERS)), REPOSITORY),
        )
        for number in range(BATCH)
    ]
    subject, body, _ = encode_message(events)
    return subject, body


async def publish(log: JetStreamLog, region: Region) -> None:
    """Store a batch of other events whenever it is its turn, until cancelled."""
    loop, every_s = asyncio.get_running_loop(), BATCH / EVENTS_PER_SECOND
    subject, body = batch(region)
    due_s = loop.time()
    for number in count():
        name = f"{number:0{len(MARK)}}"
        await log.append(subject, body.replace(MARK.encode(), name.encode()), name)
        due_s += every_s
        await asyncio.sleep(max(0.0, due_s - loop.time()))


async def ask_about_the_past(client: PlacementClient, folds: list[int]) -> None:
    """Ask about one point after the other, until cancelled."""
    chance = Random(11)
    while True:
        last = (await client.get_service_info()).basis.sequence
        point = chance.randrange(1, min(last, POINTS_MAX))
        with suppress(PlacementCallError):  # its time was over: the fold goes on
            await client.list_routes(as_of=point)
            folds.append(point)


@asynccontextmanager
async def during(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do *work* beside the block."""
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done() or task.exception() is None
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_live_answers_hardly_wait_for_folds_of_the_past(tmp_path: Path) -> None:
    """The ratio of what a call takes with such folds to what it takes without."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    service = RealService(tmp_path / "s", ("--nats-url", server.url), SETTINGS)
    quiet: list[Found] = []
    folding: list[Found] = []
    folds: list[int] = []
    async with AsyncExitStack() as stack:
        stack.callback(server.kill)
        stack.enter_context(running(service))
        region = await fill(service.target, load_topology(Config()), LAYERS)
        log = await JetStreamLog.connect(server.settings)
        stack.push_async_callback(log.close)
        client = PlacementClient(service.target, timeout_s=PATIENCE_S)
        await stack.enter_async_context(client)
        body = pb.RankSourcesRequest(
            repository=REPOSITORY, digest=digest_of(1), region=region
        ).SerializeToString()
        asked = (service.target, RANK, body, CALLERS, SECONDS)
        async with during(publish(log, region)):
            for _ in range(TURNS):
                quiet.append(await asyncio.to_thread(closed_loop, *asked))
                async with during(ask_about_the_past(client, folds)):
                    folding.append(await asyncio.to_thread(closed_loop, *asked))
        basis = (await client.get_service_info()).basis

    figures: dict[str, float] = {}
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        without, beside = (
            median(turn.quantile_ms(part) for turn in turns)
            for turns in (quiet, folding)
        )
        figures |= {f"{name}_ms": without, f"{name}_beside_ms": beside}
        figures[f"{name}_ratio"] = beside / without
    rates = [median(turn.per_second for turn in each) for each in (quiet, folding)]
    tell(
        "folds of the past beside live answers",
        **figures,
        calls_per_second=rates[0],
        calls_per_second_beside=rates[1],
        folds=len(folds),
        messages=basis.sequence,
    )
    assert folds, "some of them were done"
    assert basis.staleness.seconds < 2, "the fold of now keeps up"
