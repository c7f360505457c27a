"""Services whose clocks are wrong: the state is the log's alone."""

import asyncio
import time

from placement.adapters.memory import (
    MemoryCheckpointStore,
    MemoryEventLog,
    MemoryRunRecords,
)
from placement.core.fingerprint import fingerprint
from placement.ports import Clock
from placement.runtime.projector import Projector
from placement.runtime.replay import replay
from placement.runtime.view import View
from placement.wire.events import encode_message
from tests.golden_logs import every_fact
from tests.projecting import QUICK, WAIT_S

SECOND_NS = 1_000_000_000
OFFSETS_SECONDS = (0, 600, -600, 3_650 * 86_400, -3_650 * 86_400)


def skewed(offset_seconds: int) -> Clock:
    """Return a clock that is ahead by so much; behind, if negative."""
    return lambda: time.time_ns() + offset_seconds * SECOND_NS


async def folded_by(log: MemoryEventLog, clock: Clock, sequence: int) -> str:
    """Return the fingerprint of a service by *clock* that has folded all of *log*."""
    store, view, records = MemoryCheckpointStore(), View(clock), MemoryRunRecords()
    projector = Projector(log, store, view, clock, QUICK, records)
    await projector.restore()
    running = asyncio.create_task(projector.run())
    try:
        async with asyncio.timeout(WAIT_S):
            while not view.ready or view.state.sequence < sequence:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait({running})
    return fingerprint(view.state)


async def test_wrong_clocks_fold_to_the_same_state() -> None:
    """Ten minutes and ten years off, either way: bit for bit the same state."""
    log = MemoryEventLog(time.time_ns, idle_seconds=0.05)
    told = every_fact()
    for event in told:
        appended = await log.append(*encode_message([event]))

    found = [
        await folded_by(log, skewed(offset), appended.sequence)
        for offset in OFFSETS_SECONDS
    ]

    assert set(found) == {(await replay(log)).fingerprint}
    assert len(told) > len(OFFSETS_SECONDS)
