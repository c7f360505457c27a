"""A TCP link for tests: it counts bytes, may be slow, and may be cut in the middle."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 16_384


class LinkProxy:
    """Forwards connections to one address; *received* counts what comes from there."""

    def __init__(self, address: str, bytes_per_second: float = 0) -> None:
        """Lead to *address*, HOST:PORT; 0 is as fast as it goes, shared by all."""
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._server: asyncio.Server | None = None
        self._free_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.rate = bytes_per_second
        self.received = 0
        self.connections = 0
        self.cuts: list[int] = []
        """When so many bytes came, in all, connections are cut; the least first."""
        self.refuses = False

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

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
        """Cut everything."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if not self.refuses:
                await self._joined(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _joined(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there = await asyncio.open_connection(*self._target)
        try:
            ways = {
                asyncio.create_task(self._sent(reader, there[1])),
                asyncio.create_task(self._brought(there[0], writer)),
            }
            try:
                await asyncio.wait(ways, return_when="FIRST_COMPLETED")
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            there[1].close()
            with suppress(OSError):
                await there[1].wait_closed()

    async def _sent(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()

    async def _brought(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            self.received += len(chunk)
            if self.cuts and self.received >= self.cuts[0]:
                del self.cuts[0]
                return
            if self.rate:
                now = asyncio.get_running_loop().time()
                self._free_at = max(now, self._free_at) + len(chunk) / self.rate
                await asyncio.sleep(self._free_at - now)
            writer.write(chunk)
            await writer.drain()
