"""``placement agent``: what stands beside one registry."""

import asyncio
from pathlib import Path

import rich_click as click

from placement.cli.session import (
    Session,
    config_option,
    key_option,
    pass_session,
    service_options,
)
from placement.core.errors import InputError


@click.command()
@click.option("--region", metavar="REGION", help="Where it stores.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where the registry posts [default: 127.0.0.1:7451].",
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
@key_option("--nats-url", "nats.url")
@key_option("--regions", "regions_file")
@key_option("--state-dir", "agent.state_dir")
@key_option("--log-format", "log_format")
@key_option("--log-level", "log_level")
@pass_session
def agent(  # noqa: PLR0913 - one for each option
    session: Session,
    /,
    region: str | None,
    listen: str | None,
    token_file: Path | None,
    client_regions: tuple[str, ...],
    *,
    proxy: bool,
) -> None:
    """Receive a registry's notifications and publish them.

    For CNCF Distribution (docker-registry): name
    `http://HOST:PORT/v1/notifications/distribution` as an endpoint of its
    notifications. One agent for each registry; it runs until SIGTERM or SIGINT.
    What it took is on disk in agent.state_dir until the log has it. All else that it
    can be told is in the table `[agent]` of the configuration.
    """
    from placement.agent_app.around import ServiceAddress  # noqa: PLC0415 - as below
    from placement.agent_app.running import run_agent  # noqa: PLC0415 - costs 0.5 s
    from placement.config import read_secret  # noqa: PLC0415 - as above
    from placement.event_loop import loop_factory  # noqa: PLC0415 - as below
    from placement.telemetry.logs import configure_logs  # noqa: PLC0415 - and this

    _check(listen, client_regions)
    read_secret(token_file, "--token-file")
    networks = dict(text.split("=", 1) for text in client_regions)
    session.overrides |= {
        "agent.region": region,
        "agent.listen": listen,
        "agent.receiver.token_file": token_file,
        "agent.receiver.client_regions": networks or None,
        "agent.receiver.proxy": proxy or None,
    }
    config = session.config
    if not config.agent.region:
        remedy = "say where the registry stores, or set agent.region"
        raise InputError("--region", "", remedy)
    configure_logs(config.log_format, config.log_level)

    service = ServiceAddress(session.target, session.tls)
    with asyncio.Runner(loop_factory=loop_factory(config.event_loop)) as runner:
        runner.run(run_agent(config, service))


def _check(listen: str | None, client_regions: tuple[str, ...]) -> None:
    """Raise InputError for a flag that is no good, by the flag's own name."""
    from placement.agent.feeds.networks import parse_networks  # noqa: PLC0415 - as above
    from placement.config import split_address  # noqa: PLC0415 - as above

    parse_networks(client_regions, "--client-region")
    if listen is None:
        return
    try:
        split_address(listen)
    except ValueError as error:
        raise InputError("--listen", listen, str(error)) from None
