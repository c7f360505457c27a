"""``placement explain-start``: why a machine found its image nearby, or did not."""

from collections.abc import Iterator

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import Session, pass_session, session_options
from placement.wire.json import plain


@click.command("explain-start")
@click.argument("machine_id", metavar="MACHINE")
@session_options
@pass_session
def explain_start(session: Session, machine_id: str) -> None:
    """Explain why a machine found its image nearby, or did not.

    It is about the machine's last start that an event told of.
    """
    answer = plain(session.ask(lambda client: client.explain_start(machine_id)))
    output.emit(session, answer, tables)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a start."""
    image = f"{answer['repository']}@{output.digest(answer['digest'])}"
    when = output.moment(answer.get("start_time"))
    outcome = output.word(answer["outcome"], "START_OUTCOME_")
    said = f"{answer['machine_id']}: {image} in {answer['region']}, {when}: {outcome}"
    yield Text(said, style="bold")
    yield Text(answer["explanation"])
    if "replication" in answer:
        yield Text(f"decision {answer['replication']['replication_id']}", style="dim")
    yield output.basis_line(answer)
