"""What the documentation shows to type: its blocks, their commands, and why not run.

A comment just above a block of commands may say

    <!-- not run: REASON -->          nothing runs it here
    <!-- run by: tests/PATH.py -->    a test of its own runs it

and one above a block that is copied into a file

    <!-- not ours: WHOSE -->          another program reads it

A block without one is run by the scenario of its page, in tests/docs.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from placement.cli.main import COMMANDS, load_command

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
SHELL: Final = frozenset({"console", "bash", "sh"})
PROMPT: Final = "$ "
PROGRAM: Final = re.compile(r"(?:^|[\s|(])(?:\.venv/bin/)?placement\s+(?=[a-z])")
_BLOCK: Final = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n+)?```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT: Final = re.compile(r"(?<=\s)#.*$", re.MULTILINE)
_CODE: Final = re.compile(r"`(?P<text>[^`\n]+)`")
_FILE: Final = re.compile(r"# ([\w.-]+\.(?:toml|yml))\n")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    """From the root of the project."""
    line: int
    language: str
    text: str
    mark: str
    """What the comment above says; empty: there is none."""

    @property
    def place(self) -> str:
        """As it is named in messages."""
        return f"{self.page}:{self.line}"

    @property
    def reason(self) -> str:
        """Why nothing runs it; empty: something does."""
        kind, _, reason = self.mark.partition(": ")
        return reason if kind == "not run" else ""

    @property
    def tested_by(self) -> str:
        """The test of its own that runs it; empty: none."""
        kind, _, test = self.mark.partition(": ")
        return test if kind == "run by" else ""

    @property
    def file(self) -> str:
        """The file that it is, as its first line says; empty: none."""
        found = _FILE.match(self.text)
        return found[1] if found else ""


@dataclass(frozen=True)
class Command:
    """One command of a block, and what the page says that it prints."""

    text: str
    printed: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of *page*, in order."""
    text = page.read_text()
    name = str(page.relative_to(ROOT))
    return [
        Block(
            name,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["text"],
            found["mark"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


def shell_blocks() -> list[Block]:
    """Return every block of commands of every page."""
    return [
        block for page in PAGES for block in blocks(page) if block.language in SHELL
    ]


def commands(block: Block) -> list[Command]:
    """Return what is typed in a block of language console, in order."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith(PROMPT):
            found.append(Command(line.removeprefix(PROMPT), ()))
            continue
        assert found, f"{block.place}: printed before anything was typed"
        last = found[-1]
        if _ends(last.text):
            found[-1] = Command(last.text, (*last.printed, line))
        else:
            found[-1] = Command(f"{last.text}\n{line}", ())
    return found


def _ends(text: str) -> bool:
    """Say whether a shell would run *text*, and not ask for more of it."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return not text.endswith(("\\", "|"))


def mentions() -> Iterator[tuple[str, str]]:
    """Yield where, and what follows the name of our program where it is shown."""
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for block in blocks(page):
            if block.language in SHELL:
                text = _COMMENT.sub("", block.text.replace("\\\n", " "))
                for found in PROGRAM.finditer(text):
                    yield block.place, text[found.end() :].splitlines()[0]
        text = _BLOCK.sub("", page.read_text())
        for code in _CODE.finditer(text):
            found_code = PROGRAM.match(code["text"])
            if found_code:
                yield name, code["text"][found_code.end() :]


def faults(shown: str) -> list[str]:
    """Return what click's own commands do not know of *shown*, "show acme/web -o"."""
    words = re.split(r"[|;&)>#]", shown)[0].split()
    if not words or words[0] not in COMMANDS:
        return [f"no command {words[:1]}"]
    command = load_command(words.pop(0))
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    known = {
        name for each in command.params for name in (*each.opts, *each.secondary_opts)
    } | {"--help", "-h"}
    flags = [word.partition("=")[0].strip("[]`'\"") for word in words]
    return [
        f"{command.name} has no {flag}"
        for flag in flags
        if re.fullmatch(r"--?[a-z][a-z-]*", flag) and flag not in known
    ]
