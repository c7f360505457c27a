"""How to reach NATS, and what the stream must be like."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nkeys

from placement.ports import LogConfigurationError

STREAM = "PLACEMENT_V1"


@dataclass(frozen=True, slots=True)
class JetStreamSettings:
    """A NATS server or cluster, who we are there, and the stream's few choices.

    At most one of *credentials_file*, *nkey_seed_file*, *user* with *password*, and
    *token* is given. *max_bytes* None means no limit.
    """

    servers: tuple[str, ...]
    stream: str = STREAM
    replicas: int = 1
    max_bytes: int | None = None
    duplicate_window_seconds: int = 120
    connect_timeout_seconds: float = 5.0
    append_timeout_seconds: float = 5.0
    inbox_prefix: str = "_INBOX"
    """How the subjects begin on which we are answered; a permission may name it."""
    credentials_file: Path | None = None
    nkey_seed_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls_ca_file: Path | None = None
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None

    @property
    def shown_servers(self) -> str:
        """The servers without the passwords that their addresses may hold."""
        return ", ".join(re.sub(r"[^/@]*@", "", server) for server in self.servers)

    @property
    def identified(self) -> bool:
        """Whether the server will know who we are; users have rights of their own."""
        shown = (
            *(self.credentials_file, self.nkey_seed_file, self.tls_certificate_file),
            *(self.user, self.token),
        )
        return any(one is not None for one in shown)


def identity_options(settings: JetStreamSettings) -> dict[str, Any]:
    """Return what nats-py's ``connect`` needs to say who we are.

    Raises LogConfigurationError when a named file cannot be read.
    """
    options: dict[str, Any] = {
        "user": settings.user,
        "password": settings.password,
        "token": settings.token,
    }
    if settings.credentials_file is not None:
        readable("credentials_file", settings.credentials_file)
        options["user_credentials"] = str(settings.credentials_file)
    if settings.nkey_seed_file is not None:
        options["nkeys_seed_str"] = nkey_seed(settings.nkey_seed_file)
    context = tls_context(settings)
    if context is not None:
        options["tls"] = context
    return options


def nkey_seed(path: Path) -> str:
    """Return the seed in *path*; LogConfigurationError, which never shows it."""
    readable("nkey_seed_file", path)
    seed = path.read_bytes().strip()
    try:
        nkeys.from_seed(bytearray(seed)).wipe()  # type: ignore[no-untyped-call]  # it has no types
    except (nkeys.NkeysError, ValueError, TypeError):
        message = f"nkey_seed_file: {path} holds no seed: give one that begins with SU"
        raise LogConfigurationError(message, field="nkey_seed_file") from None
    return seed.decode()


def tls_context(settings: JetStreamSettings) -> ssl.SSLContext | None:
    """Return a context that verifies the server, or None when no TLS file is named.

    Without one, a ``tls://`` server is verified by the system's authorities. Raises
    LogConfigurationError when a named file cannot be read or does not fit.
    """
    authority, certificate = settings.tls_ca_file, settings.tls_certificate_file
    if authority is None and certificate is None:
        return None
    for name in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
        path = getattr(settings, name)
        if path is not None:
            readable(name, path)
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate is not None:
            context.load_cert_chain(certificate, settings.tls_key_file)
    except ssl.SSLError as error:
        message = (
            f"TLS files {authority}, {certificate}, {settings.tls_key_file}: {error}: "
            "give PEM files of an authority, and of a certificate with its key"
        )
        raise LogConfigurationError(message, field="tls") from error
    return context


def readable(field_name: str, path: Path) -> None:
    """Raise LogConfigurationError unless the file at *path* can be read."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        message = f"{field_name}: {path} cannot be read: {error.strerror}"
        raise LogConfigurationError(message, field=field_name) from error
