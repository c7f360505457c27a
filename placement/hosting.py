"""Serves an HTTP app on one socket, beside whatever else the process does."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

STOP_SECONDS_MAX: Final = 5
KEEP_ALIVE_SECONDS: Final = 60
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Hosting:
    """How an app is served; both files, or no TLS."""

    connections_max: int
    """More are answered 503."""
    cert_file: Path | None = None
    key_file: Path | None = None
    log_level: str | None = None
    """Of the server's own words; None: its default."""


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 is any free one. Raises OSError.

    Its connections send at once: an answer is written in two pieces, and the second
    would wait 40 ms for the other side's delayed acknowledgement. asyncio sees to that
    only for sockets that name their protocol, as ``create_server`` does not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def port_of(listener: socket.socket) -> int:
    """Return the port that *listener* is on."""
    port: int = listener.getsockname()[1]
    return port


async def host_app(app: ASGIApp, listener: socket.socket, hosting: Hosting) -> None:
    """Serve *app* until cancelled; then finish the open answers, and stop.

    The listener is closed at the end. No header says who a client is but the socket.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        limit_concurrency=hosting.connections_max,
        log_config=None,
        log_level=hosting.log_level,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=hosting.cert_file,
        ssl_keyfile=hosting.key_file,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws="none",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
