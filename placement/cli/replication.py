"""``placement replication``: one decision, its evidence, its outcome; or its end."""

from collections.abc import Iterator

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.replications import REMOVAL, STATUS, image_of
from placement.cli.requesting import progress_line
from placement.cli.session import Session, pass_session, session_options
from placement.core.errors import InputError
from placement.wire.json import plain

COLUMNS = ("", "")
NOT_SAID = frozenset({"", "-", "unspecified"})


@click.group()
def replication() -> None:
    """Show one decision, or call it off."""


@replication.command()
@click.argument("replication_id", metavar="ID")
@session_options
@pass_session
def show(session: Session, replication_id: str) -> None:
    """Show a decision, what it rested on, and whether it paid off."""
    answer = plain(session.ask(lambda client: client.get_replication(replication_id)))
    output.emit(session, answer, tables)


@replication.command()
@click.argument("replication_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the log.")
@click.option(
    "--actor",
    default="",
    metavar="NAME",
    help="Who calls it off [default: actor of the configuration].",
)
@session_options
@pass_session
def cancel(session: Session, replication_id: str, reason: str, actor: str) -> None:
    """Call off an open decision, whether it is to copy or to remove."""
    given = actor or session.config.actor
    if not given:
        remedy = "say who you are, or set actor in the configuration once"
        raise InputError("--actor", given, remedy)
    answer = plain(
        session.ask(
            lambda client: client.cancel_replication(replication_id, given, reason)
        )
    )
    output.emit(session, answer, lambda said: _cancelled(said, replication_id))


def _cancelled(answer: Answer, replication_id: str) -> Iterator[RenderableType]:
    yield Text(f"{replication_id} is called off", style="bold")
    yield output.basis_line(answer)


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of a decision."""
    decision = answer["replication"]
    what = "removal" if decision["kind"] == REMOVAL else "copy"
    yield Text(f"{what} {decision['replication_id']}", style="bold")
    yield output.table(COLUMNS, list(_rows(decision)))
    yield Text(progress_line(answer["progress"]))
    if "evidence" in answer:
        yield Text(answer["evidence"]["explanation"])
        yield Text(output.factors(answer["evidence"]["factors"]), style="dim")
    else:
        said = f"its evidence cannot be read: {answer['evidence_unavailable']}"
        yield Text(said, style="yellow")
    if answer["unsafe_reason"]:
        yield Text(f"it is not safe now: {answer['unsafe_reason']}", style="yellow")
    yield output.basis_line(answer)


def _rows(decision: Answer) -> Iterator[tuple[str, str]]:
    outcome = decision["outcome"]
    waits = f"{outcome['waited_count']} of {outcome['start_count']} starts"
    told = {
        "image": image_of(decision),
        "from": decision["source_region"],
        "region": decision["target_region"],
        "for starts in": ", ".join(decision["start_regions"]),
        "size": output.size(decision["transfer_bytes"]),
        "status": output.word(decision["status"], STATUS),
        "decided": output.moment(decision.get("decide_time")),
        "changed": output.moment(decision.get("change_time")),
        "expires": output.moment(decision.get("expire_time")),
        "complete": output.moment(decision.get("complete_time")),
        "policy": decision["policy"],
        "rule": decision["reason"],
        "due by": output.word(decision["trigger"], "REPLICATION_TRIGGER_"),
        "withheld": output.word(decision["withhold_reason"], "WITHHOLD_REASON_"),
        "failed": output.word(decision["failure_cause"], "FAILURE_CAUSE_"),
        "probability": f"{decision['probability']:.3f}" * bool(decision["probability"]),
        "paid off": output.word(outcome["payoff"], "PAYOFF_"),
        "first start": output.moment(outcome.get("first_start_time")),
        "waited": f"{waits}: {output.seconds(outcome.get('wait_duration')):.2f} s"
        * bool(outcome["start_count"]),
        "saved, modelled": f"{output.seconds(outcome.get('saved_duration')):.2f} s"
        * ("saved_duration" in outcome),
    }
    for name, value in told.items():
        if value not in NOT_SAID:
            yield name, value
