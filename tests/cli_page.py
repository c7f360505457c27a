"""docs/cli.md: the exit codes, and the synopsis of every command.

``python -m tests.cli_page`` writes them anew.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from placement.cli.failures import EXIT_OF_STATUS, EXITS
from placement.cli.main import COMMANDS, load_command
from tests.pages import rewritten, row

PAGE: Final = Path(__file__).parents[1] / "docs" / "cli.md"


def exits() -> Iterator[str]:
    """Yield the table of exit codes."""
    yield row(["code", "meaning"])
    yield "|---|---|"
    for code, meaning in EXITS.items():
        yield row([str(code), meaning])


def statuses() -> Iterator[str]:
    """Yield the table of statuses of calls that fail."""
    yield row(["status of a failed call", "exit code"])
    yield "|---|---|"
    for status, code in EXIT_OF_STATUS.items():
        yield row([f"`{status}`", str(code)])


def commands() -> Iterator[str]:
    """Yield every command with its options."""
    for name in COMMANDS:
        command = load_command(name)
        yield from described(command, f"placement {name}")


def described(command: click.Command, path: str) -> Iterator[str]:
    """Yield one command, then those inside it."""
    context = click.Context(command, info_name=path)
    words = " ".join(command.collect_usage_pieces(context))
    yield from (f"### {path}", "", f"`{path} {words}`", "")
    yield from (line.strip() for line in (command.help or "").splitlines())
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        yield from ("", row(["option", "meaning"]), "|---|---|")
    for option in options:
        flags = ", ".join([*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" {option.make_metavar(context)}"
        required = " Required." if option.required else ""
        yield row([f"`{flags}{value}`", f"{option.help or ''}{required}"])
    yield ""
    for name, inner in getattr(command, "commands", {}).items():
        yield from described(inner, f"{path} {name}")


PARTS: Final = {"exits": exits, "statuses": statuses, "commands": commands}


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(), "cli_page", PARTS))
