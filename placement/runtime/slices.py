"""Long work in slices, so that it holds nobody up."""

import asyncio
from collections.abc import Iterator
from typing import Final

SLICE_SECONDS: Final = 0.001


async def in_slices(steps: Iterator[None]) -> None:
    """Do all *steps*, letting others in after each SLICE_SECONDS."""
    time = asyncio.get_running_loop().time
    ends = time() + SLICE_SECONDS
    for _ in steps:
        if time() > ends:
            await asyncio.sleep(0)
            ends = time() + SLICE_SECONDS
