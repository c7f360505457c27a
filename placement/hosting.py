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
TAKE_SECONDS_MAX: Final = 15.0
"""Until what was sent is taken, or so much of it that there is room for more."""
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
    take_seconds: float = TAKE_SECONDS_MAX
    """Who takes nothing of an answer for so long is hung up on."""
    log_level: str | None = None
    """Of the server's own words; None: its default."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1, where requests have to be whole, and answers to be taken, in good time.

    uvicorn gives them for ever: a few hundred connections that never ask for anything,
    or never take what they asked for, would shut out everybody else.
    """

    take_seconds: float = TAKE_SECONDS_MAX
    _late: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._paused = False
        self._wait_no_more()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take *data* in, and wait for the rest if it is not yet a request."""
        self._taken()
        super().data_received(data)
        if self._answered:
            self._wait()
        else:
            self._wait_no_more()

    def pause_writing(self) -> None:
        """Let no more be written, and wait until there is room again."""
        super().pause_writing()
        self._paused = True
        self._wait_until_taken()

    def resume_writing(self) -> None:
        """Let more be written."""
        self._paused = False
        self._taken()
        super().resume_writing()
        if self._answered:
            self._wait_until_taken()

    def on_response_complete(self) -> None:
        """Wait until the end of an answer was taken: it may be the last one."""
        super().on_response_complete()
        self._wait_until_taken()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and wait until that was taken."""
        super().send_400_response(msg)
        self._wait_until_taken()

    @property
    def _answered(self) -> bool:
        """Whether no request waits for its answer."""
        return getattr(self.cycle, "response_complete", True)  # None: none began

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS_MAX, self._hang_up)

    def _wait_until_taken(self) -> None:
        if self._untaken is None and self.transport.get_write_buffer_size():
            self._untaken = self.loop.call_later(self.take_seconds, self._give_up)

    def _taken(self) -> None:
        """Wait no more for what was sent, unless there is too much of it."""
        if self._untaken is not None and not self._paused:
            self._untaken.cancel()
            self._untaken = None

    def _hang_up(self) -> None:
        """End the connection, and leave what was not taken."""
        self._give_up()
        self.transport.close()

    def _give_up(self) -> None:
        """End the connection unless all was taken: to close it would wait for that."""
        self._untaken = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

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


def _protocol(hosting: Hosting) -> type[PatientProtocol]:
    """Return what connections are spoken by."""
    kind = PatientProtocol if hosting.tls is None else KnowingProtocol
    return type(kind.__name__, (kind,), {"take_seconds": hosting.take_seconds})


async def host_app(app: ASGIApp, listener: socket.socket, hosting: Hosting) -> None:
    """Serve *app* until cancelled; then finish the open answers, and stop.

    The listener is closed at the end. No header says who a client is but the socket.
    """
    tls = hosting.tls
    config = uvicorn.Config(
        app,
        access_log=False,
        http=_protocol(hosting),
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
