"""Operators' orders, given: regions, pauses and pins."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.reference import parse_image
from placement.cli.session import Session, pass_session, session_options
from placement.client import Operation
from placement.core.errors import InputError, NumberInvalidError
from placement.core.topology import parse_region
from placement.wire.json import plain

STATES: Final = ("active", "draining", "down")
SECONDS_MAX: Final = 3_650 * 86_400

_TERM: Final = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?"
)
_UNITS: Final = (86_400, 3_600, 60, 1)

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Words:
    """What the flags of an order say of it."""

    actor: str
    reason: str
    term: str = ""
    """How long it holds, such as ``2h``; empty: until another order."""
    request_id: str = ""

    def operation(self, session: Session) -> Operation:
        """Return who gives the order, why, and until when; raises InputError."""
        actor = self.actor or session.config.actor
        if not actor:
            remedy = "say who you are, or set actor in the configuration once"
            raise InputError("--actor", actor, remedy)
        expire_ns = None
        if self.term:
            seconds = parse_term(self.term, "--for")
            expire_ns = time.time_ns() + seconds * 1_000_000_000
        return Operation(actor, self.reason, expire_ns, self.request_id)


def parse_term(text: str, field_name: str) -> int:
    """Return ``30d``, ``2h`` or ``1h30m`` in seconds; raises NumberInvalidError."""
    found = _TERM.fullmatch(text.strip())
    parts = zip(found.groups() if found else (), _UNITS, strict=False)
    seconds = sum(int(part) * unit for part, unit in parts if part)
    if not 0 < seconds <= SECONDS_MAX:
        remedy = "give a duration with its unit: 30m, 2h, 30d; 1s to 3650d"
        raise NumberInvalidError(field_name, text, remedy)
    return seconds


def order_options(command: Command) -> Command:
    """Add who gives the order and why."""
    actor = click.option(
        "--actor",
        default="",
        metavar="NAME",
        help="Who gives the order [default: actor of the configuration].",
    )
    reason = click.option(
        "--reason", required=True, metavar="TEXT", help="Why, for the log."
    )
    request_id = click.option(
        "--request-id",
        default="",
        metavar="ID",
        help="The same order with the same id is given once.",
    )
    return actor(reason(request_id(session_options(command))))


def term_option(command: Command) -> Command:
    """Add until when the order holds."""
    return click.option(
        "--for",
        "term",
        default="",
        metavar="DURATION",
        help="Ends by itself after so long, such as 30m or 2h [default: never].",
    )(command)


regions_option = click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="REGION",
    help="Only there; may be given often [default: everywhere].",
)


@click.group()
def region() -> None:
    """Say what a region may be used for."""


@region.command("set")
@click.argument("code", metavar="REGION")
@click.option(
    "--state",
    type=click.Choice(STATES),
    required=True,
    help="Draining: no source or target where another will do. Down: never one.",
)
@term_option
@order_options
@pass_session
def set_state(session: Session, /, code: str, state: str, **words: str) -> None:
    """Drain a region, take it down, or bring it back."""
    parse_region(code, "REGION")
    operation = Words(**words).operation(session)
    answer = session.ask(lambda client: client.set_region_state(code, state, operation))
    _tell(session, plain(answer), f"{code} is {state}")


@click.command()
@regions_option
@term_option
@order_options
@pass_session
def pause(session: Session, /, regions: tuple[str, ...], **words: str) -> None:
    """Stop new copies.

    Copies under way go on.
    """
    where = _checked(regions, "into any region")
    operation = Words(**words).operation(session)
    answer = session.ask(lambda client: client.pause_replication(operation, regions))
    _tell(session, plain(answer), f"no new copies {where}")


@click.command()
@regions_option
@order_options
@pass_session
def resume(session: Session, /, regions: tuple[str, ...], **words: str) -> None:
    """Allow new copies again.

    Without a region, every pause ends.
    """
    where = _checked(regions, "into any region")
    operation = Words(**words).operation(session)
    answer = session.ask(lambda client: client.resume_replication(operation, regions))
    _tell(session, plain(answer), f"new copies {where} are allowed")


@click.command()
@click.argument("image", metavar="IMAGE")
@regions_option
@term_option
@order_options
@pass_session
def pin(
    session: Session, /, image: str, regions: tuple[str, ...], **words: str
) -> None:
    """Let an image stay.

    IMAGE is `acme/web:v1` or `acme/web@sha256:...`. A tag means what it points to now:
    when it moves, the pin stays where it is.
    """
    repository, reference = parse_image(image)
    where = _checked(regions, "wherever it is", "in")
    operation = Words(**words).operation(session)
    answer = plain(
        session.ask(
            lambda client: client.pin_content(repository, reference, operation, regions)
        )
    )
    _tell(session, answer, f"{repository}@{answer['digest']} stays {where}")


@click.command()
@click.argument("image", metavar="IMAGE")
@regions_option
@order_options
@pass_session
def unpin(
    session: Session, /, image: str, regions: tuple[str, ...], **words: str
) -> None:
    """Let an image go again.

    A tag means what it points to now; `placement orders` lists what is pinned.
    """
    repository, reference = parse_image(image)
    where = _checked(regions, "anywhere", "in")
    operation = Words(**words).operation(session)
    answer = plain(
        session.ask(
            lambda client: client.unpin_content(
                repository, reference, operation, regions
            )
        )
    )
    _tell(session, answer, f"{repository}@{answer['digest']} is not pinned {where}")


def _checked(regions: tuple[str, ...], everywhere: str, there: str = "into") -> str:
    """Return *regions* for people; raises RegionInvalidError."""
    for code in regions:
        parse_region(code, "--region")
    return f"{there} {', '.join(regions)}" if regions else everywhere


def _tell(session: Session, answer: Answer, done: str) -> None:
    output.emit(session, answer, lambda given: lines(given, done))


def lines(answer: Answer, done: str) -> Iterator[RenderableType]:
    """Yield what people read of an order that was given."""
    yield Text(done, style="bold")
    yield Text(f"order {answer['event_id']}")
    yield output.basis_line(answer)
