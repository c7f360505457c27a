"""A TCP link to a registry that tells what was asked, and breaks when a test says."""

import asyncio
import re
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 65_536
_ASKED: Final = re.compile(rb"(GET|HEAD|PUT|POST|PATCH) (/v2/\S*) HTTP/1\.1\r\n")


class WatchedLink:
    """Forwards loopback connections to one address; begins well."""

    def __init__(self, address: str) -> None:
        """Lead to *address*, HOST:PORT, once entered."""
        self.address = address
        self.asked: Counter[tuple[str, str]] = Counter()
        """How often each method and path was asked."""
        self.received_bytes = 0
        """What came from there."""
        self.hangs = False
        """Whether it takes connections and requests, and lets nothing come back."""
        self.delay_s = 0.0
        """How long what comes back takes."""
        self.cut_bytes: int | None = None
        """After so many bytes from there all is cut, and connections are refused."""
        self.hang_bytes: int | None = None
        """After so many bytes from there it hangs."""
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.close()

    async def open(self) -> None:
        """Listen, on the port of the first time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def gets(self, word: str) -> Counter[str]:
        """Return how often each path with *word* in it was fetched."""
        found = {p: n for (m, p), n in self.asked.items() if m == "GET" and word in p}
        return Counter(found)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = self.address.rpartition(":")
        try:
            there = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        ways = [
            asyncio.create_task(self._sent(reader, there[1])),
            asyncio.create_task(self._brought(there[0], writer)),
        ]
        try:
            with suppress(asyncio.CancelledError):  # its callback would complain
                await asyncio.wait(ways, return_when="FIRST_COMPLETED")
        finally:
            for way in ways:
                way.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= {writer, there[1]}
            for one in (writer, there[1]):
                with suppress(OSError):
                    one.close()

    async def _sent(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                for method, path in _ASKED.findall(chunk):
                    self.asked[method.decode(), path.decode()] += 1
                writer.write(chunk)
                await writer.drain()

    async def _brought(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                self.received_bytes += len(chunk)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.hang_bytes and self.received_bytes > self.hang_bytes:
                    self.hangs, self.hang_bytes = True, None
                while self.hangs:  # noqa: ASYNC110 - a test's switch, no event
                    await asyncio.sleep(0.05)
                if self.cut_bytes is not None and self.received_bytes > self.cut_bytes:
                    self.close()
                    return
                writer.write(chunk)
                await writer.drain()
