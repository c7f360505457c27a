"""``placement replicas``: what is stored where."""

from collections.abc import Iterator

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.as_of import as_of_option
from placement.cli.output import Answer
from placement.cli.session import Session, pass_session, session_options
from placement.client import PlacementClient
from placement.core.oci import parse_repository
from placement.core.topology import parse_region
from placement.wire.as_of import AsOf
from placement.wire.json import plain

COLUMNS = ("repository", "digest", "region", "phase", "size>", "held>", "since")
PAGE_SIZE_MAX = 1_000


@click.command()
@click.option("--region", default="", metavar="REGION", help="Only this region.")
@click.option("--repository", default="", metavar="NAME", help="Only this repository.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="At most so many.",
)
@as_of_option
@session_options
@pass_session
def replicas(session: Session, region: str, repository: str, limit: int) -> None:
    """List what is stored where.

    The order is by repository, digest and region.
    """
    if region:
        parse_region(region, "--region")
    if repository:
        parse_repository(repository, "--repository")
    as_of = session.as_of
    answer = session.ask(
        lambda client: listed(client, region, repository, limit, as_of)
    )
    output.emit(session, answer, _tables)


async def listed(
    client: PlacementClient,
    region: str,
    repository: str,
    limit: int,
    as_of: AsOf | None = None,
) -> Answer:
    """Return the first *limit* replicas, and whether there are more."""
    found: list[Answer] = []
    pages = client.list_replicas(
        region=region,
        repository=repository,
        page_size=min(limit + 1, PAGE_SIZE_MAX),
        as_of=as_of,
    )
    async for replica in pages:
        if len(found) == limit:
            return {"replicas": found, "more": True}
        found.append(plain(replica))
    return {"replicas": found, "more": False}


def _tables(answer: Answer) -> Iterator[RenderableType]:
    rows = [
        (
            replica["repository"],
            output.digest(replica["digest"]),
            replica["region"],
            output.word(replica["phase"], "REPLICA_PHASE_"),
            output.size(replica["size_bytes"]),
            output.size(replica["held_bytes"]),
            output.moment(replica.get("create_time")),
        )
        for replica in answer["replicas"]
    ]
    yield output.table(COLUMNS, rows)
    if not rows:
        yield Text("none", style="dim")
    if answer["more"]:
        yield Text(f"the first {len(rows)}; give --limit for more", style="dim")
