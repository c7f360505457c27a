"""``placement orders`` and ``placement policy``: what is in force."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.operations import Words, lines, order_options, term_option
from placement.cli.output import Answer
from placement.cli.policy_file import is_file, policy_text
from placement.cli.session import Session, pass_session, session_options
from placement.client import PlacementClient
from placement.core.oci import parse_repository
from placement.wire.json import plain

REGION_COLUMNS: Final = ("region", "state", "since", "until")
PAUSE_COLUMNS: Final = ("no new copies into", "except", "since", "until")
PIN_COLUMNS: Final = ("pinned", "tags", "where", "except", "since", "until")
POLICY_COLUMNS: Final = ("policy", "hash", "standing", "since", "until", "problem")
PAGE_SIZE_MAX: Final = 1_000
IN_FORCE: Final = "POLICY_STANDING_IN_FORCE"


@click.command()
@click.option("--repository", default="", metavar="NAME", help="Only pins of this one.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="At most so many pins.",
)
@session_options
@pass_session
def orders(session: Session, repository: str, limit: int) -> None:
    """Show which orders of operators are in force.

    Who gave an order and why is in the log: `placement tail --from 1 --fact
    region_changed`, and so on.
    """
    if repository:
        parse_repository(repository, "--repository")
    answer = session.ask(lambda client: in_force(client, repository, limit))
    output.emit(session, answer, tables)


async def in_force(client: PlacementClient, repository: str, limit: int) -> Answer:
    """Return the orders in force, with the first *limit* pins."""
    answer: dict[str, object] = {}
    pins: list[Answer] = []
    token = ""
    while not answer or (token and len(pins) < limit):
        size = min(limit - len(pins), PAGE_SIZE_MAX)
        page = plain(await client.list_orders(repository, size, token))
        token = page.pop("next_page_token")
        pins.extend(page["pins"])
        answer = answer or page
    return {**answer, "pins": pins, "more": bool(token)}


@click.group()
def policy() -> None:
    """Show, check or change the policy."""


@policy.command()
@session_options
@pass_session
def show(session: Session) -> None:
    """Show the policy in force, and those that were ordered before."""
    answer = session.ask(lambda client: in_force(client, "", 1))
    kept = {name: answer[name] for name in ("policies", "basis")}
    output.emit(session, kept, policy_tables)


@policy.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@session_options
@pass_session
def check(session: Session, file: Path) -> None:
    """Say whether a policy could be put in force; nothing is changed."""
    text = policy_text(file, "FILE")
    answer = plain(session.ask(lambda client: client.check_policy(content=text)))
    done = f"valid: {file}, policy {_label(answer)}"
    output.emit(session, answer, lambda _: [Text(done, style="bold")])


@policy.command("set")
@click.argument("source", metavar="FILE|NAME")
@term_option
@order_options
@pass_session
def set_policy(session: Session, /, source: str, **words: str) -> None:
    """Put a policy in force for every planner.

    A file ends in .toml or is a path with a folder; everything else is the name of a
    built-in policy: default or set_60d.
    """
    operation = Words(**words).operation(session)
    name, text = source, ""
    if is_file(source):
        name, text = "", policy_text(Path(source), "FILE")
    answer = plain(
        session.ask(
            lambda client: client.set_policy(operation, name=name, content=text)
        )
    )
    done = f"policy {_label(answer)} is in force"
    output.emit(session, answer, lambda given: lines(given, done))


def _label(answer: Answer) -> str:
    return f"{answer['policy']}@{answer['policy_hash']}"


def tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of the orders in force."""
    yield from _table(REGION_COLUMNS, [_region(one) for one in answer["regions"]])
    yield from _table(PAUSE_COLUMNS, [_pause(one) for one in answer["pauses"]])
    yield from _table(PIN_COLUMNS, [_pin(one) for one in answer["pins"]])
    if not (answer["regions"] or answer["pauses"] or answer["pins"]):
        yield Text("all regions are active, nothing is paused or pinned", style="dim")
    if answer["more"]:
        yield Text("and more pins; give --limit for them", style="dim")
    yield output.table(POLICY_COLUMNS, [_policy(one) for one in answer["policies"]])
    yield output.basis_line(answer)


def policy_tables(answer: Answer) -> Iterator[RenderableType]:
    """Yield what people read of the policies."""
    yield output.table(POLICY_COLUMNS, [_policy(one) for one in answer["policies"]])
    for one in answer["policies"]:
        if one["standing"] == IN_FORCE and one["content"]:
            yield Text(one["content"].rstrip("\n"))
    yield output.basis_line(answer)


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Iterator[RenderableType]:
    if rows:
        yield output.table(columns, rows)


def _region(order: Answer) -> tuple[str, ...]:
    state = output.word(order["state"], "REGION_STATE_")
    return (order["region"], state, *_term(order))


def _pause(order: Answer) -> tuple[str, ...]:
    excepted = ", ".join(order["excepted_regions"]) or "-"
    return (order["region"] or "all regions", excepted, *_term(order))


def _pin(order: Answer) -> tuple[str, ...]:
    return (
        f"{order['repository']}@{output.digest(order['digest'])}",
        ", ".join(order["tags"]) or "-",
        order["region"] or "wherever it is",
        ", ".join(order["excepted_regions"]) or "-",
        *_term(order),
    )


def _policy(order: Answer) -> tuple[str, ...]:
    return (
        order["policy"],
        order["policy_hash"] or "-",
        output.word(order["standing"], "POLICY_STANDING_"),
        *_term(order),
        order["problem"] or "-",
    )


def _term(order: Answer) -> tuple[str, str]:
    """Return since when and until when an order holds."""
    until = order.get("expire_time")
    since = output.moment(order.get("order_time"))
    return since, output.moment(until) if until else "never ends"
