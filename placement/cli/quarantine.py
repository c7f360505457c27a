"""``placement quarantine``: what no service folds, looked at and published again."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement import stores
from placement.cli import output
from placement.cli.failures import FAILED
from placement.cli.output import Answer
from placement.cli.sending import batched, send
from placement.cli.session import (
    Session,
    config_option,
    log_options,
    output_option,
    pass_session,
    session_options,
)
from placement.client import PlacementClient
from placement.config import Config
from placement.core.errors import InputError
from placement.core.event import Event, Recorded
from placement.ports import Message
from placement.runtime.left_out import LeftOut, left_out, mended
from placement.telemetry.logs import configure_logs
from placement.wire.event_json import event_to_json
from placement.wire.events import decode_message

PATIENCE_SECONDS: Final = 30.0


@click.group()
def quarantine() -> None:
    """Look at what no service folds, and publish it again.

    It reads the log itself, beside the service: on the machine where the service runs
    with its own broker, else with `--nats-url`.
    """


@quarantine.command("list")
@config_option
@log_options
@output_option
@pass_session
def list_(session: Session) -> None:
    """List each event that is left out, and why."""
    configure_logs(session.config.log_format, "warning")
    found = asyncio.run(_listed(session.config))
    answer = {"quarantined": [_plain(one) for one in found]}
    output.emit(session, answer, _table)


@quarantine.command()
@click.argument("sequence", type=click.IntRange(1))
@config_option
@log_options
@output_option
@pass_session
def show(session: Session, sequence: int) -> None:
    """Show a message that is left out: its bytes, and its events if they decode."""
    configure_logs(session.config.log_format, "warning")
    found, message = asyncio.run(_found(session.config, sequence))
    answer = {
        "sequence": sequence,
        "subject": message.subject,
        "store_time": _moment(message.store_time_ns),
        "quarantined": [_plain(one) for one in found],
        "events": _events(message),
        "body": b64encode(message.body).decode(),
    }
    output.emit(session, answer, _message)


@quarantine.command()
@click.argument("sequence", type=click.IntRange(1))
@session_options
@log_options
@pass_session
def republish(session: Session, sequence: int) -> None:
    """Publish what is left out of a message again, once a service can fold it.

    This program tries that first. The events keep their ids, so each counts once.
    """
    configure_logs(session.config.log_format, "warning")
    found, message = asyncio.run(_found(session.config, sequence))
    events = mended(message, [one.batch_index for one in found])

    async def publish(client: PlacementClient) -> list[Answer]:
        return await _published(client, events)

    results = session.ask(publish, PATIENCE_SECONDS)
    told = [
        {
            "event_id": event.event_id,
            "outcome": output.word(result["outcome"], "PUBLISH_OUTCOME_"),
            "message": result["message"],
        }
        for event, result in zip(events, results, strict=True)
    ]
    output.emit(session, {"sequence": sequence, "results": told}, _results)
    if any(one["outcome"] == "rejected" for one in told):
        raise SystemExit(FAILED)


async def _published(client: PlacementClient, events: Sequence[Event]) -> list[Answer]:
    results: list[Answer] = []
    for _, batch in batched((event.event_id, event) for event in events):
        results += (await send(client, batch))["results"]
    return results


async def _listed(config: Config) -> Sequence[LeftOut]:
    async with stores.open_log(config, may_start=False) as log:
        return await left_out(log)


async def _found(config: Config, sequence: int) -> tuple[list[LeftOut], Message]:
    """Return what is left out of the message at *sequence*, and the message."""
    async with stores.open_log(config, may_start=False) as log:
        found = [one for one in await left_out(log) if one.sequence == sequence]
        message = await log.message(sequence) if found else None
    if message is None:
        remedy = "give a sequence that `placement quarantine list` shows"
        raise InputError("sequence", sequence, remedy)
    return found, message


def _events(message: Message) -> list[Answer]:
    try:
        items = decode_message(message).items
    except Exception:  # noqa: BLE001 - that may be why it is in quarantine
        return []
    return [event_to_json(item.event) for item in items if isinstance(item, Recorded)]


def _plain(one: LeftOut) -> dict[str, object]:
    return {
        "sequence": one.sequence,
        "batch_index": one.batch_index,
        "reason": one.reason,
        "fact_sequence": one.fact_sequence,
        "quarantined_time": _moment(one.fact_time_ns),
    }


def _moment(time_ns: int) -> str:
    found = datetime.fromtimestamp(time_ns / 1e9, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _table(answer: Answer) -> Iterator[RenderableType]:
    yield output.table(
        ("sequence>", "event>", "since", "reason"),
        (
            (
                str(one["sequence"]),
                str(one["batch_index"]),
                output.moment(one["quarantined_time"]),
                one["reason"],
            )
            for one in answer["quarantined"]
        ),
    )


def _message(answer: Answer) -> Iterator[RenderableType]:
    yield Text(f"{answer['sequence']} on {answer['subject']}, {answer['store_time']}")
    yield from _table(answer)
    for event in answer["events"]:
        yield Text(str(event))
    if not answer["events"]:
        yield Text(f"it does not decode; base64: {answer['body']}")


def _results(answer: Answer) -> Iterator[RenderableType]:
    for one in answer["results"]:
        said = f": {one['message']}" if one["message"] else ""
        yield Text(f"{one['event_id']} {one['outcome']}{said}")
