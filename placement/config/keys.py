"""The keys that an operator may set, each with its unit, default and bounds.

A key's description says what it takes; an error quotes it as the remedy.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, SecretStr, model_validator

from placement.config.agent_keys import AgentConfig
from placement.config.limit_keys import LimitsConfig
from placement.config.peer_keys import BootstrapConfig
from placement.config.values import (
    PORT_MAX,
    Address,
    Section,
    is_loopback,
    optional_address,
    said,
    split_address,
)
from placement.core.errors import InputError
from placement.faults import Plan

DATA: Final = Path(__file__).parents[1] / "data"
SHIPPED_REGIONS_FILE: Final = DATA / "regions.toml"
SHIPPED_PRICES_FILE: Final = DATA / "prices.toml"
_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


def _fault_points(text: str) -> str:
    Plan(text)
    return text


def _watchdog(seconds: float) -> float:
    if 0 < seconds < 1 or seconds < 0:
        message = "give at least 1, or 0"
        raise ValueError(message)
    return seconds


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


class CheckpointConfig(Section):
    """How often the state is saved: after either, whichever comes first.

    And how many older checkpoints are kept, in case the newest is damaged.
    """

    interval_seconds: Annotated[
        float, said("seconds, 0.1 to 3600", ge=0.1, le=3600)
    ] = 5.0
    message_count: Annotated[
        int, said("messages, 1 to 10,000,000", ge=1, le=10_000_000)
    ] = 20_000
    generation_count: Annotated[
        int, said("checkpoints to keep, the newest included, 1 to 3", ge=1, le=3)
    ] = 3
    generation_interval_seconds: Annotated[
        float, said("seconds between them, 1 to 86,400", ge=1, le=86_400)
    ] = 900.0


class PlannerConfig(Section):
    """Whether this service decides on copies, and how often it looks at everything."""

    enabled: Annotated[
        bool, said("true or false: whether this service decides on copies")
    ] = True
    tick_seconds: Annotated[
        float,
        said("seconds between looks at everything, 0.1 to 3600", ge=0.1, le=3600),
    ] = 60.0


class Config(Section):
    """All that an operator may choose. Paths are from the working directory."""

    data_dir: Annotated[
        Path, said("a directory for the checkpoint and for our own broker's log")
    ] = Path("placement-data")
    listen: Annotated[Address, said("where to serve gRPC, HOST:PORT")] = (
        "127.0.0.1:7450"
    )
    reuse_port: Annotated[
        bool,
        said("true or false: whether other services may listen on the same port"),
    ] = False
    event_loop: Annotated[
        Literal["auto", "asyncio", "uvloop"],
        said("auto, asyncio or uvloop; auto: uvloop where it is installed"),
    ] = "auto"
    metrics_listen: Annotated[
        str,
        AfterValidator(optional_address),
        said("where to serve /metrics and /healthz, HOST:PORT; empty: nowhere"),
    ] = ""
    watchdog_seconds: Annotated[
        float,
        said("seconds of standstill that end the service, 1 to 3600; 0: none", le=3600),
        AfterValidator(_watchdog),
    ] = 5.0
    server: Annotated[
        str, said("the service that commands ask, HOST:PORT; empty: listen")
    ] = ""
    actor: Annotated[
        str,
        said(
            "who gives orders to the service, for its log: 1 to 255 characters; empty:"
            " each order says it",
            max_length=255,
        ),
    ] = ""
    regions_file: Annotated[Path, said("a region catalogue, TOML")] = (
        SHIPPED_REGIONS_FILE
    )
    prices_file: Annotated[Path, said("prices of transfer and storage, TOML")] = (
        SHIPPED_PRICES_FILE
    )
    home_region: Annotated[
        str, said("the region of every fallback; empty: the catalogue's home")
    ] = ""
    log_format: Annotated[
        Literal["auto", "json", "console"], said("auto, json or console")
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        said("debug, info, warning or error"),
    ] = "info"
    reflection: Annotated[
        bool, said("true or false: whether to answer gRPC reflection")
    ] = True
    allow_plaintext: Annotated[
        bool, said("true or false: whether to serve other machines without TLS")
    ] = False
    allow_anonymous: Annotated[
        bool,
        said("true or false: whether other machines need no certificate of their own"),
    ] = False
    default_deadline_ms: Annotated[
        int,
        said("milliseconds for a call that sets none, 1 to 60,000", ge=1, le=60_000),
    ] = 250
    compare_interval_seconds: Annotated[
        float,
        said(
            "seconds between comparisons with other services, 0 to 3600; 0: none",
            ge=0,
            le=3600,
        ),
    ] = 30.0
    accept_partial_log: Annotated[
        bool, said("true or false: whether to fold a log whose beginning is gone")
    ] = False
    fault_points: Annotated[
        str,
        AfterValidator(_fault_points),
        said(
            "for tests alone: where the service fails,"
            " POINT=kill|raise|stall|stop:COUNT, several with commas; empty: nowhere"
        ),
    ] = ""
    tls: TlsConfig = TlsConfig()
    client: ClientConfig = ClientConfig()
    nats: NatsConfig = NatsConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    bootstrap: BootstrapConfig = BootstrapConfig()
    planner: PlannerConfig = PlannerConfig()
    limits: LimitsConfig = LimitsConfig()
    agent: AgentConfig = AgentConfig()

    @model_validator(mode="after")
    def _guarded(self) -> "Config":
        exposed = not is_loopback(self.listen) and self.tls.cert_file is None
        if exposed and not self.allow_plaintext:
            remedy = (
                "listen on 127.0.0.1, give tls.cert_file, tls.key_file,"
                " tls.client_ca_file and tls.trust_domain, or set"
                " allow_plaintext = true"
            )
            raise InputError("listen", self.listen, remedy)
        known = self.tls.client_ca_file is not None or self.allow_anonymous
        if not is_loopback(self.listen) and self.tls.cert_file and not known:
            remedy = (
                "listen on 127.0.0.1, give tls.client_ca_file and tls.trust_domain,"
                " or set allow_anonymous = true"
            )
            raise InputError("listen", self.listen, remedy)
        if self.reuse_port and split_address(self.listen)[1] == 0:
            remedy = "give the port that all of them are to share"
            raise InputError("listen", self.listen, remedy)
        return self
