"""Serves an app on one socket until cancelled; with TLS, given a certificate."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

CONNECTIONS_MAX: Final = 4096
STOP_SECONDS_MAX: Final = 5
KEEP_ALIVE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen; both files, or no TLS."""

    host: str
    port: int
    cert_file: Path | None = None
    key_file: Path | None = None


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(
    app: ASGIApp, listening: Listening, on_listening: Callable[[int], None]
) -> None:
    """Serve *app* until cancelled; then finish the open answers, and stop.

    *on_listening* is told the port, once it is bound (0: any free one). Raises OSError
    when it cannot be.
    """
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    address = (listening.host, listening.port)
    listener = socket.create_server(address, family=family, backlog=1024)
    # Inherited. asyncio does it for none that were made like this one, and each small
    # answer would wait 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        log_config=None,
        log_level="critical",  # a body that is broken off is told by ourselves
        proxy_headers=False,
        server_header=False,
        ssl_certfile=listening.cert_file,
        ssl_keyfile=listening.key_file,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws="none",
    )
    server = _Server(config)
    on_listening(listener.getsockname()[1])
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
