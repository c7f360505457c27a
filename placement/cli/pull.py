"""``placement plan-pull``: from where each content of an image is best pulled."""

from collections.abc import Iterator

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.as_of import as_of_option
from placement.cli.estimate import platform_option
from placement.cli.output import Answer
from placement.cli.reference import parse_image
from placement.cli.session import Session, pass_session, session_options
from placement.core.topology import parse_region
from placement.wire.json import plain

COLUMNS = ("content", "kind", "size>", "from", "p50>", "p90>", "why")


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("--region", required=True, metavar="REGION", help="Where the puller is.")
@platform_option
@as_of_option
@session_options
@pass_session
def plan_pull(session: Session, image: str, region: str, platform: str) -> None:
    """Plan the pull of a whole image, by content.

    For each content the best source, regions that still receive it among them, and the
    expected duration of all. IMAGE is `acme/web:v1` or `acme/web@sha256:...`.
    """
    repository, reference = parse_image(image)
    place = parse_region(region, "--region")
    answer = plain(
        session.ask(
            lambda client: client.plan_pull(
                repository, reference, place, platform, as_of=session.as_of
            )
        )
    )
    output.emit(session, {"repository": repository, "region": region, **answer}, tables)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a planned pull."""
    yield Text(f"{answer['repository']}@{answer['digest']}", style="bold")
    storage, region = answer["storage_region"], answer["region"]
    yield Text(f"for a puller in {region}, served by {storage}", style="bold")
    yield output.table(COLUMNS, [_row(plan, storage) for plan in answer["contents"]])
    yield Text("   ".join(_whole(answer)))
    fallback = answer["fallback"]
    endpoint = f" ({fallback['endpoint']})" if fallback["endpoint"] else ""
    yield Text(f"when no source works: {fallback['region']}{endpoint}", style="dim")
    yield output.basis_line(answer)


def _whole(answer: Answer) -> Iterator[str]:
    expected = answer.get("expected_duration")
    if expected is None:
        yield "all of it: nobody is known to hold it"
    else:
        p50, p90 = (output.duration(expected, name) for name in ("p50", "p90"))
        yield f"all of it: {p50} (p90 {p90})"
    for name in ("total", "missing", "mountable"):
        yield f"{name} {output.size(answer[f'{name}_bytes'])}"


def _row(plan: Answer, storage: str) -> tuple[str, ...]:
    content = plan["content"]
    head = (
        output.digest(content["digest"]),
        _kind(content["media_type"]),
        output.size(content["size_bytes"]),
    )
    if plan["present"]:
        return (*head, storage, "-", "-", "it is there")
    if plan["mounts"]:
        mount = plan["mounts"][0]
        return (*head, storage, "-", "-", f"mountable from {mount['repository']}")
    if not plan["sources"]:
        return (*head, "-", "-", "-", "nobody is known to hold it")
    best = plan["sources"][0]
    expected = best.get("expected_duration")
    return (
        *head,
        best["region"],
        output.duration(expected, "p50"),
        output.duration(expected, "p90"),
        output.factors(best["factors"]) or output.word(best["phase"], "REPLICA_PHASE_"),
    )


def _kind(media_type: str) -> str:
    """Return what content is: ``application/vnd.oci.image.layer.v1.tar`` is layer."""
    kinds = ("index", "manifest.list", "manifest", "config", "layer", "rootfs")
    found = next((kind for kind in kinds if f".{kind}." in f"{media_type}."), "-")
    shown = {"manifest.list": "index", "rootfs": "layer"}
    if "container.image" in media_type:  # Docker's name of a config
        found = "config"
    return shown.get(found, found)
