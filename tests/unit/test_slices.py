"""Long work lets others in, and what can wait leaves them what they need."""

import asyncio
import time
from collections.abc import Generator

import pytest

from placement.runtime import slices
from placement.runtime.slices import (
    PAUSE_SECONDS,
    PAUSE_SECONDS_MAX,
    REST_SECONDS,
    RESTS_MAX,
    WORK_SECONDS,
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

    async def paused(self, busy_seconds: float = 0.0) -> tuple[float, int]:
        """Pause once, after a slice; return for how long and for how many turns."""
        loop, turns, ended = asyncio.get_running_loop(), 0, False

        def work() -> None:
            nonlocal turns
            turns += 1
            time.sleep(busy_seconds)
            if not ended:
                loop.call_soon(work)

        time.sleep(WORK_SECONDS)  # noqa: ASYNC251 - the slice
        loop.call_soon(work)
        began = loop.time()
        await self.courtesy.pause()
        ended = True
        return loop.time() - began, turns


async def test_where_nobody_calls_a_pause_is_one_turn_of_the_loop() -> None:
    """Work is as fast as it can be."""
    pauses = Pauses()
    assert (await pauses.paused())[1] == 1


async def test_where_somebody_calls_the_loop_rests_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One call is enough; some time after it work is fast again."""
    monkeypatch.setattr(slices, "ASKED_SECONDS", 0.2)
    pauses = Pauses()
    pauses.callers += 1
    rests = [(await pauses.paused())[0] for _ in range(5)]
    assert min(rests) >= REST_SECONDS
    assert min(rests) < 2 * REST_SECONDS, "once is enough where nobody else works"
    await asyncio.sleep(0.3)
    assert (await pauses.paused())[1] == 1
    pauses.callers += 1
    assert (await pauses.paused())[0] >= REST_SECONDS


async def test_loop_that_just_rested_goes_on() -> None:
    """However many work in slices, it rests after so much work together."""
    pauses = Pauses()
    pauses.callers += 1
    await pauses.paused()
    rested = []
    for _ in range(5):
        began = time.perf_counter()
        await pauses.courtesy.pause()
        rested.append(time.perf_counter() - began)
    assert min(rested) < REST_SECONDS / 2


async def test_rest_that_others_filled_is_none_but_the_work_goes_on() -> None:
    """Two kinds of work in slices would else take turns, and leave callers nothing."""
    pauses = Pauses()
    pauses.callers += 1
    busy_seconds = 4 * REST_SECONDS
    took, turns = await pauses.paused(busy_seconds)
    assert took >= RESTS_MAX * busy_seconds
    assert turns >= RESTS_MAX
