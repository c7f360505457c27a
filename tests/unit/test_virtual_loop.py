"""The simulator's loop: virtual time, drawn orders, and processes that die or stand."""

import asyncio
from random import Random

import pytest

from tests.simulator.loop import StuckError, VirtualLoop
from tests.simulator.process import KilledError, Process, require_alive

Log = list[tuple[float, str]]


async def step(log: Log, name: str, count: int = 3) -> None:
    """Note the time *count* times, a second apart."""
    for _ in range(count):
        await asyncio.sleep(1)
        log.append((asyncio.get_running_loop().time(), name))


async def several(log: Log) -> None:
    """Run four tasks side by side."""
    async with asyncio.TaskGroup() as tasks:
        for name in "abcd":
            tasks.create_task(step(log, name))


def test_time_jumps_to_the_next_timer() -> None:
    """A year passes as fast as the callbacks in it run."""
    loop = VirtualLoop.drawing_from(Random(1))

    loop.run_until_complete(asyncio.sleep(365 * 24 * 3600))

    assert loop.now_seconds == 365 * 24 * 3600
    assert loop.steps < 10


def test_seed_decides_the_order() -> None:
    """The same seed gives the same order, and some other seed another one."""
    orders = []
    for seed in (1, 1, 2, 3, 4):
        log: Log = []
        loop = VirtualLoop.drawing_from(Random(seed))
        loop.run_until_complete(several(log))
        orders.append([name for _, name in log])
        assert [time for time, _ in log] == [1.0] * 4 + [2.0] * 4 + [3.0] * 4

    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1


def test_timeout_ends_what_waits_for_ever() -> None:
    """Deadlines are asyncio's own, in virtual time."""
    loop = VirtualLoop.drawing_from(Random(1))

    async def waits() -> None:
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        loop.run_until_complete(waits())
    assert loop.now_seconds == 30


def test_nothing_left_to_do_is_an_error() -> None:
    """A wait that nothing can end is found at once."""
    loop = VirtualLoop.drawing_from(Random(1))

    with pytest.raises(StuckError):
        loop.run_until_complete(asyncio.Event().wait())


def test_threads_are_refused() -> None:
    """What cannot be run again from a seed does not run at all."""
    loop = VirtualLoop.drawing_from(Random(1))

    with pytest.raises(NotImplementedError):
        loop.run_until_complete(asyncio.to_thread(print))


def test_paused_process_goes_on_later() -> None:
    """What came due during a pause happens after it, and others are not held up."""
    loop = VirtualLoop.drawing_from(Random(1))
    log: Log = []

    async def run() -> None:
        process = Process("paused")
        process.spawn(step(log, "paused", 1))
        asyncio.create_task(step(log, "other", 1))  # noqa: RUF006 - it ends before us
        await asyncio.sleep(0.5)
        loop.pause(process)
        await asyncio.sleep(8.5)
        loop.resume(process)
        await asyncio.sleep(0.5)

    loop.run_until_complete(run())

    assert [name for _, name in log] == ["other", "paused"]
    assert [int(time) for time, _ in log] == [1, 9]


def test_killed_process_has_no_effect() -> None:
    """Tasks of a dead process unwind, but reach nothing outside any more."""
    loop = VirtualLoop.drawing_from(Random(1))
    reached: list[str] = []

    async def works() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            try:
                require_alive()
                reached.append("outside")
            except KilledError:
                reached.append("refused")

    async def run() -> None:
        process = Process("dies")
        process.spawn(works())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(1)

    loop.run_until_complete(run())

    assert reached == ["refused"]


def test_alarm_comes_between_two_callbacks() -> None:
    """A crash can be put at any callback, not only at a moment."""
    loop = VirtualLoop.drawing_from(Random(1))
    seen: list[int] = []

    async def run() -> None:
        loop.after_steps(3, lambda: seen.append(loop.steps))
        for _ in range(10):
            await asyncio.sleep(0)

    loop.run_until_complete(run())

    assert len(seen) == 1
    assert 3 <= seen[0] <= 5


def test_callback_that_raises_is_a_failure() -> None:
    """What nobody awaits is not lost."""
    loop = VirtualLoop.drawing_from(Random(1))

    async def run() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    loop.run_until_complete(run())

    assert "ZeroDivisionError" in loop.failures[0]
