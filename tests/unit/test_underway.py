"""Whoever brings a content into the region does so alone, and others wait for it."""

import asyncio

import pytest

from placement.agent.underway import Underway
from tests.builders import A, B


async def test_content_is_brought_by_one_at_a_time() -> None:
    """The second one begins when the first has left, and another content at once."""
    underway, order = Underway(), list[str]()
    leave = asyncio.Event()

    async def first() -> None:
        async with underway.held(A):
            order.append("first")
            await leave.wait()

    async def second() -> None:
        async with underway.held(A):
            order.append("second")

    tasks = [asyncio.create_task(one()) for one in (first, second)]
    await asyncio.sleep(0)
    taken = underway.take(A), underway.take(B)
    underway.leave(B)
    await asyncio.sleep(0.01)
    before = list(order)
    leave.set()
    await asyncio.gather(*tasks)

    assert taken == (False, True)
    assert before == ["first"]
    assert order == ["first", "second"]
    assert not underway.has(A)


async def test_who_waits_for_a_pull_hurries_whoever_brings_it() -> None:
    """Each of those that bring it while somebody waits is told so."""
    underway, hurried = Underway(), list[str]()
    assert underway.take(A, lambda: hurried.append("copy"))
    waiting = asyncio.create_task(underway.settled(A, urgent=True))
    patient = asyncio.create_task(underway.settled(A))
    await asyncio.sleep(0.01)

    underway.leave(A)
    await asyncio.gather(waiting, patient)

    assert hurried == ["copy"]
    await underway.settled(A)


async def test_failed_bringing_lets_the_next_one_begin() -> None:
    """Nothing is held by what broke."""
    underway = Underway()

    async def breaking() -> None:
        async with underway.held(A):
            raise OSError(28)

    with pytest.raises(OSError, match="28"):
        await breaking()

    assert underway.take(A)
