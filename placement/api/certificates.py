"""The service's certificates: read again while it runs, and watched for their end.

A handshake takes the newest files that were whole; connections that stand go on. What
cannot be used, such as a certificate whose key is not there yet, leaves all as it was.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import structlog

from placement.api.certificate_times import expiry_seconds
from placement.core.errors import InputError, PlacementError

NS_PER_SECOND: Final = 1_000_000_000
DAY_SECONDS: Final = 86_400
WARN_DAYS: Final = (30, 7, 0)
"""So many days before a certificate runs out, and when it has, that is logged."""

Contents = tuple[bytes, bytes, bytes | None]
"""A certificate chain, its key, and who signs clients' certificates; PEM."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where they are; without *client_ca_file* no client is asked for one."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None

    def read(self) -> Contents:
        """Return chain, key and authorities; raises InputError naming the setting."""
        key, authorities = _read(self.key_file, "tls.key_file"), None
        chain = _read(self.cert_file, "tls.cert_file")
        if self.client_ca_file is not None:
            authorities = _read(self.client_ca_file, "tls.client_ca_file")
        return chain, key, authorities

    def check(self) -> None:
        """Raise InputError for what gRPC would refuse without saying which it was."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An empty password: a key that needs one is an error, not a prompt.
            context.load_cert_chain(self.cert_file, self.key_file, lambda: "")
        except (ssl.SSLError, OSError):
            remedy = (
                "give a PEM certificate chain, and in tls.key_file its plain PEM key"
            )
            raise InputError("tls.cert_file", self.cert_file, remedy) from None
        try:
            if self.client_ca_file is not None:
                context.load_verify_locations(self.client_ca_file)
        except (ssl.SSLError, OSError):
            remedy = "give PEM certificates of those who sign clients' certificates"
            raise InputError(
                "tls.client_ca_file", self.client_ca_file, remedy
            ) from None


class Certificates:
    """What handshakes are made with, now."""

    def __init__(self, files: CertificateFiles, clock: Callable[[], int]) -> None:
        """Read *files*; raises InputError naming the setting that is at fault."""
        self._files = files
        self._clock = clock
        self._contents = files.read()
        files.check()
        self._refused: tuple[Contents | None, str] | None = None
        """What could not be used, and why: each is said once."""
        self._fresh: grpc.ServerCertificateConfiguration | None = None
        self._warned: dict[str, int] = {}
        self.outcomes: Counter[str] = Counter()
        """How often new files were taken up, and how often they could not be."""
        self._warn()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a server listens with."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._take_fresh,  # type: ignore[arg-type]  # its stub forgot None
            require_client_authentication=self._files.client_ca_file is not None,
        )

    def expiry(self) -> Mapping[str, int]:
        """Return when what is in use runs out, in Unix seconds, by what it is for."""
        chain, _, authorities = self._contents
        found = {"server": chain, "client_ca": authorities or b""}
        times = {role: expiry_seconds(pem) for role, pem in found.items()}
        return {role: time for role, time in times.items() if time is not None}

    async def run(self, interval_s: float) -> None:
        """Look at the files so often, for ever."""
        while True:
            await asyncio.sleep(interval_s)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take up what is new in the files, if it can be used."""
        contents: Contents | None = None
        try:
            contents = self._files.read()
            if contents != self._contents:
                self._files.check()
                self._take_up(contents)
        except PlacementError as error:
            if (contents, str(error)) != self._refused:
                self._refused = (contents, str(error))
                self.outcomes["failed"] += 1
                log.warning("certificates_not_reloaded", error=str(error))
        self._warn()

    def _take_up(self, contents: Contents) -> None:
        chain, _, _ = contents
        if (expiry_seconds(chain) or 0) * NS_PER_SECOND <= self._clock():
            remedy = "give one that has not run out"
            raise InputError("tls.cert_file", self._files.cert_file, remedy)
        if contents != self._files.read():
            return  # they are being written: the next look sees all of it
        self._contents, self._refused = contents, None
        self._fresh = self._configuration()
        self.outcomes["reloaded"] += 1
        log.info("certificates_reloaded", expiry=dict(self.expiry()))

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        chain, key, authorities = self._contents
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    def _take_fresh(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what changed since a handshake last asked, or None; on any thread."""
        fresh, self._fresh = self._fresh, None
        return fresh

    def _warn(self) -> None:
        """Log once for each threshold that the end of a certificate comes below."""
        for role, time in self.expiry().items():
            left_s = time - self._clock() // NS_PER_SECOND
            passed = [days for days in WARN_DAYS if left_s <= days * DAY_SECONDS]
            below = min(passed, default=WARN_DAYS[0] + 1)
            if passed and below < self._warned.get(role, below + 1):
                days = round(left_s / DAY_SECONDS, 1)
                log.warning("certificate_expires", role=role, days=days)
            self._warned[role] = below


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = f"give a file that can be read ({error.strerror})"
        raise InputError(field, path, remedy) from None
