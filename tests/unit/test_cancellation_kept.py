"""A task that is told to end ends, even if its answer comes at that very moment."""

import asyncio

import pytest

from placement.adapters.jetstream.cancellation import cancellation_kept


async def test_cancellation_beside_an_answer_is_kept() -> None:
    """Else a service that is told to stop would wait for its reader forever."""
    answer = asyncio.get_running_loop().create_future()

    async def asking() -> None:
        while True:
            with cancellation_kept():
                await asyncio.wait_for(answer, 60)

    task = asyncio.create_task(asking())
    await asyncio.sleep(0)
    answer.set_result("an answer")
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await task


async def test_cancellation_of_before_does_not_stop_what_tidies_up() -> None:
    """Who is being ended may still say goodbye to the server."""
    said = []

    async def leaving() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            with cancellation_kept():
                await asyncio.sleep(0)
                said.append("goodbye")

    task = asyncio.create_task(leaving())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == ["goodbye"]
