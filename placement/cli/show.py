"""``placement show``: where an image is."""

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
from placement.core.oci import Digest, Repository, Tag
from placement.wire.as_of import AsOf
from placement.wire.json import plain

REGION_COLUMNS = (
    *("region", "phase", "whole", "missing>", "mountable>"),
    *("arrival", "ready in>", "p90>", "from", "since"),
)
DEMAND_COLUMNS = ("used in", "pulls>", "starts>", "running>", "app demand>", "last use")

READY = "ARRIVAL_READY"


@click.command()
@click.argument("image", metavar="IMAGE")
@as_of_option
@session_options
@pass_session
def show(session: Session, image: str) -> None:
    """Show where an image is and who uses it.

    IMAGE is `acme/web:v1` or `acme/web@sha256:...`, a whole image or a single layer.
    """
    repository, reference = parse_image(image)
    as_of = session.as_of
    answer = session.ask(
        lambda client: placement_of(client, repository, reference, as_of)
    )
    output.emit(session, answer, tables)


async def placement_of(
    client: PlacementClient,
    repository: Repository,
    reference: Digest | Tag,
    as_of: AsOf | None = None,
) -> Answer:
    """Return where an image is, or was."""
    return plain(await client.get_placement(repository, reference, as_of=as_of))


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a placement."""
    found = answer["placement"]
    yield Text(f"{found['repository']}@{found['content']['digest']}", style="bold")
    yield Text("   ".join(_facts(found)))
    yield output.table(REGION_COLUMNS, [_region(entry) for entry in found["regions"]])
    if found["demands"]:
        yield output.table(DEMAND_COLUMNS, [_demand(use) for use in found["demands"]])
    yield output.basis_line(answer)


def _facts(found: Answer) -> Iterator[str]:
    yield f"tags {', '.join(found['tags']) or '-'}"
    yield f"app {found['app'] or '-'}"
    yield f"organization {found['organization'] or '-'}"
    yield f"size {output.size(found['image_size_bytes'])}"
    if found["platforms"]:
        yield f"platforms {', '.join(map(_platform, found['platforms']))}"


def _platform(platform: Answer) -> str:
    return "/".join(part for part in platform.values() if part)


def _region(entry: Answer) -> tuple[str, ...]:
    return (
        entry["region"],
        output.word(entry["phase"], "REPLICA_PHASE_"),
        "yes" if entry["complete"] else "no",
        output.size(entry["missing_bytes"]),
        output.size(entry["mountable_bytes"]),
        output.word(entry["arrival"], "ARRIVAL_"),
        *_ready(entry),
        output.moment(entry.get("create_time")),
    )


def _ready(entry: Answer) -> tuple[str, str, str]:
    """Return when the image is ready, or would be if it were asked for; from where."""
    if entry["arrival"] == READY:
        return ("now", "-", "-")
    estimate = entry.get("expected_ready")
    p50, p90 = (output.duration(estimate, name) for name in ("p50", "p90"))
    return (p50, p90, entry["source_region"] or "-")


def _demand(use: Answer) -> tuple[str, ...]:
    return (
        use["region"],
        str(use["pull_count"]),
        str(use["start_count"]),
        str(use["running_count"]),
        f"{use['app_demand']:.1f}",
        output.moment(use.get("last_use_time")),
    )
