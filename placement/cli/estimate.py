"""``placement estimate``: where a machine would start soonest."""

from collections.abc import Iterator, Sequence

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.as_of import as_of_option
from placement.cli.output import Answer
from placement.cli.reference import parse_image
from placement.cli.session import Command, Session, pass_session, session_options
from placement.client import PlacementClient
from placement.wire.as_of import AsOf
from placement.wire.json import plain

COLUMNS = (
    *("region", "stored in", "wait p50>", "p90>", "missing>", "mountable>"),
    *("learned from", "why"),
)
COMING = {"ARRIVAL_WANTED": "it is wanted", "ARRIVAL_UNDER_WAY": "it is under way"}


def platform_option(command: Command) -> Command:
    """Add --platform."""
    return click.option(
        "--platform",
        default="",
        metavar="OS/ARCH",
        help="Such as linux/arm64 [default: the largest one].",
    )(command)


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--in",
    "candidates",
    default="any",
    metavar="REGIONS",
    show_default=True,
    help="Codes, areas and aliases with commas between: lhr,eu.",
)
@platform_option
@click.option(
    "--count",
    type=click.IntRange(1),
    default=1,
    help="Machines that would be started; only spreads ties.",
)
@click.option(
    "--request-id",
    default="",
    metavar="ID",
    help="Near-equal regions are not given to every caller in one order.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    help="At most so many regions [default: all].",
)
@as_of_option
@session_options
@pass_session
def estimate(  # noqa: PLR0913, PLR0917 - one for each option
    session: Session,
    /,
    images: tuple[str, ...],
    candidates: str,
    platform: str,
    count: int,
    request_id: str,
    limit: int | None,
) -> None:
    """Estimate where a machine would start soonest.

    IMAGE is `acme/web:v1` or `acme/web@sha256:...`; further ones are sidecars of the
    same machine, which share layers. Nothing is reserved or copied.
    """
    chosen = [(*parse_image(image), platform) for image in images]
    answer = session.ask(
        lambda client: estimated(
            client, chosen, candidates, count, request_id, limit or 0, session.as_of
        )
    )
    output.emit(session, answer, tables)


async def estimated(  # noqa: PLR0913, PLR0917 - the fields of the request
    client: PlacementClient,
    images: Sequence[tuple[str, str, str]],
    candidates: str = "",
    count: int = 0,
    request_id: str = "",
    limit: int = 0,
    as_of: AsOf | None = None,
) -> Answer:
    """Return how long a machine would wait by region, best first.

    *images* are repositories with their reference and platform.
    """
    response = await client.estimate_starts(
        images,
        candidates,
        machine_count=count,
        request_id=request_id,
        max_region_count=limit,
        as_of=as_of,
    )
    return plain(response)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of estimates."""
    estimates = answer["estimates"]
    for image in estimates[0]["images"] if estimates else ():
        yield Text(f"{image['repository']}@{image['digest']}", style="bold")
    yield output.table(COLUMNS, [_row(one) for one in estimates])
    yield output.basis_line(answer)


def _row(found: Answer) -> tuple[str, ...]:
    wait = found.get("expected_wait")
    numbers = {factor["name"]: factor["value"] for factor in found["factors"]}
    coming = {COMING[i["arrival"]] for i in found["images"] if i["arrival"] in COMING}
    return (
        found["region"],
        found["storage_region"],
        output.duration(wait, "p50"),
        output.duration(wait, "p90"),
        output.size(found["missing_bytes"]),
        output.size(int(numbers.get("mountable_bytes", 0))),
        learned(found["sample_count"]),
        "; ".join([found["reason"], *sorted(coming)]),
    )


def learned(sample_count: int) -> str:
    """Return what an estimate rests on, for people."""
    if not sample_count:
        return "distance"
    return f"{sample_count} transfer{'s' if sample_count > 1 else ''}"
