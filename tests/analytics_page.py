"""docs/analytics.md: its tables of columns, and what each query answers.

``python -m tests.analytics_page`` writes them anew.
"""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from placement.bench.made_use import MadeUse
from placement.export.querying import answer, queries, question
from placement.export.schema import TABLES
from tests.builders import START_NS, TOPOLOGY
from tests.exporting import TimedLog, exported

PAGE: Final = Path(__file__).parents[1] / "docs" / "analytics.md"
BEGINS: Final = "<!-- {}: written by tests/analytics_page.py -->"
ENDS: Final = "<!-- end -->"
MILLISECOND_NS: Final = 1_000_000
ROWS_SHOWN: Final = 4


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def tables() -> Iterator[str]:
    """Yield the columns of every table."""
    for table in TABLES:
        yield f"### {table.name}"
        yield ""
        yield f"A row is {table.row}."
        yield ""
        yield _row(["column", "type", "meaning"])
        yield "|---|---|---|"
        for column in table.columns:
            shown = column.kind.sql
            kind = "list of structures" if shown.startswith("STRUCT") else shown
            yield _row([f"`{column.name}`", kind, column.meaning])
        yield ""


def examples() -> Iterator[str]:
    """Yield what each query answers over a made-up log."""
    with TemporaryDirectory() as folder:
        asyncio.run(_export(Path(folder)))
        for name, text in queries().items():
            found = answer(Path(folder), name)
            yield f"### {name}"
            yield ""
            yield question(text)
            yield ""
            yield "```text"
            yield from _shown(found.columns, found.rows)
            yield "```"
            yield ""


async def _export(directory: Path) -> None:
    log, time_ns = TimedLog(), START_NS
    for subject, body, _ in MadeUse(sorted(TOPOLOGY.regions)).round(1):
        time_ns += MILLISECOND_NS
        await log.store(time_ns, subject, body)
    await exported(log, directory)


def _shown(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> Iterator[str]:
    cells = [columns, *(tuple(map(_cell, row)) for row in rows[:ROWS_SHOWN])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(padded).rstrip()
    if len(rows) > ROWS_SHOWN:
        yield f"… {len(rows) - ROWS_SHOWN} more"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def rewritten(text: str) -> str:
    """Return the page with its tables and examples as they must be."""
    for name, part in (("tables", tables), ("queries", examples)):
        begin = BEGINS.format(name)
        before, found, rest = text.partition(begin)
        assert found, name
        _, found, after = rest.partition(ENDS)
        assert found, name
        text = "\n".join([before + begin, "", *part(), ENDS + after])
    return text


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
