"""``placement tail``: the events of the log as they come."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import rich_click as click

from placement import stores
from placement.cli.output import DIGEST_SHOWN
from placement.cli.session import (
    JSON,
    Session,
    config_option,
    log_options,
    output_option,
    pass_session,
)
from placement.core.errors import InputError, NumberInvalidError
from placement.core.event import Recorded, SetAside
from placement.core.topology import parse_region
from placement.ports import EventLog, Message
from placement.telemetry.logs import configure_logs
from placement.wire.event_json import event_to_json
from placement.wire.events import FACT_NAMES, decode_message
from placement.wire.json import Plain

NOW: Final = "now"
TOLD: Final = ("repository", "tag", "reference", "target_region", "machine_id")
"""What a line says of a fact, beside its digest, as far as it has them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events, from where, and how many."""

    after_sequence: int | None
    """None: only what comes from now on."""
    region: str
    fact: str
    count_max: int | None
    follow: bool


@click.command()
@click.option(
    "--from",
    "start",
    default=NOW,
    metavar="SEQUENCE|now",
    show_default=True,
    help="The first message.",
)
@click.option("--region", default="", metavar="REGION", help="Only this region's.")
@click.option("--fact", default="", metavar="FACT", help="Only these: content_pushed.")
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--no-follow", is_flag=True, help="End where the log ends now.")
@config_option
@log_options
@output_option
@pass_session
def tail(  # noqa: PLR0913 - one for each option
    session: Session,
    /,
    start: str,
    region: str,
    fact: str,
    count: int | None,
    *,
    no_follow: bool,
) -> None:
    """Print the events of the log as they come.

    It reads the log itself, beside the service: on the machine where the service runs
    with its own broker, else with `--nats-url`. `-o json` prints one object a line; its
    `event` is what `placement publish` takes.
    """
    if region:
        parse_region(region, "--region")
    if fact and fact not in FACT_NAMES:
        raise InputError("--fact", fact, f"give one of {', '.join(FACT_NAMES)}")
    wanted = Wanted(_after(start), region, fact, count, not no_follow)
    configure_logs(session.config.log_format, "warning")
    asyncio.run(_print(session, wanted))


def _after(start: str) -> int | None:
    if start == NOW:
        return None
    if not start.isascii() or not start.isdigit() or int(start) < 1:
        raise NumberInvalidError("--from", start, "give a sequence from 1, or now")
    return int(start) - 1


async def _print(session: Session, wanted: Wanted) -> None:
    printed = 0
    async with (
        stores.open_log(session.config, may_start=False) as log,
        aclosing(_messages(log, wanted)) as messages,
    ):
        async for message in messages:
            for item in _selected(message, wanted):
                click.echo(_line(session, item))
                printed += 1
                if printed == wanted.count_max:
                    return


async def _messages(log: EventLog, wanted: Wanted) -> AsyncGenerator[Message, None]:
    status = await log.status()
    after = wanted.after_sequence
    if after is None:
        after = status.last_sequence
    after = max(after, status.first_sequence - 1)
    reading = cast("AsyncGenerator[Sequence[Message], None]", log.read(after))
    async with aclosing(reading) as batches:
        async for batch in batches:
            for message in batch:
                yield message
            reached = batch[-1].sequence if batch else status.last_sequence
            if not wanted.follow and reached >= status.last_sequence:
                return


def _selected(message: Message, wanted: Wanted) -> Iterator[Plain]:
    for item in decode_message(message).items:
        found = _plain(message, item)
        event = found.get("event", {})
        if wanted.region and event.get("region") != wanted.region:
            continue
        if wanted.fact and wanted.fact not in event:
            continue
        yield found


def _plain(message: Message, item: Recorded | SetAside) -> Plain:
    stored = datetime.fromtimestamp(message.store_time_ns / 1e9, UTC)
    found: Plain = {
        "sequence": item.sequence,
        "batch_index": item.batch_index,
        "store_time": stored.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if isinstance(item, SetAside):
        return {**found, "subject": message.subject, "set_aside": item.reason}
    return {**found, "event": event_to_json(item.event)}


def _line(session: Session, item: Plain) -> str:
    if session.output == JSON:
        return json.dumps(item, ensure_ascii=False)
    place = f"{item['sequence']}.{item['batch_index']}"
    head = f"{place:>8}  {item['store_time']}"
    if "set_aside" in item:
        return f"{head}  set aside: {item['set_aside']}  {item['subject']}"
    event = item["event"]
    name = next(name for name in FACT_NAMES if name in event)
    fact = event[name]
    digest = fact.get("digest") or fact.get("content", {}).get("digest") or ""
    told = [fact[key] for key in TOLD if key in fact]
    return (
        f"{head}  {event['region']:<4} {name:<18}  {' '.join(told)}  "
        + (digest[:DIGEST_SHOWN])
    )
