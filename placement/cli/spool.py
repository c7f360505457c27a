"""``placement spool``: what an agent set aside, since it could never be sent."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement import stores
from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import (
    Session,
    config_option,
    key_option,
    output_option,
    pass_session,
)
from placement.config import Config
from placement.core.errors import InputError, clipped
from placement.inspections import AsideSeen
from placement.ports import LogConfigurationError
from placement.spooling import SpoolLimits

COUNT_MAX: Final = 1_000_000
BODY_SHOWN: Final = 4_096
DETAIL_SHOWN: Final = 100
DAMAGED: Final = "SPOOL_DAMAGED"
"""Why a body was set aside of which the bytes are not those that came."""

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def spool() -> None:
    """Look at what an agent set aside, send it again, or drop it.

    On the agent's machine, as its user. What is sent again becomes the same events with
    the same ids: what the log has already is not counted twice.
    """


def _places(command: Command) -> Command:
    """Add what says where the spool is."""
    return config_option(
        output_option(key_option("--state-dir", "agent.state_dir")(command))
    )


def _chosen(command: Command) -> Command:
    """Add what says which are meant."""
    numbers = click.argument("numbers", nargs=-1, type=click.IntRange(1))
    reason = click.option("--reason", default="", help="Only those of this reason.")
    everything = click.option("--all", "everything", is_flag=True, help="All of them.")
    return numbers(reason(everything(command)))


@spool.command("list")
@click.option("--bodies", is_flag=True, help="Also show how each body begins.")
@click.option("--reason", default="", help="Only those of this reason.")
@_places
@pass_session
def list_(session: Session, *, bodies: bool, reason: str) -> None:
    """List what is set aside, with the reason of each; beside a running agent too."""
    found = _asides(session.config, reason)
    answer = {"asides": [_plain(one, bodies=bodies) for one in found]}
    output.emit(session, answer, _table)


@spool.command()
@_chosen
@_places
@pass_session
def resend(
    session: Session, numbers: tuple[int, ...], *, reason: str, everything: bool
) -> None:
    """Let what is set aside wait to be sent again, once its cause is mended.

    The agent must not run meanwhile: stop it, resend, start it. What cannot be sent is
    set aside anew.
    """
    config = session.config
    with _owned(config):
        found = _selected(config, numbers, reason, everything=everything)
        kept = [one.number for one in found if one.reason == DAMAGED]
        chosen = [one.number for one in found if one.reason != DAMAGED]
        most = SpoolLimits(waiting_bytes_max=config.agent.spool.waiting_bytes_max)
        path = stores.spool_path(config)
        count = stores.resend_asides(path, chosen, most) if chosen else 0
    answer = {"resent": count, "kept_damaged": kept}
    output.emit(session, answer, _resent)


@spool.command()
@_chosen
@_places
@pass_session
def drop(
    session: Session, numbers: tuple[int, ...], *, reason: str, everything: bool
) -> None:
    """Forget what is set aside. The agent must not run meanwhile."""
    config = session.config
    with _owned(config):
        found = _selected(config, numbers, reason, everything=everything)
        chosen = [one.number for one in found]
        path = stores.spool_path(config)
        count = stores.drop_asides(path, chosen) if chosen else 0
    said = f"dropped {count}"
    output.emit(session, {"dropped": count}, lambda _answer: [Text(said)])


def _resent(answer: Answer) -> Iterator[RenderableType]:
    yield Text(f"{answer['resent']} wait to be sent again: start the agent")
    for number in answer["kept_damaged"]:
        damaged = f"{number} stays: its bytes are not those that came; drop it"
        yield Text(damaged, style="yellow")


def _selected(
    config: Config, numbers: Sequence[int], reason: str, *, everything: bool
) -> list[AsideSeen]:
    """Return those that are meant; raises InputError where that is not clear."""
    if bool(numbers) == everything and not (reason and not numbers):
        remedy = "give the numbers that `placement spool list` shows, or --all"
        raise InputError("numbers", " ".join(map(str, numbers)), remedy)
    found = _asides(config, reason)
    if not numbers:
        return found
    known = {one.number: one for one in found}
    for number in numbers:
        if number not in known:
            remedy = "give numbers that `placement spool list` shows"
            raise InputError("numbers", number, remedy)
    return [known[number] for number in dict.fromkeys(numbers)]


def _asides(config: Config, reason: str) -> list[AsideSeen]:
    path = stores.spool_path(config)
    if not path.is_file():
        remedy = "no spool is there: name the agent's directory with --state-dir"
        raise InputError("agent.state_dir", str(config.agent.state_dir), remedy)
    found = stores.list_asides(path, 0, COUNT_MAX)
    return [one for one in found if reason in {"", one.reason}]


@contextmanager
def _owned(config: Config) -> Iterator[None]:
    """Own the agent's directory within the block; raises InputError while it runs."""
    directory = config.agent.state_dir
    if not directory.is_dir():
        remedy = "no such directory: name the agent's with --state-dir"
        raise InputError("agent.state_dir", str(directory), remedy)
    lock_file = directory / "lock"
    try:
        lock = stores.lock_data_directory(directory, lock_file)
    except LogConfigurationError as error:
        holder = error.metadata.get("process_id", "")
        remedy = f"an agent runs on it (process {holder}): stop it first"
        raise InputError("agent.state_dir", str(directory), remedy) from None
    try:
        yield
    finally:
        os.close(lock)


def _plain(one: AsideSeen, *, bodies: bool) -> dict[str, object]:
    received = datetime.fromtimestamp(one.received_ns / 1e9, UTC)
    found: dict[str, object] = {
        "number": one.number,
        "feed": one.feed,
        "received_time": received.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "size_bytes": len(one.body),
        "reason": one.reason,
        "detail": one.detail,
    }
    if bodies:
        found["body"] = one.body[:BODY_SHOWN].decode("utf-8", "replace")
    return found


def _table(answer: Answer) -> Iterator[RenderableType]:
    yield output.table(
        ("number>", "feed", "received", "size>", "reason", "detail"),
        (
            (
                str(one["number"]),
                one["feed"],
                output.moment(one["received_time"]),
                output.size(one["size_bytes"]),
                one["reason"],
                clipped(one["detail"], DETAIL_SHOWN),
            )
            for one in answer["asides"]
        ),
    )
    for one in answer["asides"]:
        if "body" in one:
            yield Text(f"\n{one['number']}:\n{clipped(one['body'], BODY_SHOWN)}")
