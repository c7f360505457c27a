"""The figures of the bench's suites: a table for people, and a file for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import RenderableType

from placement.bench.measured import Measured
from placement.cli.output import table
from placement.core.errors import InputError

WHOLE_FROM: Final = 1_000
"""Numbers from here on are told without decimals."""
TENTHS_FROM: Final = 10


def require_place(file: Path | None) -> None:
    """Raise InputError, naming --json, where *file* could not be written later.

    Leaves everything as it was.
    """
    if file is None:
        return
    try:
        there = file.exists()
        file.open("a").close()
        if not there:
            file.unlink()
    except OSError as error:
        raise _unwritable(file, error) from None


def write_figures(file: Path, figures: object) -> None:
    """Write *figures* as JSON; raises InputError, naming --json."""
    try:
        file.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise _unwritable(file, error) from None


def _unwritable(file: Path, error: OSError) -> InputError:
    remedy = f"{error.strerror}: name a file that can be written"
    return InputError("--json", file, remedy)


def figures_table(title: str, figures: Sequence[Measured]) -> RenderableType:
    """Return the figures of one suite: the median, how far it strays, its ceiling."""
    columns = (title, "median>", "least to most>", "ceiling>", "ratio>")
    return table(columns, [_row(figure) for figure in figures])


def _row(figure: Measured) -> tuple[str, ...]:
    spread = figure.spread
    strayed = "" if spread is None else " to ".join(map(number, spread))
    ceiling, ratio = figure.ceiling, figure.ratio
    return (
        figure.metric.replace("_", " "),
        f"{number(figure.value)} {figure.unit}",
        strayed,
        "" if ceiling is None else number(ceiling),
        "" if ratio is None else number(ratio),
    )


def number(value: float) -> str:
    """Return *value* with as many digits as say something."""
    if abs(value) >= WHOLE_FROM:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= TENTHS_FROM else f"{value:.3g}"
