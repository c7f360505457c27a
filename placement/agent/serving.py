"""Whether clients are being served just now: what can wait is slower then."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LULL_SECONDS: Final = 0.1
"""A pull is many requests; between two of them it goes on."""
LOOK_SECONDS: Final = 0.02


class Serving:
    """Counts the answers that clients are given at the moment."""

    def __init__(self, clock_s: Callable[[], float] | None = None) -> None:
        """Serve nobody; *clock_s* never goes back, and is the process's own if none."""
        self._clock_s = clock_s or time.monotonic
        self._count = 0
        self._ended_s = self._clock_s() - LULL_SECONDS

    @property
    def active(self) -> bool:
        """Whether anybody is served, or was until LULL_SECONDS ago."""
        return self._count > 0 or self._clock_s() - self._ended_s < LULL_SECONDS

    async def lull(self, seconds_max: float) -> bool:
        """Wait until nobody is served, or *seconds_max*; say whether it waited."""
        waited = False
        ends_s = self._clock_s() + seconds_max
        while self.active and self._clock_s() < ends_s:
            await asyncio.sleep(LOOK_SECONDS)
            waited = True
        return waited

    @contextmanager
    def one(self) -> Iterator[None]:
        """Serve somebody within the block."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            self._ended_s = self._clock_s()
