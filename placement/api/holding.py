"""Refusals that are held back for a moment, a few at a time.

Who is told when to come again, and comes at once, asks thousands of times a second: to
say no each time costs as much as an answer to others does. Told later, it asks later.
"""

import asyncio
from typing import Final

HELD_SECONDS: Final = 0.1
HELD_MAX: Final = 16
"""Each keeps its request in memory; more are refused at once."""


class Holding:
    """Counts the refusals that are held back."""

    def __init__(self) -> None:
        """Hold none."""
        self._count = 0

    async def hold(self) -> None:
        """Return after HELD_SECONDS, or at once where HELD_MAX are held already."""
        if self._count >= HELD_MAX:
            return
        self._count += 1
        try:
            await asyncio.sleep(HELD_SECONDS)
        finally:
            self._count -= 1
