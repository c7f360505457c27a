"""``placement agent``: a registry's notifications, received and published."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import rich_click as click
import structlog

from placement.agent.feeds.translation import FeedSettings
from placement.agent.receiver import (
    Receiver,
    ReceiverSettings,
    receiver_app,
    serve_receiver,
)
from placement.cli.sending import batched, send
from placement.cli.session import Session, config_option, pass_session, service_options
from placement.cli.translating import parse_networks
from placement.client import PlacementClient
from placement.config import split_address
from placement.core.errors import InputError
from placement.core.event import Event, Name
from placement.core.topology import parse_region
from placement.runtime.publisher import Outcome, Published
from placement.runtime.tokens import parse_token
from placement.telemetry.logs import configure_logs

LISTEN: Final = "127.0.0.1:7451"

log = structlog.get_logger(__name__)


@click.command()
@click.option("--region", required=True, metavar="REGION", help="Where it stores.")
@click.option(
    "--listen",
    default=LISTEN,
    metavar="HOST:PORT",
    show_default=True,
    help="Where the registry posts.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the bearer token that the registry must send.",
)
@click.option(
    "--client-region",
    "client_regions",
    multiple=True,
    metavar="NETWORK=REGION",
    help="Where the registry's clients are, by address; may be given often.",
)
@click.option("--proxy", is_flag=True, help="The registry is a pull-through cache.")
@config_option
@service_options
@pass_session
def agent(  # noqa: PLR0913 - one for each option
    session: Session,
    /,
    region: str,
    listen: str,
    token_file: Path | None,
    client_regions: tuple[str, ...],
    *,
    proxy: bool,
) -> None:
    """Receive a registry's notifications and publish them.

    For CNCF Distribution (docker-registry): name
    `http://HOST:PORT/v1/notifications/distribution` as an endpoint of its
    notifications. One agent for each registry; it runs until SIGTERM or SIGINT.
    """
    try:
        host, port = split_address(listen)
    except ValueError as error:
        raise InputError("--listen", listen, str(error)) from None
    feed = FeedSettings(
        region=parse_region(region, "--region"),
        publisher=Name("placement-agent"),
        client_regions=parse_networks(client_regions, "--client-region"),
        proxy=proxy,
    )
    settings = ReceiverSettings(feed, _token(token_file))
    configure_logs(session.config.log_format, session.config.log_level)
    asyncio.run(_run(session, settings, host, port))


def _token(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"give a file that can be read ({error})"
        raise InputError("--token-file", str(file), remedy) from None
    if not token:
        raise InputError("--token-file", str(file), "put the token into it")
    return token


async def _run(
    session: Session, settings: ReceiverSettings, host: str, port: int
) -> None:
    """Serve until a signal says stop."""
    loop = asyncio.get_running_loop()
    async with session.client() as client:
        receiver = Receiver(settings, publisher(client))
        serving = asyncio.ensure_future(
            serve_receiver(receiver_app(receiver), host, port)
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            log.info("agent_stopped", **receiver.counts)
        except OSError as error:
            remedy = f"{error.strerror}: listen somewhere else"
            raise InputError("--listen", f"{host}:{port}", remedy) from None


def publisher(
    client: PlacementClient,
) -> Callable[[Sequence[Event]], Awaitable[Published]]:
    """Return what publishes events through *client*.

    What the service rejects is told in the log and left out: it would be rejected
    again, for ever.
    """

    async def publish(events: Sequence[Event]) -> Published:
        outcomes: list[Outcome] = []
        token = ""
        for _, batch in batched((None, event) for event in events):
            response = await send(client, batch)
            token = response["token"] or token
            for result in response["results"]:
                name = result["outcome"].removeprefix("PUBLISH_OUTCOME_")
                if name in Outcome.__members__:
                    outcomes.append(Outcome[name])
                else:
                    log.warning("event_rejected", **result)
        if not token:
            return Published(tuple(outcomes), "", 0)
        last = parse_token(token)
        return Published(tuple(outcomes), last.epoch, last.sequence, last.mark)

    return publish
