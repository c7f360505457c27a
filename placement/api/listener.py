"""Where the service listens, and by which credentials it is known."""

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from placement.core.errors import InputError
from placement.core.reporting.prices import Prices
from placement.runtime.limits import LimitSettings
from placement.runtime.watcher import WatchSettings


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the gRPC server is set up; what is fixed for everybody is in ``server``."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port; ``PlacementServer.start`` says which."""
    reuse_port: bool = False
    """Share the port with other services that do so, too: each gets some callers."""
    cert_file: Path | None = None
    """The certificate chain, PEM; with it the service speaks TLS only."""
    key_file: Path | None = None
    client_ca_file: Path | None = None
    """Who signs clients' certificates; with it every client needs one."""
    allow_plaintext: bool = False
    """Speak without TLS even to other machines."""
    reflection: bool = True
    default_deadline_ms: int = 250
    """So long may an answer wait for freshness when the caller gives no less."""
    sample_every: int = 1_000
    """One in so many of the ordinary calls gets a log line."""
    watch: WatchSettings = field(default_factory=WatchSettings)
    """How many may watch, and how often they are told."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    """How much is let in when more comes than can be answered."""
    prices: Prices = field(default_factory=Prices)
    """What reports count money by; without any, nothing costs anything."""


def check_settings(settings: ServerSettings) -> None:
    """Raise InputError naming the setting unless this may be listened with."""
    if (settings.cert_file is None) != (settings.key_file is None):
        field = "tls.key_file" if settings.cert_file else "tls.cert_file"
        raise InputError(field, "", "give tls.cert_file and tls.key_file, or neither")
    if settings.client_ca_file is not None and settings.cert_file is None:
        remedy = "also give tls.cert_file and tls.key_file: without TLS none is asked"
        raise InputError("tls.client_ca_file", settings.client_ca_file, remedy)
    if settings.reuse_port and not settings.port:
        remedy = "give the port that all of them are to share"
        raise InputError("listen", f"{settings.host}:0", remedy)
    private = is_loopback(settings.host) or settings.allow_plaintext
    if settings.cert_file is None and not private:
        remedy = (
            "other machines would speak to it in plain text: give tls.cert_file and "
            "tls.key_file, listen on 127.0.0.1, or set allow_plaintext = true"
        )
        raise InputError("listen", settings.host, remedy)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach *host*."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def listen(server: grpc.aio.Server, settings: ServerSettings) -> int:
    """Bind *server* to its address and return the port.

    Raises InputError naming the setting that is at fault.
    """
    address = f"{_bracketed(settings.host)}:{settings.port}"
    try:
        if settings.cert_file is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(settings))
    except RuntimeError:
        remedy = (
            "choose an address of this machine and a port that is free; for several "
            "services on one port start each with reuse_port = true"
        )
        raise InputError("listen", address, remedy) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials:
    key = _read(settings.key_file, "tls.key_file")
    chain = _read(settings.cert_file, "tls.cert_file")
    client_ca = None
    if settings.client_ca_file is not None:
        client_ca = _read(settings.client_ca_file, "tls.client_ca_file")
    _check_certificates(settings)
    return grpc.ssl_server_credentials(
        [(key, chain)],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )


def _check_certificates(settings: ServerSettings) -> None:
    """Raise InputError for what gRPC would refuse without saying which file it was."""
    assert settings.cert_file is not None, "check_settings has been here"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password: a key that needs one is an error, not a prompt.
        context.load_cert_chain(settings.cert_file, settings.key_file, lambda: "")
    except ssl.SSLError:
        remedy = "give a PEM certificate chain, and in tls.key_file its plain PEM key"
        raise InputError("tls.cert_file", settings.cert_file, remedy) from None
    try:
        if settings.client_ca_file is not None:
            context.load_verify_locations(settings.client_ca_file)
    except ssl.SSLError:
        remedy = "give PEM certificates of those who sign clients' certificates"
        raise InputError(
            "tls.client_ca_file", settings.client_ca_file, remedy
        ) from None


def _read(path: Path | None, field: str) -> bytes:
    assert path is not None, "check_settings has been here"
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = f"give a file that can be read ({error.strerror})"
        raise InputError(field, path, remedy) from None
