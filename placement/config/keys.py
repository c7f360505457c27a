"""The keys that an operator may set, each with its unit, default and bounds.

A key's description says what it takes; an error quotes it as the remedy.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, model_validator

from placement.config.agent_keys import AgentConfig
from placement.config.limit_keys import LimitsConfig
from placement.config.past_keys import PastConfig
from placement.config.peer_keys import BootstrapConfig
from placement.config.reach_keys import ClientConfig, NatsConfig, TlsConfig
from placement.config.values import (
    Address,
    Section,
    is_loopback,
    listening_address,
    optional_address,
    said,
    split_address,
)
from placement.core.errors import InputError
from placement.faults import Plan
from placement.unconfigured import LISTEN

DATA: Final = Path(__file__).parents[1] / "data"
SHIPPED_REGIONS_FILE: Final = DATA / "regions.toml"
SHIPPED_PRICES_FILE: Final = DATA / "prices.toml"


def _fault_points(text: str) -> str:
    Plan(text)
    return text


def _watchdog(seconds: float) -> float:
    if 0 < seconds < 1 or seconds < 0:
        message = "give at least 1, or 0"
        raise ValueError(message)
    return seconds


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


class TraceConfig(Section):
    """Where spans go, with the extra ``trace`` installed; by default none are made."""

    endpoint: Annotated[
        str,
        said(
            "an OpenTelemetry collector, OTLP over gRPC: http://HOST:PORT or"
            " https://HOST:PORT; empty: nowhere",
            pattern=r"^(https?://[^/\s@]+)?$",
        ),
    ] = ""
    sample: Annotated[
        float,
        said("how much of what nobody sampled before is traced, 0 to 1", ge=0, le=1),
    ] = 0.01


class Config(Section):
    """All that an operator may choose. Paths are from the working directory."""

    data_dir: Annotated[
        Path, said("a directory for the checkpoint and for our own broker's log")
    ] = Path("placement-data")
    listen: Annotated[Address, said("where to serve gRPC, HOST:PORT")] = LISTEN
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
    console_listen: Annotated[
        str,
        AfterValidator(listening_address),
        said("where to serve the console, HOST:PORT; off or empty: nowhere"),
    ] = "127.0.0.1:7480"
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
    past: PastConfig = PastConfig()
    trace: TraceConfig = TraceConfig()
    agent: AgentConfig = AgentConfig()

    @model_validator(mode="after")
    def _guarded(self) -> "Config":
        self._check_reach("listen", self.listen)
        if self.console_listen:
            self._check_reach("console_listen", self.console_listen)
        if self.reuse_port and split_address(self.listen)[1] == 0:
            remedy = "give the port that all of them are to share"
            raise InputError("listen", self.listen, remedy)
        return self

    def _check_reach(self, key: str, address: str) -> None:
        """Raise InputError unless other machines may reach what is at *address*."""
        if is_loopback(address):
            return
        if self.tls.cert_file is None and not self.allow_plaintext:
            remedy = (
                "listen on 127.0.0.1, give tls.cert_file, tls.key_file,"
                " tls.client_ca_file and tls.trust_domain, or set"
                " allow_plaintext = true"
            )
            raise InputError(key, address, remedy)
        known = self.tls.client_ca_file is not None or self.allow_anonymous
        if self.tls.cert_file and not known:
            remedy = (
                "listen on 127.0.0.1, give tls.client_ca_file and tls.trust_domain,"
                " or set allow_anonymous = true"
            )
            raise InputError(key, address, remedy)
