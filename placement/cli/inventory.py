"""``placement inventory``: a registry read as a whole, once, now."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.failures import FAILED
from placement.cli.output import Answer
from placement.cli.session import (
    Session,
    key_option,
    pass_session,
    session_options,
)
from placement.core.errors import InputError
from placement.core.topology import parse_region

if TYPE_CHECKING:
    from placement.agent.inventory.settings import InventorySettings
    from placement.agent.registry.settings import RegistrySettings
    from placement.client import PlacementClient
    from placement.core.event import Event

COLUMNS = ("repositories>", "tags>", "contents>", "bytes>", "absences>", "seconds>")
ASK_SECONDS = 30.0
"""For a call to the service: a page of events, a page of replicas."""


@click.command()
@click.option("--region", metavar="REGION", help="Where the registry stores.")
@click.option("--registry", metavar="URL", help="Its address.")
@click.option(
    "--dry-run", is_flag=True, help="Publish nothing; only say what is there."
)
@session_options
@key_option("--regions", "regions_file")
@pass_session
@click.pass_context
def inventory(
    ctx: click.Context,
    session: Session,
    /,
    region: str | None,
    registry: str | None,
    *,
    dry_run: bool,
) -> None:
    """Read a registry as a whole, once, and publish what it holds.

    For a registry full of images from before placement, and wherever notifications
    were lost. Which registry it is, how fast it may be asked and with which credentials
    is in the table `[agent]` of the configuration, as for `placement agent`, which does
    the same by itself every interval. What the region was believed to hold and does not
    hold is published as absent. Exit code 1: some of it could not be read.
    """
    from placement.telemetry.logs import configure_logs  # noqa: PLC0415 - costs 0.1 s

    session.overrides |= {"agent.region": region, "agent.registry.url": registry}
    config = session.config
    if not config.agent.region:
        remedy = "say where the registry stores, or set agent.region"
        raise InputError("--region", "", remedy)
    if config.agent.receiver.proxy:
        remedy = "read its upstream instead: a cache asks it for whatever is looked for"
        raise InputError("agent.receiver.proxy", "true", remedy)
    configure_logs(config.log_format, config.log_level)
    chosen, settings = _settings(session)
    if not dry_run:  # nothing is worth reading if nobody can be told
        session.ask(lambda client: client.get_service_info())
    answer = session.ask(
        lambda client: taken(client, chosen, settings, dry_run=dry_run), ASK_SECONDS
    )
    output.emit(session, answer, _tables)
    if not answer["complete"]:
        ctx.exit(FAILED)


def _settings(session: Session) -> tuple["RegistrySettings", "InventorySettings"]:
    """Return which registry is read, and how; raises InputError."""
    from placement.agent_app.settings import (  # noqa: PLC0415 - costs 0.3 s
        inventory_settings,
        registries,
    )
    from placement.config import load_topology  # noqa: PLC0415 - as above

    config = session.config
    own = parse_region(config.agent.region, "agent.region")
    topology = load_topology(config)
    known = {one.region: one for one in registries(config.agent, own, topology)}
    if own not in known:
        remedy = "give its address, or set agent.registry.url"
        raise InputError("--registry", "", remedy)
    # A scan now is a whole one, and the agent's own position is none of its business.
    settings = replace(inventory_settings(config.agent, own), position_file=None)
    return known[own], settings


async def taken(
    client: "PlacementClient",
    chosen: "RegistrySettings",
    settings: "InventorySettings",
    *,
    dry_run: bool,
) -> Answer:
    """Return what a scan finds; it is published by *client* unless it is a dry run."""
    from placement.agent.inventory.inventory import (  # noqa: PLC0415 - costs 0.3 s
        Inventory,
    )
    from placement.agent.inventory.known import ServiceKnown  # noqa: PLC0415 - as above
    from placement.agent.registry.opening import opened  # noqa: PLC0415 - and this
    from placement.agent.service_outlet import (  # noqa: PLC0415 - as above
        ServiceOutlet,
    )

    outlet = ServiceOutlet(client)

    async def report(events: Sequence["Event"]) -> None:
        if dry_run:
            return
        delivered = await outlet.publish(events)
        if delivered.why_held is not None:
            raise delivered.why_held
        for refused in delivered.rejected:
            raise InputError("inventory_taken", refused.event.event_id, refused.detail)

    async with opened(chosen) as registry:
        scanning = Inventory(
            settings,
            registry,
            report,
            ServiceKnown(client, settings.region),
            time.time_ns,
            random.random,
        )
        found = await scanning.scan()
    return {"registry": chosen.url, "published": not dry_run, **found.said()}


def _tables(answer: Answer) -> Iterator[RenderableType]:
    where = f"{answer['registry']} in {answer['region']}"
    yield Text(where, style="bold")
    row = (
        f"{answer['repository_count']:,}",
        f"{answer['tag_count']:,}",
        f"{answer['content_count']:,}",
        output.size(answer["content_bytes"]),
        f"{answer['absence_count']:,}",
        f"{answer['seconds']:.1f}",
    )
    yield output.table(COLUMNS, [row])
    told = f"{answer['page_count']} pages"
    told += " published" if answer["published"] else " not published: a dry run"
    yield Text(f"{told}, after {answer['request_count']:,} requests", style="dim")
    if not answer["complete"]:
        remedy = (
            f"incomplete: {answer['failed_count']} failures, named in the log above"
        )
        yield Text(remedy, style="bold yellow")
