"""``placement watch``: where content is, and every change of it as it comes."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import rich_click as click

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import JSON, Session, pass_session, session_options
from placement.core.oci import parse_repository
from placement.core.topology import parse_region
from placement.wire.json import plain

PHASE = "REPLICA_PHASE_"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to watch, from where, and until when."""

    regions: Sequence[str]
    repositories: Sequence[str]
    tags: bool
    resume_token: str
    once: bool


@click.command()
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="REGION",
    help="Only what is in one of these; may be repeated.",
)
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    metavar="NAME",
    help="Only this one and those below it; may be repeated.",
)
@click.option("--tags", is_flag=True, help="Also tell where tags point.")
@click.option(
    "--resume", "resume_token", default="", metavar="TOKEN", help="Go on from here."
)
@click.option("--once", is_flag=True, help="End at the first bookmark.")
@session_options
@pass_session
def watch(  # noqa: PLR0913 - one for each option
    session: Session,
    /,
    regions: Sequence[str],
    repositories: Sequence[str],
    *,
    tags: bool,
    resume_token: str,
    once: bool,
) -> None:
    """Print where content is, then every change as it comes.

    It comes back by itself when the service goes away. `-o json` prints one object a
    line; the `resume_token` of a bookmark is what `--resume` takes.
    """
    for region in regions:
        parse_region(region, "--region")
    for repository in repositories:
        parse_repository(repository, "--repository")
    wanted = Wanted(regions, repositories, tags, resume_token, once)
    asyncio.run(_print(session, wanted))


async def _print(session: Session, wanted: Wanted) -> None:
    async with session.client() as client:
        items = client.watch_placements(
            wanted.regions,
            wanted.repositories,
            include_tags=wanted.tags,
            resume_token=wanted.resume_token,
        )
        async with aclosing(items):
            async for item in items:
                answer = plain(item)
                for line in _lines(session, answer):
                    click.echo(line)
                if wanted.once and "bookmark" in answer:
                    return


def _lines(session: Session, answer: Answer) -> Iterator[str]:
    """Yield an item as lines: none for what says nothing to people."""
    if session.output == JSON:
        yield json.dumps(answer, ensure_ascii=False)
    elif "placement" in answer:
        yield _placement(answer["placement"])
    elif "tag" in answer:
        tag = answer["tag"]
        pointed = output.digest(tag["digest"]) if tag["digest"] else "removed"
        yield f"{tag['repository']}:{tag['tag']}  {pointed}"
    elif "status" in answer:
        yield f"-- {output.basis_line({'basis': answer['status']})}"
    elif "snapshot_began" in answer:
        reason = output.word(answer["snapshot_began"]["reason"], "SNAPSHOT_REASON_")
        yield f"-- snapshot, {reason}:"
    elif "snapshot_ended" in answer:
        yield "-- from here on changes:"


def _placement(placement: Answer) -> str:
    there = ", ".join(
        f"{replica['region']} {output.word(replica['phase'], PHASE)}"
        for replica in placement["replicas"]
    )
    digest = output.digest(placement["digest"])
    size = output.size(placement["size_bytes"])
    return f"{placement['repository']}  {digest}  {size}  {there or 'gone'}"
