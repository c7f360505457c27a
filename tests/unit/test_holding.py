"""Refusals that are held back: a few, for a moment, and nobody's place is lost."""

import asyncio

from placement.api.holding import HELD_MAX, Holding


async def test_more_than_a_few_are_not_held() -> None:
    """The next one returns while the others still wait."""
    holding = Holding()
    held = [asyncio.create_task(holding.hold()) for _ in range(HELD_MAX)]
    await asyncio.sleep(0)

    await holding.hold()

    assert not any(each.done() for each in held)
    await asyncio.gather(*held)


async def test_who_leaves_makes_room() -> None:
    """A caller that hangs up holds nobody's place."""
    holding = Holding()
    held = [asyncio.create_task(holding.hold()) for _ in range(HELD_MAX)]
    await asyncio.sleep(0)
    held[0].cancel()
    await asyncio.wait({held[0]})

    another = asyncio.create_task(holding.hold())
    await asyncio.sleep(0)

    assert not another.done()
    await asyncio.gather(another, *held[1:])
