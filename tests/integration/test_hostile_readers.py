"""Sockets of pages under readers that mean no good: they ask, and take nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.server import ServerState

from placement.hosting import (
    Hosting,
    PatientProtocol,
    host_app,
    open_listener,
    port_of,
)

BIG_BYTES = 32 << 20
ROOM = 4
TAKE_SECONDS = 0.2
WAIT_SECONDS = 20.0
BIG = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def app() -> Starlette:
    """Return pages of either size."""

    async def sized(request: Request) -> Response:
        return Response(bytes(BIG_BYTES if request.url.path == "/big" else 10))

    return Starlette(routes=[Route("/{name}", sized)])


@asynccontextmanager
async def hosted() -> AsyncIterator[int]:
    """Serve the pages to few connections at once; give the port."""
    listener = open_listener("127.0.0.1", 0)
    port = port_of(listener)
    hosting = Hosting(ROOM, take_seconds=TAKE_SECONDS)
    serving = asyncio.create_task(host_app(app(), listener, hosting))
    try:
        yield port
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def status(port: int) -> bytes:
    """Return how a fair reader is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SMALL)
    answer = await reader.read()
    writer.close()
    return answer[9:12]


async def test_who_takes_nothing_is_hung_up_on() -> None:
    """Connections whose answers nobody reads make room for those that read."""
    loop = asyncio.get_running_loop()
    async with hosted() as port:
        idle = []
        for _ in range(ROOM):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setblocking(False)  # noqa: FBT003 - a builtin's
            await loop.sock_sendall(sock, BIG)
            idle.append(sock)
        async with asyncio.timeout(WAIT_SECONDS):
            while await status(port) != b"200":  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)
        for sock in idle:
            sock.close()


class Taken:
    """A transport whose other side takes nothing until it is said to."""

    def __init__(self) -> None:
        """Have room for everything."""
        self.left = 0
        self.said: list[str] = []

    def write(self, data: bytes) -> None:
        """Keep *data* to be taken."""
        self.left += len(data)

    def get_write_buffer_size(self) -> int:
        """Say how much was not taken."""
        return self.left

    def get_extra_info(self, _name: str) -> None:
        """Tell nothing."""

    def is_closing(self) -> bool:
        """Say whether it is at its end."""
        return bool(self.said)

    def close(self) -> None:
        """End it when all was taken."""
        self.said.append("close")

    def abort(self) -> None:
        """End it now."""
        self.said.append("abort")


async def answered(transport: Taken, request: bytes) -> PatientProtocol:
    """Return a connection on which *request* was answered."""
    config = uvicorn.Config(app(), lifespan="off", log_config=None)
    protocol = PatientProtocol(config, ServerState(), {})
    protocol.take_seconds = TAKE_SECONDS
    protocol.connection_made(cast("asyncio.Transport", transport))
    protocol.data_received(request)
    await until(lambda: getattr(protocol.cycle, "response_complete", True))
    return protocol


async def until(true: Callable[[], bool]) -> None:
    """Return once something is so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("request_", [SMALL, b"nonsense\r\n\r\n"])
async def test_last_piece_that_nobody_takes_is_left(request_: bytes) -> None:
    """It is closed then, and to close it would wait for ever."""
    transport = Taken()
    protocol = await answered(transport, request_)
    assert transport.said[:1] == ["close"]
    await until(lambda: "abort" in transport.said)
    protocol.connection_lost(None)


async def test_who_takes_all_is_not_hung_up_on() -> None:
    """Between two requests there is as much time as ever."""
    transport = Taken()
    protocol = await answered(transport, SMALL.replace(b"close", b"keep-alive"))
    transport.left = 0
    await asyncio.sleep(2 * TAKE_SECONDS)
    assert transport.said == []
    protocol.pause_writing()
    protocol.resume_writing()
    await asyncio.sleep(2 * TAKE_SECONDS)
    assert transport.said == []
    protocol.connection_lost(None)
