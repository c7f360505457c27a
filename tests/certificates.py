"""Certificates for tests, made on the spot: authorities, servers and clients."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from placement.client import ClientTls

DOMAIN = "placement.test"
HOUR_S = 3_600.0


def uri(path: str) -> str:
    """Return a name of the trust domain."""
    return f"spiffe://{DOMAIN}/{path}"


def now() -> dt.datetime:
    """Return the time of this machine, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


@dataclass
class Pair:
    """A key and the certificate for it, PEM."""

    key: bytes
    certificate: bytes

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write both, and return the files of certificate and key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        key.write_bytes(self.key)
        certificate.write_bytes(self.certificate)
        return certificate, key


@dataclass
class Authority:
    """Who signs certificates."""

    name: str = "test authority"
    _key: ec.EllipticCurvePrivateKey = field(init=False)
    certificate: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Sign its own certificate."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(self.name)
        builder = _builder(self._subject, self._subject, self._key, 24 * HOUR_S)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        signed = builder.add_extension(constraints, critical=True).sign(
            self._key, hashes.SHA256()
        )
        self.certificate = signed.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *,
        uris: Sequence[str] = (),
        names: Sequence[str] = (),
        valid_s: float = HOUR_S,
    ) -> Pair:
        """Return a pair for these URIs and DNS names, and always for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named("somebody"), self._subject, key, valid_s)
        alternatives: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        ]
        alternatives += map(x509.UniformResourceIdentifier, uris)
        alternatives += map(x509.DNSName, names)
        said = x509.SubjectAlternativeName(alternatives)
        signed = builder.add_extension(said, critical=False).sign(
            self._key, hashes.SHA256()
        )
        return Pair(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            signed.public_bytes(serialization.Encoding.PEM),
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    valid_s: float,
) -> x509.CertificateBuilder:
    ends = now() + dt.timedelta(seconds=valid_s)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=min(now(), ends) - dt.timedelta(days=1),
        not_valid_after=ends,
    )


@dataclass
class Papers:
    """All that a service and its clients need, in one folder."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    _made: dict[str, ClientTls] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the authority's certificate and the service's pair."""
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_bytes(self.authority.certificate)
        self.cert_file, self.key_file = self.authority.issue().write(
            self.folder, "server"
        )

    def client(self, *paths: str, names: Sequence[str] = ()) -> ClientTls:
        """Return what a client uses whose certificate has these names."""
        known = repr((paths, names))
        if known not in self._made:
            pair = self.authority.issue(uris=[*map(uri, paths)], names=names)
            files = pair.write(self.folder, f"client-{len(self._made)}")
            self._made[known] = ClientTls(self.ca_file, *files)
        return self._made[known]
