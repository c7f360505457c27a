"""Serves an HTTP app on one socket, beside whatever else the process does."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

STOP_SECONDS_MAX: Final = 5
KEEP_ALIVE_SECONDS: Final = 60
HEAD_SECONDS_MAX: Final = 15.0
"""From a connection's beginning, or a request's first byte, to the end of its head;
and for what is still sent of a request that was answered."""
BACKLOG: Final = 1024
CERTIFICATE: Final = "placement.certificate"
"""Where a request's scope holds its client's certificate, as ``ssl`` gives it."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """How an app is served; both files, or *tls*, or no TLS."""

    connections_max: int
    """More are answered 503."""
    cert_file: Path | None = None
    key_file: Path | None = None
    tls: ssl.SSLContext | None = None
    """What handshakes are made with; requests then tell who was known by them."""
    log_level: str | None = None
    """Of the server's own words; None: its default."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1, for which a request's head has to be whole in good time.

    uvicorn gives it for ever: a few hundred connections that never ask for anything
    would shut out everybody else.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take *data* in, and wait for the rest if it is not yet a request."""
        super().data_received(data)
        answered = getattr(self.cycle, "response_complete", True)  # None: none began
        if answered:
            self._wait()
        else:
            self._wait_no_more()

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS_MAX, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class KnowingProtocol(PatientProtocol):
    """The same, where a request's scope holds what its client's certificate says."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Note who the other side has proved to be."""
        secured = transport.get_extra_info("ssl_object")
        certificate = (secured and secured.getpeercert()) or {}
        inner = self.app

        async def knowing(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, CERTIFICATE: certificate}, receive, send)

        self.app = knowing
        super().connection_made(transport)


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
    tls = hosting.tls
    config = uvicorn.Config(
        app,
        access_log=False,
        http=PatientProtocol if tls is None else KnowingProtocol,
        lifespan="off",
        limit_concurrency=hosting.connections_max,
        log_config=None,
        log_level=hosting.log_level,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=hosting.cert_file,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
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
