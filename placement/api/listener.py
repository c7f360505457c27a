"""Where the service listens, and by which credentials it is known."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from placement.api.authority.identity import parse_trust_domain
from placement.api.certificates import CertificateFiles, Certificates
from placement.core.errors import InputError
from placement.core.reporting.prices import Prices
from placement.runtime.exchange import Exchange
from placement.runtime.limits import LimitSettings
from placement.runtime.past import Past
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
    trust_domain: str = ""
    """Whose names in clients' certificates say who they are; see ``authority``."""
    look_interval_s: float = 10.0
    """The certificates' files are looked at again so often."""
    allow_plaintext: bool = False
    """Speak without TLS even to other machines."""
    allow_anonymous: bool = False
    """Serve other machines that show no certificate; who asks may do everything."""
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
    exchange: Exchange = field(default_factory=Exchange)
    """What gives and takes checkpoints; without, neither is done."""
    past: Past | None = None
    """What answers about the past are made from; without, there are none."""


def check_settings(settings: ServerSettings) -> None:
    """Raise InputError naming the setting unless this may be listened with."""
    if (settings.cert_file is None) != (settings.key_file is None):
        field = "tls.key_file" if settings.cert_file else "tls.cert_file"
        raise InputError(field, "", "give tls.cert_file and tls.key_file, or neither")
    _check_clients(settings)
    if settings.reuse_port and not settings.port:
        remedy = "give the port that all of them are to share"
        raise InputError("listen", f"{settings.host}:0", remedy)
    if is_loopback(settings.host):
        return
    if settings.cert_file is None and not settings.allow_plaintext:
        remedy = (
            "other machines would speak to it in plain text: give tls.cert_file, "
            "tls.key_file, tls.client_ca_file and tls.trust_domain, listen on "
            "127.0.0.1, or set allow_plaintext = true"
        )
        raise InputError("listen", settings.host, remedy)
    named = settings.client_ca_file is not None or settings.allow_anonymous
    if settings.cert_file is not None and not named:
        remedy = (
            "whoever reaches it could do everything: give tls.client_ca_file and "
            "tls.trust_domain, listen on 127.0.0.1, or set allow_anonymous = true"
        )
        raise InputError("listen", settings.host, remedy)


def _check_clients(settings: ServerSettings) -> None:
    """Raise InputError unless it is clear who the clients are, or that nobody asks."""
    authorities, domain = settings.client_ca_file, settings.trust_domain
    if authorities is not None and settings.cert_file is None:
        remedy = "also give tls.cert_file and tls.key_file: without TLS none is asked"
        raise InputError("tls.client_ca_file", authorities, remedy)
    if authorities is not None and not domain:
        remedy = "give the domain of the names that clients' certificates are for"
        raise InputError("tls.trust_domain", domain, remedy)
    if domain and authorities is None:
        remedy = "also give tls.client_ca_file: without it nobody shows a certificate"
        raise InputError("tls.trust_domain", domain, remedy)
    if domain:
        parse_trust_domain(domain)


def open_certificates(
    settings: ServerSettings, clock: Callable[[], int]
) -> Certificates | None:
    """Return the certificates to listen with, or None; raises InputError."""
    if settings.cert_file is None or settings.key_file is None:
        return None
    files = CertificateFiles(
        settings.cert_file, settings.key_file, settings.client_ca_file
    )
    return Certificates(files, clock)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach *host*."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def listen(
    server: grpc.aio.Server,
    settings: ServerSettings,
    certificates: Certificates | None = None,
) -> int:
    """Bind *server* to its address and return the port.

    Raises InputError naming the setting that is at fault.
    """
    address = f"{_bracketed(settings.host)}:{settings.port}"
    try:
        if certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, certificates.credentials())
    except RuntimeError:
        remedy = (
            "choose an address of this machine and a port that is free; for several "
            "services on one port start each with reuse_port = true"
        )
        raise InputError("listen", address, remedy) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
