"""Long work lets others in, and what can wait leaves them what they need."""

import asyncio
import time
from collections.abc import Generator

from placement.runtime.slices import (
    PAUSE_SECONDS,
    PAUSE_SECONDS_MAX,
    Patience,
    in_slices,
)


def steps(count: int, seconds: float) -> Generator[None, None, str]:
    """Work for so long, so often."""
    for _ in range(count):
        time.sleep(seconds)
        yield
    return "done"


async def test_others_run_between_slices_and_the_result_comes() -> None:
    """After each slice once."""
    turns = 0

    async def pause() -> None:
        nonlocal turns
        turns += 1

    assert await in_slices(steps(4, 0.002), pause) == "done"
    assert await in_slices(steps(4, 0.002)) == "done"
    assert turns == 4


async def test_who_is_patient_leaves_more_to_others_who_are_busy() -> None:
    """Eight times what it was late, up to a limit."""
    loop, patience = asyncio.get_running_loop(), Patience()

    async def paused(busy_seconds: float) -> float:
        loop.call_soon(time.sleep, busy_seconds)
        began = loop.time()
        await patience.pause()
        return loop.time() - began

    assert await paused(0.0) >= PAUSE_SECONDS
    await paused(2 * PAUSE_SECONDS_MAX)
    assert await paused(0.0) >= PAUSE_SECONDS_MAX
