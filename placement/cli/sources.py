"""``placement sources``: from where to pull an image."""

from collections.abc import Iterator

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.as_of import as_of_option
from placement.cli.output import Answer
from placement.cli.reference import parse_image
from placement.cli.session import Session, pass_session, session_options
from placement.client import PlacementClient
from placement.core.oci import Digest, Repository, Tag, is_digest
from placement.core.topology import Region, parse_region
from placement.wire.as_of import AsOf
from placement.wire.json import plain

COLUMNS = ("rank>", "region", "p50>", "p90>", "phase", "why", "endpoint")


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("--region", required=True, metavar="REGION", help="Where the puller is.")
@click.option(
    "--limit", type=click.IntRange(1, 32), default=3, help="At most so many sources."
)
@as_of_option
@session_options
@pass_session
def sources(session: Session, image: str, region: str, limit: int) -> None:
    """Rank the regions to pull an image from.

    IMAGE is `acme/web:v1` or `acme/web@sha256:...`, a whole image or a single layer.
    """
    repository, reference = parse_image(image)
    asker = parse_region(region, "--region")
    answer = session.ask(
        lambda client: ranked(
            client, repository, reference, asker, limit, session.as_of
        )
    )
    output.emit(session, answer, tables)


async def ranked(  # noqa: PLR0913, PLR0917 - the fields of the request
    client: PlacementClient,
    repository: Repository,
    reference: Digest | Tag,
    region: Region,
    limit: int,
    as_of: AsOf | None = None,
) -> Answer:
    """Return the sources of an image, for a digest that is no older than its tag."""
    digest, token, tag = str(reference), "", ""
    if not is_digest(reference):
        resolved = await client.resolve_reference(repository, reference, as_of=as_of)
        digest, token, tag = resolved.content.digest, resolved.basis.token, reference
    if as_of is not None:
        token = ""  # what was then is neither older nor newer
    response = await client.rank_sources(
        repository, digest, region, max_source_count=limit, token=token, as_of=as_of
    )
    asked = {"repository": repository, "tag": tag, "digest": digest, "region": region}
    return {**asked, **plain(response)}


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a ranking."""
    name = f"{answer['repository']}@{answer['digest']}"
    tag = f" ({answer['tag']})" if answer["tag"] else ""
    yield Text(f"{name}{tag}\nfor a puller in {answer['region']}", style="bold")
    rows = [_row(str(rank), source) for rank, source in enumerate(answer["sources"], 1)]
    if not rows:
        yield Text("nobody is known to hold it; the fallback may", style="yellow")
    yield output.table(COLUMNS, [*rows, _row("fallback", answer["fallback"])])
    for mount in answer["mounts"]:
        yield Text(f"mountable in {mount['region']} from {mount['repository']}")
    yield output.basis_line(answer)


def _row(rank: str, source: Answer) -> tuple[str, ...]:
    estimate = source.get("expected_duration")
    return (
        rank,
        source["region"],
        output.duration(estimate, "p50"),
        output.duration(estimate, "p90"),
        output.word(source["phase"], "REPLICA_PHASE_"),
        output.factors(source["factors"]),
        source["endpoint"] or "-",
    )
