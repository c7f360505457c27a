"""``placement request``: an image in a region by a time, for a deploy's first step."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.estimate import platform_option
from placement.cli.failures import FAILED, OK, TIMED_OUT
from placement.cli.output import Answer
from placement.cli.reference import parse_image
from placement.cli.session import JSON, Session, pass_session, session_options
from placement.cli.wait import parse_duration
from placement.client import PlacementClient
from placement.core.topology import parse_region
from placement.wire.json import plain

COMPLETED: Final = "REPLICATION_STATUS_COMPLETED"
PATIENCE_SECONDS: Final = 10.0
"""The answer waits until the request itself is folded."""
STATUS: Final = "REPLICATION_STATUS_"


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("--to", "region", required=True, metavar="REGION", help="Where.")
@click.option(
    "--by",
    "term",
    default="",
    metavar="DURATION",
    help="Within so long, such as 10m [default: as soon as possible].",
)
@click.option("--wait", "waits", is_flag=True, help="End when it is there.")
@click.option("--actor", default="", metavar="NAME", help="Who asks.")
@click.option(
    "--request-id",
    default="",
    metavar="ID",
    help="The same request with the same id is made once.",
)
@platform_option
@session_options
@pass_session
def request(
    session: Session,
    /,
    image: str,
    region: str,
    term: str,
    *,
    waits: bool,
    **words: str,
) -> None:
    """Ask for an image to be in a region by a time.

    IMAGE is `acme/web:v1` or `acme/web@sha256:...`. With `--wait` it prints a line
    whenever the copy came further, and ends with 0 when all of it is there, with 1 when
    it will not come, and with 3 when the time of `--by` is over.
    """
    repository, reference = parse_image(image)
    place = parse_region(region, "--to")
    limit_s = parse_duration(term, "--by") if term else None
    deadline_ns = None if limit_s is None else time.time_ns() + round(limit_s * 1e9)
    words["actor"] = words["actor"] or session.config.actor

    async def asked(client: PlacementClient) -> Answer:
        return plain(
            await client.request_replication(
                repository,
                reference,
                place,
                deadline_time_ns=deadline_ns,
                actor=words["actor"],
                platform=words["platform"],
                request_id=words["request_id"],
            )
        )

    answer = session.ask(asked, PATIENCE_SECONDS)
    if not waits or answer["progress"]["ended"]:
        output.emit(session, answer, tables)
        done = not waits or answer["progress"]["status"] == COMPLETED
        raise SystemExit(OK if done else FAILED)
    raise SystemExit(asyncio.run(_wait(session, answer, limit_s)))


async def _wait(session: Session, answer: Answer, limit_s: float | None) -> int:
    """Print how it goes on until it ends; return the exit code."""
    request_id = answer["request_id"]
    try:
        async with asyncio.timeout(limit_s), session.client() as client:
            watch = client.watch_replication(
                request_id=request_id, token=answer["token"]
            )
            async with aclosing(watch):
                async for response in watch:
                    tell(session, plain(response))
                    if response.progress.ended:
                        done = plain(response)["progress"]["status"] == COMPLETED
                        return OK if done else FAILED
    except TimeoutError:
        said = f"request {request_id} is not complete in time"
        click.echo(f"error: {said}  [DEADLINE_EXCEEDED]", err=True)
        return TIMED_OUT
    return FAILED


def tell(session: Session, answer: Answer) -> None:
    """Print how far it has come, in a line."""
    if session.output == JSON:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        click.echo(progress_line(answer["progress"]))


def progress_line(progress: Answer) -> str:
    """Return how far it has come, for people."""
    status = output.word(progress["status"], STATUS)
    parts = [f"{progress['target_region']}: {status}"]
    total, moved = progress["transfer_bytes"], progress["transferred_bytes"]
    if total:
        parts.append(f"{output.size(moved) if moved else '0'} of {output.size(total)}")
    if progress["source_region"]:
        parts.append(f"from {progress['source_region']}")
    if "expected_ready_time" in progress:
        parts.append(f"expected {output.moment(progress['expected_ready_time'])}")
    if progress["replication_id"]:
        parts.append(f"decision {progress['replication_id']}")
    return "  ".join(parts)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a request."""
    progress = answer["progress"]
    image = f"{progress['repository']}@{output.digest(progress['digest'])}"
    yield Text(f"request {answer['request_id']}: {image}", style="bold")
    yield Text(progress_line(progress))
    yield output.basis_line(answer)
