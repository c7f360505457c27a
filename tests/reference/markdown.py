"""Pieces of Markdown that mean the same to a site and to who reads the file."""

import re
from collections.abc import Iterable, Iterator

CODE = re.compile(r"(`[^`]*`)")


def prose(text: str) -> str:
    """Return *text* with what Markdown would take for markup written as it is."""
    return "".join(
        part if CODE.fullmatch(part) else re.sub(r"([<*\[\]])", r"\\\1", part)
        for part in CODE.split(text)
    )


def cell(text: str) -> str:
    """Return *text* for one cell of a table: one line, no bar."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a table, and an empty one."""
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"
    for row in rows:
        yield f"| {' | '.join(cell(each) for each in row)} |"
    yield ""


def made_by(source: str) -> Iterator[str]:
    """Yield what says of a page that nobody writes it by hand."""
    yield f"<!-- Made from {source} by python -m tests.reference. Edit those. -->"
    yield ""
