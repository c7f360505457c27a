"""Answers as JSON for scripts, and as tables for people; both from the same values."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import rich_click as click
from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from placement.cli.session import JSON, Session

Answer = Mapping[str, Any]
"""A response of the service as ``wire.json.plain`` gives it."""

PIPED_COLUMNS: Final = 120
"""As wide as a table is where no terminal says otherwise."""
DIGEST_SHOWN: Final = 19
"""``sha256:`` and twelve digits."""


def console() -> Console:
    """Return standard output, for tables."""
    found = Console(highlight=False)
    if not found.is_terminal:
        found = Console(highlight=False, width=PIPED_COLUMNS)
    return found


def emit(
    session: Session,
    answer: Answer,
    render: Callable[[Answer], Iterable[RenderableType]],
) -> None:
    """Print *answer* as the session wants it."""
    if session.output == JSON:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    screen = console()
    for part in render(answer):
        screen.print(part)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], title: str = ""
) -> Table:
    """Return a table; a column whose name ends in ``>`` is aligned right."""
    built = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        right = name.endswith(">")
        built.add_column(
            name.removesuffix(">"),
            justify="right" if right else "left",
            overflow="fold",
        )
    for row in rows:
        built.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return built


def basis_line(answer: Answer) -> Text:
    """Return what *answer* rests on, in a line."""
    basis = answer["basis"]
    state = word(basis["state"], "SERVING_STATE_").upper()
    if state == "PAST":
        return Text(_past(basis), style="bold yellow")
    staleness = seconds(basis.get("staleness"))
    line = f"answered at sequence {basis['sequence']}, {state}, epoch "
    line += f"{basis['epoch'] or '(none)'}"
    line += f", heard from the log {staleness:.1f} s ago"
    return Text(line, style="dim" if state == "LIVE" else "bold yellow")


def _past(basis: Answer) -> str:
    """Return what an answer about the past rests on, in a line."""
    then = moment(basis.get("store_time"))
    line = f"as of sequence {basis['sequence']}, stored {then}, epoch {basis['epoch']}"
    return "; ".join((line, *basis["notes"]))


def word(value: str, prefix: str) -> str:
    """Return an enum's value for people: ``REPLICA_PHASE_COMPLETE`` is ``complete``."""
    plain = value.removeprefix(prefix).lower().replace("_", " ")
    return "-" if plain == "unspecified" else plain


def seconds(value: str | None) -> float:
    """Return a duration of JSON, ``"1.500s"``, in seconds; 0 when absent."""
    return float(value.removesuffix("s")) if value else 0.0


def duration(estimate: Answer | None, percentile: str) -> str:
    """Return one percentile of an expected duration for people."""
    if not estimate or percentile not in estimate:
        return "-"
    found = seconds(estimate[percentile])
    return f"{found:.3f} s" if found < 1 else f"{found:.2f} s"


def size(count: int) -> str:
    """Return a number of bytes for people; 0 is not known, or nothing."""
    return decimal(count) if count else "-"


def rate(bytes_per_second: float) -> str:
    """Return how fast bytes move for people."""
    megabytes = bytes_per_second / 1e6
    return f"{megabytes:.1f} MB/s" if megabytes < 100 else f"{megabytes:,.0f} MB/s"  # noqa: PLR2004 - three digits


def moment(value: str | None) -> str:
    """Return a time of JSON to the second."""
    return value[:19].replace("T", " ") + "Z" if value else "-"


def digest(value: str) -> str:
    """Return as much of a digest as tells it from others."""
    return value[:DIGEST_SHOWN]


def factors(values: Iterable[Answer]) -> str:
    """Return the numbers that an answer rests on, those that are 0 left out."""
    return ", ".join(
        _factor(item["name"], item["value"]) for item in values if item["value"]
    )


def _factor(name: str, value: float) -> str:
    if name.endswith("bytes_per_second"):
        return f"{name.removesuffix('bytes_per_second').replace('_', ' ')}{rate(value)}"
    if name.endswith("_bytes"):
        return f"{name.removesuffix('_bytes').replace('_', ' ')} {size(int(value))}"
    if name.endswith("_seconds"):
        plain = name.removesuffix("_seconds").replace("_", " ")
        if value < 1:
            return f"{plain} {value * 1e3:.0f} ms"
        return f"{plain} {value:,.0f} s" if value >= 100 else f"{plain} {value:.3g} s"  # noqa: PLR2004 - three digits
    return f"{name.replace('_', ' ')} {value:g}"
