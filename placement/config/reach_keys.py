"""The keys of who is reached how: the log, the service, and who they prove to be."""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr, model_validator

from placement.config.values import PORT_MAX, Section, said
from placement.core.errors import InputError

_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


def _servers(text: str) -> str:
    for server in text.split(",") if text else ():
        scheme, _, rest = server.partition("://")
        if scheme not in {"nats", "tls", "ws", "wss"} or not rest or "@" in rest:
            message = (
                "give nats://HOST:PORT or tls://HOST:PORT, several with commas between;"
                " who we are goes into nats.user and nats.password"
            )
            raise ValueError(message)
    return text


def _trust_domain(text: str) -> str:
    if text and not _DOMAIN.fullmatch(text):
        message = "give a lower-case domain name, such as placement.example.org"
        raise ValueError(message)
    return text


class TlsConfig(Section):
    """How the service proves who it is, and whom it lets in; PEM files."""

    cert_file: Annotated[Path | None, said("the certificate chain's file")] = None
    key_file: Annotated[Path | None, said("the private key's file")] = None
    client_ca_file: Annotated[
        Path | None, said("the file of the authorities that clients must be known to")
    ] = None
    trust_domain: Annotated[
        str,
        AfterValidator(_trust_domain),
        said(
            "the domain of the names in clients' certificates; empty: nobody is asked"
        ),
    ] = ""
    reload_seconds: Annotated[
        float,
        said("seconds between looks for new files, 0.1 to 3600", ge=0.1, le=3600),
    ] = 10.0

    @model_validator(mode="after")
    def _whole(self) -> "TlsConfig":
        if (self.cert_file is None) != (self.key_file is None):
            raise InputError("tls", "", "give both cert_file and key_file, or neither")
        if self.client_ca_file is not None and self.cert_file is None:
            remedy = "give cert_file and key_file with it"
            raise InputError("tls.client_ca_file", self.client_ca_file, remedy)
        if (self.client_ca_file is None) != (not self.trust_domain):
            remedy = "give both client_ca_file and trust_domain, or neither"
            raise InputError("tls.trust_domain", self.trust_domain, remedy)
        return self


class ClientConfig(Section):
    """How commands and agents reach the service: with TLS when any of this is given."""

    tls: Annotated[bool, said("true or false: TLS by the system's authorities")] = False
    ca_file: Annotated[
        Path | None, said("the PEM file of the service's authorities")
    ] = None
    cert_file: Annotated[Path | None, said("our certificate's PEM file")] = None
    key_file: Annotated[Path | None, said("our private key's PEM file")] = None


class NatsConfig(Section):
    """Where the log is. Without a url the service runs a broker of its own."""

    url: Annotated[
        str,
        AfterValidator(_servers),
        said("the servers, such as nats://HOST:4222; empty: our own broker"),
    ] = ""
    credentials_file: Annotated[Path | None, said("a NATS credentials file")] = None
    nkey_seed_file: Annotated[
        Path | None, said("a file that holds the seed of an nkey")
    ] = None
    user: Annotated[str, said("a user name; empty: none")] = ""
    password: Annotated[SecretStr, said("the user's password")] = SecretStr("")
    password_file: Annotated[Path | None, said("a file that holds the password")] = None
    inbox_prefix: Annotated[
        str,
        said(
            "how the subjects begin on which we are answered, 1 to 64 of A-Z a-z 0-9 _"
            " - and . inside; empty: as `placement nats-config` permits it",
            pattern=r"^([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?$",
            max_length=64,
        ),
    ] = ""
    ca_file: Annotated[
        Path | None, said("the PEM file of the servers' authorities")
    ] = None
    cert_file: Annotated[Path | None, said("our certificate's PEM file")] = None
    key_file: Annotated[Path | None, said("our private key's PEM file")] = None
    port: Annotated[
        int,
        said(
            "our own broker's port on 127.0.0.1, 0 to 65535; 0: any free one",
            ge=0,
            le=PORT_MAX,
        ),
    ] = 0
    stream: Annotated[
        str, said("1 to 64 of A-Z a-z 0-9 _ -", pattern="^[A-Za-z0-9_-]{1,64}$")
    ] = "PLACEMENT_V1"
    replicas: Annotated[
        int, said("the stream's copies in the cluster, 1 to 5", ge=1, le=5)
    ] = 1
    max_bytes: Annotated[
        int, said("the most the stream may hold, bytes; 0: no limit", ge=0, le=2**62)
    ] = 0

    @model_validator(mode="after")
    def _clustered(self) -> "NatsConfig":
        if self.replicas > 1 and not self.url:
            remedy = "our own broker is one server: give nats.url too, or leave it 1"
            raise InputError("nats.replicas", self.replicas, remedy)
        return self
