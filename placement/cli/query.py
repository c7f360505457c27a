"""``placement query``: ready questions to an export."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import rich_click as click
from rich.console import RenderableType

from placement.cli import output
from placement.cli.session import JSON, TABLE, Session, pass_session
from placement.core.errors import InputError

CSV: Final = "csv"
PIPED_COLUMNS: Final = 400
"""As wide as an answer may be where no terminal folds it."""


@click.command()
@click.argument("name", required=False)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="What `placement export` wrote.",
)
@click.option("--list", "listed", is_flag=True, help="Say which questions there are.")
@click.option("--sql", is_flag=True, help="Print the query, and ask nothing.")
@click.option(
    "--with-known-bad",
    is_flag=True,
    help="Count what happened while the log is known not to tell everything, too.",
)
@click.option(
    "-o",
    "--output",
    "shown",
    type=click.Choice([TABLE, JSON, CSV]),
    help="How to print the answer [default: table].",
)
@pass_session
def query(
    session: Session,
    name: str | None,
    directory: Path | None,
    listed: bool,  # noqa: FBT001 - a flag
    sql: bool,  # noqa: FBT001 - a flag
    with_known_bad: bool,  # noqa: FBT001 - a flag
    shown: str | None,
) -> None:
    """Ask an export the question NAME.

    Each query says what it answers, its columns and its units: --sql prints it.
    docs/analytics.md shows what each answers.
    """
    from placement.cli.export import check_extra  # noqa: PLC0415 - costs 0.3 s

    check_extra("duckdb", "placement query")
    from placement.export.querying import (  # noqa: PLC0415 - costs 0.3 s
        answer,
        queries,
        question,
    )

    ready, wanted = queries(), shown or session.output
    if listed:
        rows = [(each, question(text)) for each, text in ready.items()]
        _print(wanted, ("name", "question"), rows)
        return
    if name is None:
        raise InputError("NAME", "", f"give one of {', '.join(ready)}")
    if sql and name in ready:
        click.echo(ready[name], nl=False)
        return
    if directory is None:
        remedy = "name the directory that `placement export` wrote"
        raise InputError("--directory", "", remedy)
    found = answer(directory, name, with_known_bad=with_known_bad)
    _print(wanted, found.columns, found.rows)


def _print(shown: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if shown == CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    elif shown == JSON:
        told = [dict(zip(columns, row, strict=True)) for row in rows]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        screen = output.console()
        if not screen.is_terminal:
            screen.width = PIPED_COLUMNS
        for part in _table(columns, rows):
            screen.print(part)


def _table(
    columns: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> Iterator[RenderableType]:
    numeric = [
        any(isinstance(row[place], int | float) for row in rows)
        for place in range(len(columns))
    ]
    heads = [
        f"{name}>" if n else name for name, n in zip(columns, numeric, strict=True)
    ]
    yield output.table(heads, [[_cell(value) for value in row] for row in rows])


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.3f}"
        case _:
            return str(value)
