"""Certificates of a client: read for a channel, and again when they have changed."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from placement.core.errors import InputError

Stamp = tuple[tuple[int, int, int], ...]
"""What tells that a file was written anew, for each file."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How the client knows the service, and how the service knows the client.

    The files are read again when they change: new connections use what is new, and
    those that stand go on. What cannot be used, such as a certificate whose key is not
    there yet, changes nothing.
    """

    ca_file: Path | None = None
    """Who signed the service's certificate; None: whom the system trusts."""
    cert_file: Path | None = None
    """The client's own certificate chain, where the service asks for one."""
    key_file: Path | None = None


def credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    """Return what the files hold now; raises InputError naming one that cannot."""
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file, "ca_file"),
        private_key=_read(tls.key_file, "key_file"),
        certificate_chain=_read(tls.cert_file, "cert_file"),
    )


def stamp(tls: ClientTls) -> Stamp | None:
    """Return what changes when a file is written anew; None while one is gone."""
    files = (tls.ca_file, tls.cert_file, tls.key_file)
    try:
        found = [file.stat() for file in files if file is not None]
    except OSError:
        return None
    return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)


def usable(tls: ClientTls) -> bool:
    """Say whether a connection could be made with what the files hold now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca_file is not None:
            context.load_verify_locations(tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, lambda: "")
    except (ssl.SSLError, OSError):
        return False
    return True


def _read(path: Path | None, field: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = f"give a file that can be read ({error.strerror})"
        raise InputError(field, path, remedy) from None
