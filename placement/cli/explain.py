"""``placement explain``: why the answers about an image and region are as they are."""

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

COLUMNS = (">", "step", "what follows", "numbers")


@click.command()
@click.argument("image", metavar="IMAGE")
@click.option("--region", required=True, metavar="REGION", help="Where it would start.")
@platform_option
@as_of_option
@session_options
@pass_session
def explain(session: Session, image: str, region: str, platform: str) -> None:
    """Explain the answers about an image, step by step.

    From the reference to the expected wait of a machine in REGION. IMAGE is
    `acme/web:v1` or `acme/web@sha256:...`.
    """
    repository, reference = parse_image(image)
    place = parse_region(region, "--region")
    answer = plain(
        session.ask(
            lambda client: client.explain_answer(
                repository, reference, place, platform, as_of=session.as_of
            )
        )
    )
    output.emit(session, {"image": image, "region": region, **answer}, tables)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of an explanation."""
    yield Text(f"{answer['image']} for a machine in {answer['region']}", style="bold")
    rows = [
        (f"{number}.", step["name"], step["text"], output.factors(step["factors"]))
        for number, step in enumerate(answer["steps"], 1)
    ]
    yield output.table(COLUMNS, rows)
    yield output.basis_line(answer)
