"""A growing file that one writes and many read: content on its way through.

The file has no name from the start, so nothing is left of it whatever ends the process.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

from placement.agent.registry.errors import RegistryUnreachableError

READ_BYTES: Final = 256 << 10


class SpoolBrokenError(RegistryUnreachableError):
    """What was to be read will never be whole, or is not what it should be."""


class Spool:
    """*size_bytes* of content; the last byte is given only once all were verified.

    Thus no reader ever has the whole of what turned out to be damaged.
    """

    def __init__(
        self,
        directory: Path,
        size_bytes: int,
        freed: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Begin empty, in a file under *directory*; raises OSError.

        *freed* is told its size once the last user has left, who may be slow.
        """
        self._freed = freed
        self.size_bytes = size_bytes
        self.written_bytes = 0
        self._descriptor, name = tempfile.mkstemp(dir=directory, prefix="flight-")
        os.unlink(name)  # noqa: PTH108 - what mkstemp names
        self._verified = False
        self._failed = False
        self._users = 1
        self._moved = asyncio.Event()

    def write(self, chunk: bytes) -> None:
        """Add *chunk*; raises OSError when the disk is full."""
        view = memoryview(chunk)
        while view:
            count = os.pwrite(self._descriptor, view, self.written_bytes)
            self.written_bytes += count
            view = view[count:]
        self._notify()

    def verified(self) -> None:
        """Let all of it be read: it is what it should be."""
        self._verified = True
        self._notify()

    def failed(self) -> None:
        """Break every reader."""
        self._failed = True
        self._notify()

    @property
    def settled(self) -> bool:
        """Whether it is known to be whole, or broken."""
        return self._verified or self._failed

    async def wait_settled(self) -> bool:
        """Return whether it is whole, once that is known."""
        while not self.settled:
            await self._moved.wait()
        return self._verified

    def keep(self) -> None:
        """Count one more who reads or writes it: each calls ``leave`` once."""
        assert self._users, "the last one's leave has closed it"
        self._users += 1

    def leave(self) -> None:
        """Count one less; the last one's leave frees the disk."""
        self._users -= 1
        if not self._users:
            os.close(self._descriptor)
            self._freed(self.size_bytes)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give all bytes as they come; raises SpoolBrokenError."""
        at = 0
        while at < self.size_bytes or not self._verified:
            if self._failed:
                message = f"content broke at byte {self.written_bytes}"
                raise SpoolBrokenError(message)
            readable = self.written_bytes
            if not self._verified:
                readable = min(readable, self.size_bytes - 1)
            if at >= readable:
                await self._moved.wait()
                continue
            count = min(READ_BYTES, readable - at)
            chunk = os.pread(self._descriptor, count, at)
            at += len(chunk)
            yield chunk

    def _notify(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
