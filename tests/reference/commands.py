"""docs/reference/cli.md: every command, from click's own description of it."""

import inspect
import re
from collections.abc import Iterator
from typing import Final

import click

from placement.cli.failures import EXIT_CODES
from placement.cli.main import COMMANDS, load_command
from tests.reference.markdown import made_by, prose, table

HEAD: Final = ("option", "meaning")


def commands_page() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield from made_by("placement/cli")
    yield "`placement COMMAND --help` says the same. Options of the whole program may"
    yield f"stand before the command or after it. Exit codes: {EXIT_CODES}."
    yield ""
    for name in COMMANDS:
        yield from command_lines(f"placement {name}", load_command(name))


def command_lines(path: str, command: click.Command, depth: int = 2) -> Iterator[str]:
    """Yield what is to be said of a command, and of those below it."""
    context = click.Context(command, info_name=path, parent=None)
    yield f"{'#' * depth} {path}"
    yield ""
    for paragraph in paragraphs(command):
        yield prose(paragraph)
        yield ""
    yield "```text"
    yield " ".join([path, *command.collect_usage_pieces(context)])
    yield "```"
    yield ""
    options = [each for each in command.params if isinstance(each, click.Option)]
    rows = [row for each in options if (row := _row(each, context))]
    if rows:
        yield from table(HEAD, rows)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            yield from command_lines(f"{path} {name}", below, depth + 1)


def paragraphs(command: click.Command) -> list[str]:
    """Return what a command says of itself, a paragraph each."""
    said = inspect.cleandoc(command.help or "").replace("\b\n", "")
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", said) if each]


def _row(option: click.Option, context: click.Context) -> tuple[str, str] | None:
    record = option.get_help_record(context)
    if record is None:
        return None
    names, said = record
    return f"`{names}`", prose(said)
