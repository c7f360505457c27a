"""Refusals that are held back for a moment, a few at a time.

Who is told when to come again, and comes at once, asks thousands of times a second: to
say no each time costs as much as an answer to others does. Told later, it asks later.
"""

import asyncio
from typing import Final

HELD_SECONDS: Final = 0.1
LEFT_SECONDS_MIN: Final = 1.0
HELD_MAX: Final = 16
"""Of all callers: each keeps its request in memory. More are refused at once."""


class Holding:
    """Counts the refusals that are held back."""

    def __init__(self) -> None:
        """Hold none."""
        self._count = 0

    async def hold(self, left_seconds: float | None) -> None:
        """Return after HELD_SECONDS; at once where HELD_MAX are held already.

        And where the caller, in its *left_seconds*, would not hear of it any more; with
        None it waits for as long as it takes.
        """
        hurried = left_seconds is not None and left_seconds < LEFT_SECONDS_MIN
        if hurried or self._count >= HELD_MAX:
            return
        self._count += 1
        try:
            await asyncio.sleep(HELD_SECONDS)
        finally:
            self._count -= 1
