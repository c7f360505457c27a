"""Pages of which parts are written by a module: found by their marks, and replaced."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

BEGINS: Final = "<!-- {}: written by tests/{}.py -->"
ENDS: Final = "<!-- end -->"

Part = Callable[[], Iterator[str]]


def row(cells: Iterable[str]) -> str:
    """Return a line of a table; a bar in a cell is escaped."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def rewritten(text: str, module: str, parts: Mapping[str, Part]) -> str:
    """Return a page with its *parts*, as *module* writes them, at their marks."""
    for name, lines in parts.items():
        begin = BEGINS.format(name, module)
        before, found, rest = text.partition(begin)
        assert found, name
        _, found, after = rest.partition(ENDS)
        assert found, name
        text = "\n".join([before + begin, "", *lines(), "", ENDS + after])
    return text
