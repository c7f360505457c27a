"""A TCP link for tests: counted, slow, cut in the middle, or dead without saying so."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 16_384
CHUNKS_UNDER_WAY_MAX: Final = 64


class Way:
    """One direction of a link. While it is blocked, bytes and ends wait, as in TCP."""

    def __init__(self, bytes_per_second: float = 0) -> None:
        """Be open; 0 is as fast as it goes, shared by all connections."""
        self.rate = bytes_per_second
        self.delay_s = 0.0
        """So much later everything arrives."""
        self._free_at = 0.0
        self._open = asyncio.Event()
        self._open.set()

    def block(self) -> None:
        """Let nothing through, and nobody know."""
        self._open.clear()

    def unblock(self) -> None:
        """Let through what waits, and all that follows."""
        self._open.set()

    async def carried(self, size: int, sent_at: float) -> None:
        """Return when *size* bytes that were sent at that time have arrived."""
        loop = asyncio.get_running_loop()
        await self._open.wait()
        if self.rate:
            self._free_at = max(loop.time(), self._free_at) + size / self.rate
        arrives_at = max(sent_at + self.delay_s, self._free_at)
        if arrives_at > loop.time():
            await asyncio.sleep(arrives_at - loop.time())
            await self._open.wait()


class LinkProxy:
    """Forwards connections to one address; *received* counts what comes from there."""

    def __init__(
        self, address: str, bytes_per_second: float = 0, port: int = 0
    ) -> None:
        """Lead to *address*, HOST:PORT; what comes from there is so slow, 0: not."""
        host, _, there = address.rpartition(":")
        self._target = (host, int(there))
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.there = Way()
        self.back = Way(bytes_per_second)
        self.received = 0
        self.connections = 0
        self.cuts: list[int] = []
        """When so many bytes came, in all, connections are cut; the least first."""
        self.refuses = False

    @property
    def rate(self) -> float:
        """How fast bytes come from there, a second; 0 is as fast as it goes."""
        return self.back.rate

    @rate.setter
    def rate(self, bytes_per_second: float) -> None:
        self.back.rate = bytes_per_second

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where it listens, for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def block(self) -> None:
        """Let nothing through in either direction; connections stay."""
        self.there.block()
        self.back.block()

    def unblock(self) -> None:
        """Let everything through again."""
        self.there.unblock()
        self.back.unblock()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
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
        async with UnderWay(self.there, writer) as under_way:
            while chunk := await reader.read(CHUNK_BYTES):
                await under_way.put(chunk)

    async def _brought(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async with UnderWay(self.back, writer) as under_way:
            while chunk := await reader.read(CHUNK_BYTES):
                self.received += len(chunk)
                if self.cuts and self.received >= self.cuts[0]:
                    del self.cuts[0]
                    raise ConnectionAbortedError
                await under_way.put(chunk)


class UnderWay:
    """What one connection has sent along a way, and what has not arrived yet."""

    def __init__(self, way: Way, writer: asyncio.StreamWriter) -> None:
        """Deliver to *writer* what has been carried along *way*."""
        self._way = way
        self._writer = writer
        self._chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(
            CHUNKS_UNDER_WAY_MAX
        )
        self._delivering = asyncio.create_task(self._deliver())

    async def put(self, chunk: bytes) -> None:
        """Send *chunk*, or wait until less is under way."""
        await self._chunks.put((asyncio.get_running_loop().time(), chunk))

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until all has arrived, and with it the end; after an error, drop it."""
        try:
            if error is None:
                await self.put(b"")
                await self._delivering
        finally:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)

    async def _deliver(self) -> None:
        while True:
            sent_at, chunk = await self._chunks.get()
            await self._way.carried(len(chunk), sent_at)
            if not chunk:
                return
            self._writer.write(chunk)
            await self._writer.drain()
