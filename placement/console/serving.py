"""The console's socket: where it listens, and by which certificates."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator

import structlog
from starlette.types import ASGIApp

from placement.api.certificates import CertificateFiles
from placement.console.settings import CONNECTIONS_MAX, FIELD, ConsoleSettings
from placement.core.errors import InputError
from placement.hosting import Hosting, host_app, open_listener, port_of

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, settings: ConsoleSettings) -> AsyncIterator[int | None]:
    """Serve *app* within the block, and give the port; None where there is none.

    Raises InputError, naming the key, when the address cannot be listened on.
    """
    listener = _listener(settings)
    if listener is None:
        yield None
        return
    bound = port_of(listener)
    running = asyncio.create_task(_host(app, listener, settings))
    log.info("console_listening", host=settings.host, port=bound)
    try:
        yield bound
    finally:
        running.cancel()
        await asyncio.wait({running})
        listener.close()  # where it never began to serve


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


async def _host(
    app: ASGIApp, listener: socket.socket, settings: ConsoleSettings
) -> None:
    """Serve until cancelled; listen anew when there are new certificates."""
    if settings.cert_file is None or settings.key_file is None:
        await host_app(app, listener, Hosting(CONNECTIONS_MAX))
        return
    host, port = settings.host, port_of(listener)
    files = CertificateFiles(
        settings.cert_file, settings.key_file, settings.client_ca_file
    )
    while True:
        contents = await asyncio.to_thread(files.read)
        hosting = Hosting(CONNECTIONS_MAX, tls=_server_tls(files))
        running = asyncio.create_task(host_app(app, listener, hosting))
        try:
            await _renewed(files, contents, settings.look_interval_s)
        finally:
            running.cancel()
            await asyncio.wait({running})
        log.info("console_listening_anew", reason="new certificates")
        listener = open_listener(host, port)


async def _renewed(
    files: CertificateFiles, contents: object, interval_s: float
) -> None:
    """Wait until other certificates than *contents* are there, and can be used."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            if await asyncio.to_thread(files.read) != contents:
                await asyncio.to_thread(files.check)
                return
        except InputError:
            continue  # the gRPC server says so, once; the next look may find them


def _server_tls(files: CertificateFiles) -> ssl.SSLContext:
    """Return what handshakes are made with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(files.cert_file, files.key_file, lambda: "")
    if files.client_ca_file is not None:
        context.load_verify_locations(files.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
