"""``placement preview``: what would be copied where, and why."""

from collections.abc import Iterator
from pathlib import Path

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.policy_file import is_file, policy_text
from placement.cli.reference import ImageName, parse_name
from placement.cli.session import Session, pass_session, session_options
from placement.client import PlacementClient
from placement.core.topology import parse_region
from placement.wire.json import plain

COLUMNS = ("image", "copy", "moves>", "takes p50>", "a start saves>", "why")


@click.command()
@click.argument("image", metavar="[IMAGE]", default="")
@click.option("--target", default="", metavar="REGION", help="Only into this region.")
@click.option(
    "--policy",
    default="",
    metavar="FILE|NAME",
    help="A TOML file, default or set_60d; otherwise the policy in force.",
)
@click.option(
    "--limit", type=click.IntRange(1, 1_000), default=100, help="At most so many."
)
@session_options
@pass_session
def preview(session: Session, image: str, target: str, policy: str, limit: int) -> None:
    """Show what would be copied where, and why.

    Nothing is copied. IMAGE is `acme/web:v1`, `acme/web@sha256:...`, or `acme/web` for
    all its tags; without one, all repositories.
    """
    name = parse_name(image) if image else None
    if target:
        parse_region(target, "--target")
    content = ""
    if is_file(policy):
        policy, content = "", policy_text(Path(policy))
    answer = session.ask(
        lambda client: previewed(
            client, name, target, policy=policy, content=content, limit=limit
        )
    )
    output.emit(session, answer, tables)


async def previewed(  # noqa: PLR0913 - the fields of the request
    client: PlacementClient,
    name: ImageName | None,
    target: str,
    *,
    policy: str = "",
    content: str = "",
    limit: int = 0,
) -> Answer:
    """Return the copies that are wanted: of one image, a repository, or all."""
    response = await client.preview_replications(
        name.repository if name else "",
        (name.reference or "") if name else "",
        target,
        policy=policy,
        policy_content=content,
        max_replication_count=limit,
    )
    return plain(response)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a preview."""
    rows = [_row(copy) for copy in answer["replications"]]
    if rows:
        yield output.table(COLUMNS, rows)
    else:
        yield Text("no copy is wanted: everything is where it is used", style="dim")
    if answer["omitted_count"]:
        yield Text(f"and {answer['omitted_count']} more", style="dim")
    yield Text(f"by policy {answer['policy']}", style="dim")
    yield output.basis_line(answer)


def _row(copy: Answer) -> tuple[str, ...]:
    tags = ",".join(copy["tags"])
    suffix = f":{tags}" if tags else f"@{output.digest(copy['digest'])}"
    return (
        f"{copy['repository']}{suffix}",
        f"{copy['source_region']} -> {copy['target_region']}",
        output.size(copy["transfer_bytes"]),
        output.duration(copy.get("expected_duration"), "p50"),
        f"{output.seconds(copy.get('saved_duration')):.2f} s",
        copy["explanation"],
    )
