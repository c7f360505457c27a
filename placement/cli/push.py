"""``placement push-targets``: where to push an image to."""

import re
from collections.abc import Iterator
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import Session, pass_session, session_options
from placement.core.errors import NumberInvalidError
from placement.core.oci import parse_repository
from placement.core.topology import parse_region
from placement.wire.json import plain

COLUMNS = ("rank>", "region", "upload p50>", "p90>", "onward p50>", "why", "endpoint")
UNITS: Final = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
SIZE_MAX: Final = 10 * 10**12
"""Ten terabytes: more is a slip of the keyboard."""

_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([a-z]+)")


@click.command()
@click.argument("repository", metavar="REPOSITORY")
@click.option(
    "--from",
    "origin",
    required=True,
    metavar="REGION|LAT,LON",
    help="Where the pusher is: a region, or degrees north and east.",
)
@click.option(
    "--size",
    default="",
    metavar="SIZE",
    help="What is uploaded, such as 1GB [default: as the largest image].",
)
@click.option(
    "--limit", type=click.IntRange(1, 32), default=3, help="At most so many targets."
)
@session_options
@pass_session
def push_targets(
    session: Session, repository: str, origin: str, size: str, limit: int
) -> None:
    """Rank the regions to push an image to.

    By the upload from where the pusher is, and the copies onward to where the app runs.
    REPOSITORY is `acme/web`.
    """
    name = parse_repository(repository, "REPOSITORY")
    region, coordinates = parse_place(origin, "--from")
    size_bytes = parse_size(size, "--size") if size else 0
    answer = plain(
        session.ask(
            lambda client: client.rank_push_targets(
                name,
                region,
                coordinates=coordinates,
                size_bytes=size_bytes,
                max_target_count=limit,
            )
        )
    )
    output.emit(session, {"repository": name, "from": origin, **answer}, tables)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of push targets."""
    size = output.size(answer["size_bytes"])
    asked = f"{answer['repository']}, {size} pushed from {answer['from']}"
    yield Text(asked, style="bold")
    rows = [_row(rank, target) for rank, target in enumerate(answer["targets"], 1)]
    yield output.table(COLUMNS, rows)
    yield output.basis_line(answer)


def _row(rank: int, target: Answer) -> tuple[str, ...]:
    return (
        str(rank),
        target["region"],
        output.duration(target.get("expected_upload"), "p50"),
        output.duration(target.get("expected_upload"), "p90"),
        output.duration(target.get("expected_onward"), "p50"),
        target["reason"],
        target["endpoint"] or "-",
    )


def parse_place(text: str, field: str) -> tuple[str, tuple[float, float] | None]:
    """Return a region, or no region and coordinates; raises InputError."""
    latitude, comma, longitude = text.partition(",")
    if not comma:
        return parse_region(text, field), None
    try:
        return "", (float(latitude), float(longitude))
    except ValueError:
        remedy = "give a region, or degrees north and east, such as 32.9,-97.0"
        raise NumberInvalidError(field, text, remedy) from None


def parse_size(text: str, field: str) -> int:
    """Return ``1GB`` or ``1.5 MiB`` in bytes; raises NumberInvalidError."""
    found = _SIZE.fullmatch(text.strip().lower())
    unit = UNITS.get(found[2], 0) if found else 0
    count = round(float(found[1]) * unit) if found else 0
    if not 1 <= count <= SIZE_MAX:
        remedy = "give a number and its unit, such as 300MB, 1GB or 1.5GiB"
        raise NumberInvalidError(field, text, remedy)
    return count
