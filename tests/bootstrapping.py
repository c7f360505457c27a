"""Services that begin from a peer's checkpoint, for tests: real ones, on one log."""

import asyncio
import json
from pathlib import Path
from typing import Any

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementClient
from placement.core.event import Event
from placement.runtime.replay import Replayed, replay
from placement.wire.events import encode_message
from tests.projecting import pushes
from tests.real_service import POLL_SECONDS, RealService

ENVELOPE_EVENTS = 100
WAIT_S = 60.0
QUICK = {
    "PLACEMENT_CHECKPOINT__INTERVAL_SECONDS": "0.2",
    "PLACEMENT_BOOTSTRAP__BYTES_PER_SECOND": str(2**30),
}


def service(
    url: str,
    directory: Path,
    *peers: RealService | str,
    faults: str = "",
    **settings: str,
) -> RealService:
    """Return a service on the log at *url* that may begin from *peers*."""
    named = [each if isinstance(each, str) else each.target for each in peers]
    arguments = ["--nats-url", url]
    if named:
        arguments += ["--bootstrap-from", ",".join(named)]
    given = {f"PLACEMENT_{name}": value for name, value in settings.items()}
    return RealService(
        directory, arguments, QUICK | {"PLACEMENT_FAULT_POINTS": faults} | given
    )


async def fill(log: JetStreamLog, count: int, first: int = 0) -> None:
    """Store *count* pushes, many a message."""
    events: list[Event] = pushes(count, first)
    for at in range(0, count, ENVELOPE_EVENTS):
        await log.append(*encode_message(events[at : at + ENVELOPE_EVENTS]))


async def serving(started: RealService) -> RealService:
    """Run it, and return it once it serves."""
    await asyncio.to_thread(started.start)
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await asyncio.to_thread(started.wait_until_serving)
            except AssertionError:
                if not started.runs:
                    raise  # else the machine is slow, and has until WAIT_S is over
            else:
                return started


async def ended(ending: RealService) -> int:
    """Return the exit code of a service that is to end by itself."""
    return await asyncio.to_thread(ending.wait, WAIT_S)


def told(by: RealService, event: str) -> list[dict[str, Any]]:
    """Return the log lines about *event*."""
    lines = by.output().splitlines()
    found = [json.loads(line) for line in lines if f'"{event}"' in line]
    return [line for line in found if line["event"] == event]


async def require_equal(log: JetStreamLog, *services: RealService) -> Replayed:
    """Assert that each service's state is a fold of the log from its start."""
    expected = await replay(log)
    for each in services:
        async with (
            PlacementClient(each.target, timeout_s=20) as client,
            asyncio.timeout(WAIT_S),
        ):
            while True:
                info = await client.get_service_info(include_fingerprint=True)
                if info.basis.sequence >= expected.sequence:
                    break
                await asyncio.sleep(POLL_SECONDS)
        assert info.basis.sequence == expected.sequence
        assert info.fingerprint == expected.fingerprint
    return expected
