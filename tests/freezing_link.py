"""A TCP link for tests whose first connection dies without a word when told to."""

import asyncio
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 65_536


class FreezingLink:
    """Leads to one address; what is sent over its first connection may vanish."""

    def __init__(self, address: str) -> None:
        """Lead to *address*, HOST:PORT."""
        host, _, port = address.rpartition(":")
        self._there = host, int(port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.frozen = False

    @property
    def target(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first = self.connections == 0
        self.connections += 1
        there = await asyncio.open_connection(*self._there)
        for ways in ((reader, there[1]), (there[0], writer)):
            self._tasks.add(asyncio.create_task(self._carry(*ways, first=first)))

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, first: bool
    ) -> None:
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if not (first and self.frozen):
                    writer.write(chunk)
        finally:
            writer.close()
