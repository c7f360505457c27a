"""Lets garbage be collected only while nothing is copied, as registries need it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Quiet:
    """Any number may be busy at once, or one be alone; who is alone waits for quiet."""

    def __init__(self) -> None:
        """Begin quiet."""
        self._busy_count = 0
        self._alone = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Copy within the block."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._busy_count += 1
        try:
            yield
        finally:
            self._busy_count -= 1
            await self._notify()

    @asynccontextmanager
    async def alone(self, seconds_max: float) -> AsyncIterator[None]:
        """Let nobody copy within the block; raises TimeoutError if it never is quiet.

        Copies that come meanwhile do not wait for the quiet to be used, only for its
        end.
        """
        async with asyncio.timeout(seconds_max), self._changed:
            await self._changed.wait_for(lambda: not self._busy_count)
            self._alone = True
        try:
            yield
        finally:
            self._alone = False
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
