"""Refusals that are held back: a few, for a moment, and nobody's place is lost."""

import asyncio

from placement.api.holding import HELD_MAX, Holding


async def test_more_than_a_few_are_not_held() -> None:
    """The next one returns while the others still wait."""
    holding = Holding()
    held = [asyncio.create_task(holding.hold(None)) for _ in range(HELD_MAX)]
    await asyncio.sleep(0)

    await holding.hold(None)

    assert not any(each.done() for each in held)
    await asyncio.gather(*held)


async def test_who_has_no_time_left_is_told_at_once() -> None:
    """It would hear that its deadline passed, and not why it was refused."""
    holding = Holding()

    hurried, patient = [
        asyncio.create_task(holding.hold(left_seconds)) for left_seconds in (0.05, 60.0)
    ]
    await asyncio.sleep(0)

    assert (hurried.done(), patient.done()) == (True, False)
    await patient


async def test_who_leaves_makes_room() -> None:
    """A caller that hangs up holds nobody's place."""
    holding = Holding()
    held = [asyncio.create_task(holding.hold(None)) for _ in range(HELD_MAX)]
    await asyncio.sleep(0)
    held[0].cancel()
    await asyncio.wait({held[0]})

    another = asyncio.create_task(holding.hold(None))
    await asyncio.sleep(0)

    assert not another.done()
    await asyncio.gather(another, *held[1:])
