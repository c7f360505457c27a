"""docs/scaling.md: its tables, read and written.

``python -m tests.scaling_page`` writes the second table anew from the first.
"""

import re
from pathlib import Path
from typing import Final

from placement.bench.capacity import Figures, derived, shown

PAGE: Final = Path(__file__).parents[1] / "docs" / "scaling.md"
GIVEN: Final = "## What it rests on"
FOLLOWS: Final = "## What follows"
ROW: Final = re.compile(r"^\| `(\w+)` \| ([\d.,]+) \|(.*)$", re.MULTILINE)


def section(text: str, title: str) -> str:
    """Return what stands below *title*, up to the next title."""
    _, _, rest = text.partition(f"{title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def values(part: str) -> dict[str, str]:
    """Return the rows of a table by name: each value as it is written."""
    rows = ROW.findall(part)
    assert len({name for name, _, _ in rows}) == len(rows), "a name stands there twice"
    return {name: value for name, value, _ in rows}


def known(text: str) -> Figures:
    """Return the figures of the page's first table."""
    given = values(section(text, GIVEN))
    return Figures.of({name: float(v.replace(",", "")) for name, v in given.items()})


def expected(text: str) -> dict[str, str]:
    """Return what the second table must say, by the first."""
    return {name: shown(value) for name, value in derived(known(text)).items()}


def rewritten(text: str) -> str:
    """Return the page with the second table as it must be."""
    part, wanted = section(text, FOLLOWS), expected(text)
    fresh = ROW.sub(lambda row: f"| `{row[1]}` | {wanted[row[1]]} |{row[3]}", part)
    return text.replace(part, fresh)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
