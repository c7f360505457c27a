"""``placement replications``: what was decided, and what a region is to carry out."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.operations import parse_term
from placement.cli.output import Answer
from placement.cli.session import JSON, Session, pass_session, session_options
from placement.client import PlacementClient
from placement.core.event import ReplicationTrigger
from placement.core.oci import parse_repository
from placement.core.tables.cells import DecisionStatus
from placement.core.topology import parse_region
from placement.wire.json import plain

COLUMNS: Final = (
    *("decided", "image", "copy", "size>", "status", "why", "paid off", "id"),
)
PAGE_SIZE_MAX: Final = 1_000
KINDS: Final = {"copy": 1, "removal": 2}
STATUSES: Final = [status.name.lower() for status in DecisionStatus]
TRIGGERS: Final = [
    trigger.name.lower().replace("_", "-") for trigger in ReplicationTrigger if trigger
]
STATUS: Final = "REPLICATION_STATUS_"
REMOVAL: Final = "DECISION_KIND_REMOVAL"
_PAYOFF: Final = "PAYOFF_"


@click.command()
@click.option("--region", default="", metavar="REGION", help="Into, or from, there.")
@click.option("--repository", default="", metavar="NAME", help="Only this repository.")
@click.option(
    "--status", type=click.Choice(STATUSES), help="Only those as far as this."
)
@click.option("--trigger", type=click.Choice(TRIGGERS), help="Only those due by this.")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), help="Only copies, or removals."
)
@click.option("--since", default="", metavar="DURATION", help="Decided within so long.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="At most so many.",
)
@click.option(
    "--watch", "watched", default="", metavar="REGION", help="Print what it is to do."
)
@click.option("--removals", is_flag=True, help="With --watch: also what is to leave.")
@click.option(
    "--resume",
    "resume_token",
    default="",
    metavar="TOKEN",
    help="--watch goes on here.",
)
@session_options
@pass_session
def replications(
    session: Session,
    /,
    watched: str,
    resume_token: str,
    limit: int,
    *,
    removals: bool,
    **filters: str | None,
) -> None:
    """List what was decided, or watch what a region is to do.

    The newest decision comes first. `--watch REGION` prints the open decisions of a
    region, then new ones and those that are done with, as a replicator is told.
    """
    if watched:
        parse_region(watched, "--watch")
        asyncio.run(_watch(session, watched, resume_token, removals=removals))
        return
    chosen = _chosen(filters)
    answer = session.ask(lambda client: listed(client, chosen, limit))
    output.emit(session, answer, tables)


def _chosen(filters: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the client's arguments for what the flags say; raises InputError."""
    found: dict[str, Any] = {}
    for name, value in filters.items():
        if not value:
            continue
        match name:
            case "region":
                found["target_region"] = parse_region(value, "--region")
            case "repository":
                found[name] = parse_repository(value, "--repository")
            case "status":
                found[name] = DecisionStatus[value.upper()].value
            case "trigger":
                word = value.upper().replace("-", "_")
                found[name] = ReplicationTrigger[word].value
            case "kind":
                found[name] = KINDS[value]
            case _:
                age_ns = parse_term(value, "--since") * 10**9
                found["since_time_ns"] = time.time_ns() - age_ns
    return found


async def listed(client: PlacementClient, chosen: dict[str, Any], limit: int) -> Answer:
    """Return the first *limit* decisions, and whether there are more."""
    found: list[Answer] = []
    pages = client.list_replications(page_size=min(limit + 1, PAGE_SIZE_MAX), **chosen)
    async for decision in pages:
        if len(found) == limit:
            return {"replications": found, "more": True}
        found.append(plain(decision))
    return {"replications": found, "more": False}


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of decisions."""
    rows = [row(decision) for decision in answer["replications"]]
    yield output.table(COLUMNS, rows)
    if not rows:
        yield Text("none", style="dim")
    if answer["more"]:
        yield Text(f"the first {len(rows)}; give --limit for more", style="dim")


def row(decision: Answer) -> tuple[str, ...]:
    """Return what people read of a decision, by COLUMNS."""
    source, target = decision["source_region"] or "?", decision["target_region"]
    removal = decision["kind"] == REMOVAL
    return (
        output.moment(decision.get("decide_time")),
        image_of(decision),
        f"out of {target}" if removal else f"{source} -> {target}",
        output.size(decision["transfer_bytes"]),
        output.word(decision["status"], STATUS),
        decision["reason"] or "-",
        output.word(decision["outcome"]["payoff"], _PAYOFF),
        decision["replication_id"],
    )


def image_of(decision: Answer) -> str:
    """Return the image of a decision as people write it."""
    tags = ",".join(decision.get("tags", ()))
    suffix = f":{tags}" if tags else f"@{output.digest(decision['digest'])}"
    return f"{decision['repository']}{suffix}"


async def _watch(
    session: Session, region: str, resume_token: str, *, removals: bool
) -> None:
    async with session.client() as client:
        items = client.watch_replications(
            region, include_removals=removals, resume_token=resume_token
        )
        async with aclosing(items):
            async for item in items:
                for line in _lines(session, plain(item)):
                    click.echo(line)


def _lines(session: Session, answer: Answer) -> Iterator[str]:
    """Yield an item as lines: none for what says nothing to people."""
    if session.output == JSON:
        yield json.dumps(answer, ensure_ascii=False)
    elif "copy" in answer:
        copy = answer["copy"]
        way = f"{copy['source_region'] or '?'} -> {copy['target_region']}"
        size = output.size(copy["transfer_bytes"])
        told = (f"copy {copy['replication_id']}", image_of(copy), way, size)
        yield "  ".join((*told, output.word(copy["status"], STATUS)))
    elif "removal" in answer:
        removal = answer["removal"]
        size = output.size(removal["reclaimed_bytes"])
        name = f"remove {removal['replication_id']}"
        yield "  ".join((name, image_of(removal), size, removal["reason"]))
    elif "closed" in answer:
        closed = answer["closed"]
        status = output.word(closed["status"], STATUS)
        yield f"done with {closed['replication_id']}  {status}"
    elif "status" in answer:
        yield f"-- {output.basis_line({'basis': answer['status']})}"
    elif "snapshot_began" in answer:
        reason = output.word(answer["snapshot_began"]["reason"], "SNAPSHOT_REASON_")
        yield f"-- open decisions, {reason}:"
    elif "snapshot_ended" in answer:
        yield "-- from here on changes:"
