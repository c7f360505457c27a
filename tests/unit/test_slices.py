"""Long work lets others in, and what can wait leaves them what they need."""

import asyncio
import time
from collections.abc import Generator

from placement.runtime.slices import (
    LET_IN_SECONDS,
    PAUSE_SECONDS,
    PAUSE_SECONDS_MAX,
    PAUSES_MAX,
    Courtesy,
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


class Pauses:
    """Pauses beside others who work for *busy_seconds* in each, *callers* of them."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.callers = 0
        self.courtesy = Courtesy(lambda: self.callers)

    async def paused(self, busy_seconds: float = 0.0) -> float:
        """Pause once; return for how long."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            time.sleep(busy_seconds)
            loop.call_later(LET_IN_SECONDS / 2, work)

        if busy_seconds:
            loop.call_soon(work)
        began = loop.time()
        await self.courtesy.pause()
        return loop.time() - began


async def test_where_somebody_calls_each_pause_leaves_time_and_else_none() -> None:
    """One call is enough, for a while."""
    pauses = Pauses()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    await pauses.paused()
    assert turns <= 1, "without callers a pause is one turn of the loop"
    pauses.callers += 1
    assert await pauses.paused() >= LET_IN_SECONDS
    assert await pauses.paused() >= LET_IN_SECONDS, "more of them are expected"
    counting.cancel()


async def test_a_pause_that_others_filled_is_none_but_the_work_goes_on() -> None:
    """Two kinds of work in slices would else take turns, and leave callers nothing."""
    pauses = Pauses()
    pauses.callers += 1
    busy_seconds = 4 * LET_IN_SECONDS
    assert await pauses.paused(busy_seconds) >= PAUSES_MAX * busy_seconds
