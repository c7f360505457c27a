"""A pause on a real service, under a steady load of pushes: new copies stop at once.

Figures of a run: ``pytest -rP tests/e2e/test_planner_pause.py``.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from placement import stores
from placement.client import Operation, PlacementClient
from placement.config import Config
from placement.core.event import Event, Identifier, Recorded, ReplicationPlanned
from placement.ports import EventLog
from placement.wire.events import DECISIONS_SUBJECTS, decode_message, encode_event
from tests.builders import SYD, started
from tests.deciding import arrived, release, ruled
from tests.figures import tell
from tests.real_service import RealService, running

PUSHES_PER_SECOND = 20
LOAD_SECONDS = 4.0
PAUSED_SECONDS = 4.0
STOP_SECONDS_MAX = 2.0
POLICY = (
    "holdout_fraction = 0\n[limits]\n"
    "region_copies_in_flight = 0\nbackfill_copies_in_flight = 0\n"
)


def told(events: list[Event], name: str) -> list[Event]:
    """Return *events* under ids of their own."""
    return [
        replace(one, event_id=Identifier(f"{name}-{number}"))
        for number, one in enumerate(events)
    ]


async def publish(client: PlacementClient, events: list[Event], name: str) -> None:
    """Store events through the service."""
    await client.publish_events([encode_event(one) for one in told(events, name)])


@asynccontextmanager
async def load(client: PlacementClient) -> AsyncIterator[None]:
    """Push versions within the block, of an app that runs in Sydney."""

    async def push() -> None:
        number = 0
        while True:
            number += 1
            await publish(client, release(f"v{number}"), f"push-{number}")
            await asyncio.sleep(1 / PUSHES_PER_SECOND)

    task = asyncio.create_task(push())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), "the load ended by itself"


async def copies(log: EventLog) -> list[int]:
    """Return when each decision to copy was stored, nanoseconds."""
    found: list[int] = []
    sequence = 1
    while True:
        message = await log.message(sequence, DECISIONS_SUBJECTS)
        if message is None:
            return found
        found += [
            message.store_time_ns
            for item in decode_message(message).items
            if isinstance(item, Recorded)
            and isinstance(item.event.fact, ReplicationPlanned)
        ]
        sequence = message.sequence + 1


def within(times: list[int], first_ns: int, last_ns: int) -> int:
    """Return how many of *times* are in between."""
    return sum(first_ns <= each < last_ns for each in times)


async def test_pause_stops_new_copies_within_two_seconds(tmp_path: Path) -> None:
    """Copies are decided before it and after it, and none while it lasts."""
    with running(RealService(tmp_path, plans=True)) as service:
        config = Config(data_dir=service.data_dir)
        async with (
            PlacementClient(service.target, timeout_s=10) as client,
            stores.open_log(config, may_start=False) as log,
        ):
            runs = [*release("v0"), arrived("v0", SYD), started("v0", SYD)]
            await publish(client, [ruled(POLICY), *runs], "before")
            async with load(client):
                began_ns = time.time_ns()
                await asyncio.sleep(LOAD_SECONDS)
                asked_ns = time.time_ns()
                await client.pause_replication(Operation("anna", "a test"))
                paused_ns = time.time_ns()
                await asyncio.sleep(PAUSED_SECONDS)
                resumed_ns = time.time_ns()
                await client.resume_replication(Operation("anna", "a test"))
                await asyncio.sleep(LOAD_SECONDS)
            times = await copies(log)

    last_ns = max(each for each in times if each < resumed_ns)
    before = within(times, began_ns, asked_ns)
    stopped_s = max(0, last_ns - asked_ns) / 1e9
    tell(
        "a pause under load",
        copies_before=before,
        stopped_seconds=stopped_s,
        stored_seconds=(paused_ns - asked_ns) / 1e9,
    )
    assert before >= LOAD_SECONDS * PUSHES_PER_SECOND / 4
    assert stopped_s <= STOP_SECONDS_MAX
    assert within(times, paused_ns, resumed_ns) == 0
    assert within(times, resumed_ns, time.time_ns()) > 0
