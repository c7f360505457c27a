"""Long work in slices, so that it holds nobody up."""

import asyncio
from collections.abc import Generator
from typing import Final, TypeVar

SLICE_SECONDS: Final = 0.001

Result = TypeVar("Result")


async def in_slices(
    steps: Generator[None, None, Result], pause_seconds: float = 0.0
) -> Result:
    """Return what *steps* come to, letting others in after each SLICE_SECONDS.

    With *pause_seconds* nothing is done for so long then, whether others need it or
    not.
    """
    time = asyncio.get_running_loop().time
    ends = time() + SLICE_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        if time() > ends:
            await asyncio.sleep(pause_seconds)
            ends = time() + SLICE_SECONDS
