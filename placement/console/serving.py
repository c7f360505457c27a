"""The console's socket: where it listens, and by which certificates."""

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable

import structlog
from starlette.types import ASGIApp

from placement.api.certificate_times import expiry_seconds
from placement.api.certificates import NS_PER_SECOND, CertificateFiles, Contents
from placement.console.settings import CONNECTIONS_MAX, FIELD, ConsoleSettings
from placement.core.errors import InputError
from placement.hosting import Hosting, host_app, open_listener, port_of

log = structlog.get_logger(__name__)


_Taken = tuple[Contents, ssl.SSLContext]
"""What the files held, and what handshakes are made with by it."""


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, settings: ConsoleSettings, clock: Callable[[], int] = time.time_ns
) -> AsyncIterator[int | None]:
    """Serve *app* within the block, and give the port; None where there is none.

    *clock* says in Unix nanoseconds which certificates have run out. Raises InputError,
    naming the key, when the address cannot be listened on, or files cannot be used.
    """
    listener = _listener(settings)
    if listener is None:
        yield None
        return
    with listener:
        listener.settimeout(0)  # as every copy of it then is, and it by theirs
        bound = port_of(listener)
        files = _files(settings)
        if files is None:
            hosted = host_app(app, listener, Hosting(CONNECTIONS_MAX))
        else:
            taken = await asyncio.to_thread(_loaded, files)
            renewing = _Renewing(files, settings.look_interval_s, clock)
            hosted = _host(app, listener, renewing, taken)
        running = asyncio.create_task(hosted)
        log.info("console_listening", host=settings.host, port=bound)
        try:
            yield bound
        finally:
            running.cancel()
            await asyncio.wait({running})


def _listener(settings: ConsoleSettings) -> socket.socket | None:
    address = f"{settings.host}:{settings.port}"
    try:
        return open_listener(settings.host, settings.port)
    except OSError as error:
        if settings.optional and error.errno == errno.EADDRINUSE:
            log.warning("console_not_listening", address=address, reason="port taken")
            return None
        remedy = f"choose an address of this machine that is free ({error.strerror})"
        raise InputError(FIELD, address, remedy) from None


def _files(settings: ConsoleSettings) -> CertificateFiles | None:
    if settings.cert_file is None or settings.key_file is None:
        return None
    return CertificateFiles(
        settings.cert_file, settings.key_file, settings.client_ca_file
    )


async def _host(
    app: ASGIApp, listener: socket.socket, renewing: "_Renewing", taken: _Taken
) -> None:
    """Serve until cancelled, anew when there are new certificates.

    Whoever serves next listens before the last one ends, on the same socket: what
    cannot be used, or not be listened with, leaves all as it was.
    """
    serving = {_served(app, listener, taken)}
    try:
        while True:
            fresh = await renewing.next(taken)
            try:
                begun = _served(app, listener, fresh)
            except OSError as error:
                renewing.refuse(error)
                continue
            for last in serving:
                last.cancel()
            taken, serving = fresh, {*serving, begun}
            log.info("console_listening_anew", reason="new certificates")
            _, serving = await asyncio.wait(serving, return_when="FIRST_COMPLETED")
    finally:
        for each in serving:
            each.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def _served(app: ASGIApp, listener: socket.socket, taken: _Taken) -> asyncio.Task[None]:
    """Begin to serve on what *listener* listens on; raises OSError."""
    hosting, own = Hosting(CONNECTIONS_MAX, tls=taken[1]), listener.dup()
    task = asyncio.create_task(host_app(app, own, hosting))
    task.add_done_callback(lambda _: own.close())  # where it never began to serve
    return task


class _Renewing:
    """Waits for certificates that are others, and can be used."""

    def __init__(
        self, files: CertificateFiles, interval_s: float, clock: Callable[[], int]
    ) -> None:
        self._files = files
        self._interval_s = interval_s
        self._clock = clock
        self._refused = ""

    async def next(self, taken: _Taken) -> _Taken:
        """Return what is there instead of what was *taken*, once it can be used."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                found = await asyncio.to_thread(self._look, taken)
            except InputError as error:
                self.refuse(error)
                continue
            if found is not None:
                return found

    def refuse(self, error: Exception) -> None:
        """Say once why what is new cannot be used: the next look may find it whole."""
        if str(error) != self._refused:
            self._refused = str(error)
            log.warning("console_certificates_not_taken_up", error=str(error))

    def _look(self, taken: _Taken) -> _Taken | None:
        """Return what is new; None: nothing, or not all yet. Raises InputError."""
        if self._files.read() == taken[0]:
            return None
        found = _loaded(self._files)
        chain, _, _ = found[0]
        if (expiry_seconds(chain) or 0) * NS_PER_SECOND <= self._clock():
            remedy = "give one that has not run out"
            raise InputError("tls.cert_file", self._files.cert_file, remedy)
        return found if self._files.read() == found[0] else None


def _loaded(files: CertificateFiles) -> _Taken:
    """Return what the files hold; raises InputError for what cannot be used."""
    contents = files.read()
    files.check()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(files.cert_file, files.key_file, lambda: "")
        if files.client_ca_file is not None:
            context.load_verify_locations(files.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # they were others when they were checked
        remedy = f"give files that stay as they are while they are read ({error})"
        raise InputError("tls.cert_file", files.cert_file, remedy) from None
    return contents, context
