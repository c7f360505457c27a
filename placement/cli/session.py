"""What every command may be told: the configuration, the service, the output."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import rich_click as click

from placement.core.errors import InputError
from placement.unconfigured import server_alone

if TYPE_CHECKING:
    from placement.client import ClientTls, PlacementClient
    from placement.config import Config
    from placement.wire.as_of import AsOf

TIMEOUT_SECONDS: Final = 2.0
PAST_SECONDS: Final = 60.0
"""A state of the past may have to be folded first."""
JSON: Final = "json"
TABLE: Final = "table"

Command = TypeVar("Command", bound=Callable[..., Any])
Answer = TypeVar("Answer")


@dataclass
class Session:
    """What the flags say, before and after the subcommand; the last one counts."""

    config_file: Path | None = None
    server: str | None = None
    output: str = TABLE
    timeout_s: float | None = None
    as_of: "AsOf | None" = None
    """What a question is about, if not the present."""
    overrides: dict[str, object] = field(default_factory=dict)

    @cached_property
    def config(self) -> "Config":
        """The configuration; raises ConfigError."""
        from placement.config import load_config  # noqa: PLC0415 - costs 0.3 s

        return load_config(self.config_file, self.overrides)

    @cached_property
    def _alone(self) -> str | None:
        """Where the service is, if nothing else is configured; else None."""
        return server_alone(self.config_file, self.overrides)

    @property
    def target(self) -> str:
        """The service's address, HOST:PORT."""
        return self.server or self._alone or self.config.server or self.config.listen

    @property
    def tls(self) -> "ClientTls | None":
        """How the service and we know each other; None: we need not."""
        if self._alone is not None:
            return None
        from placement.client import ClientTls  # noqa: PLC0415 - costs 0.3 s

        chosen = self.config.client
        files = (chosen.ca_file, chosen.cert_file, chosen.key_file)
        return ClientTls(*files) if chosen.tls or any(files) else None

    def client(self, timeout_s: float = TIMEOUT_SECONDS) -> "PlacementClient":
        """Return a client of the service, to be entered; --timeout goes first."""
        from placement.client import PlacementClient  # noqa: PLC0415 - costs 0.3 s

        if self.as_of is not None:
            timeout_s = max(timeout_s, PAST_SECONDS)
        patience_s = self.timeout_s or timeout_s
        return PlacementClient(self.target, timeout_s=patience_s, tls=self.tls)

    def ask(
        self,
        question: Callable[["PlacementClient"], Awaitable[Answer]],
        timeout_s: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Return what *question* answers when it is given a connected client."""
        import asyncio  # noqa: PLC0415 - costs 0.05 s, and --help needs none

        async def asked() -> Answer:
            async with self.client(timeout_s) as client:
                return await question(client)

        return asyncio.run(asked())


pass_session = click.make_pass_decorator(Session, ensure=True)


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    session = ctx.ensure_object(Session)
    if value is not None:
        setattr(session, param.name or "", value)


def key_option(flag: str, key: str) -> Callable[[Command], Command]:
    """Return what adds *flag*, which sets the configuration's *key* for this run."""

    def override(ctx: click.Context, _param: click.Parameter, value: object) -> None:
        ctx.ensure_object(Session).overrides[key] = value

    def decorate(command: Command) -> Command:
        return click.option(
            flag,
            metavar="VALUE",
            help=f"Sets {key} of the configuration.",
            callback=override,
            expose_value=False,
        )(command)

    return decorate


def log_options(command: Command) -> Command:
    """Add what says where the log is."""
    data_dir = key_option("--data-dir", "data_dir")
    return data_dir(key_option("--nats-url", "nats.url")(command))


def config_option(command: Command) -> Command:
    """Add --config."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration file [default: placement.toml, if there is one].",
        callback=_remember,
        expose_value=False,
    )(command)


def output_option(command: Command) -> Command:
    """Add -o."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([TABLE, JSON]),
        help="How to print the answer [default: table].",
        callback=_remember,
        expose_value=False,
    )(command)


def server_option(command: Command) -> Command:
    """Add --server."""
    return click.option(
        "--server",
        metavar="HOST:PORT",
        help="The service to ask [default: PLACEMENT_SERVER, else the file's listen].",
        callback=_remember,
        expose_value=False,
    )(command)


def service_options(command: Command) -> Command:
    """Add --server and --timeout."""
    timeout = click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(0.001, 3600),
        metavar="SECONDS",
        help="Give up on a call after so long [default: 2; publish: 30].",
        callback=_remember,
        expose_value=False,
    )
    return server_option(timeout(command))


def session_options(command: Command) -> Command:
    """Add all of them: those of a command that asks the service."""
    return config_option(service_options(output_option(command)))


def parse_pairs(text: str, field_name: str) -> dict[str, str]:
    """Return ``a=iad,b=fra`` as a mapping; raises InputError, naming *field_name*."""
    pairs = {}
    for part in text.split(",") if text else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key or not equals or not value:
            raise InputError(field_name, part, "give NAME=REGION, several with commas")
        pairs[key] = value
    return pairs
