"""``placement routes``: what is known of the ways between regions."""

from collections.abc import Iterator, Sequence
from functools import partial

import rich_click as click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from placement.cli import output
from placement.cli.as_of import as_of_option
from placement.cli.output import Answer
from placement.cli.session import Session, pass_session, session_options
from placement.core.topology import parse_region
from placement.wire.json import plain

LIST_COLUMNS = (
    *("from", "to", "start-up>", "MB/s>", "p50>", "p90>", "samples>"),
    *("starts>", "<= p50>", "<= p90>"),
)
LEGEND = "rows to columns: expected seconds for 100 MB (and the transfers behind them)"
SCORED = "of the starts that were scored, how many waited <= the expected p50 and p90"
GUESSED = "dim, without transfers: by distance alone"
TOO_WIDE = "the matrix is wider than the terminal: a list; --from or --to narrow it"
GAP = 2
"""Blanks between the columns of a table."""


@click.command()
@click.option("--from", "source", default="", metavar="REGION", help="Only from there.")
@click.option("--to", "target", default="", metavar="REGION", help="Only to there.")
@click.option("--all", "every", is_flag=True, help="Also what nothing was observed on.")
@click.option("--list", "listed", is_flag=True, help="A line for each, with its fit.")
@as_of_option
@session_options
@pass_session
def routes(
    session: Session, source: str, target: str, *, every: bool, listed: bool
) -> None:
    """Show what is known of the ways between regions.

    A matrix of the expected seconds for 100 MB, each with the number of transfers that
    it was learned from; as a list where the terminal is too narrow for it. Routes are
    learned from real transfers only.
    """
    for region, flag in ((source, "--from"), (target, "--to")):
        if region:
            parse_region(region, flag)
    answer = plain(
        session.ask(
            lambda client: client.list_routes(
                source, target, include_unobserved=every, as_of=session.as_of
            )
        )
    )
    columns = 0 if listed else output.console().width
    output.emit(session, answer, partial(tables, columns=columns))


def tables(answer: Answer, columns: int) -> Iterator[RenderableType]:
    """Yield what people read of routes: a matrix where *columns* are enough for it."""
    found = answer["routes"]
    if not found:
        yield Text("no transfer was observed there yet; --all tells what distance says")
    elif matrix_width(found) <= columns:
        yield Text(LEGEND, style="bold")
        yield matrix(found)
        yield Text(GUESSED, style="dim")
    else:
        if columns:
            yield Text(TOO_WIDE, style="dim")
        yield output.table(LIST_COLUMNS, [_line(route) for route in found])
        yield Text(f"p50 and p90 are for 100 MB; {GUESSED}\n{SCORED}", style="dim")
    yield output.basis_line(answer)


def matrix(found: Sequence[Answer]) -> Table:
    """Return *found* with their sources as rows and their targets as columns."""
    cells = {
        (route["source_region"], route["target_region"]): _cell(route)
        for route in found
    }
    targets = sorted({target for _, target in cells})
    rows = [
        (source, *(cells.get((source, target), Text("·")) for target in targets))
        for source in sorted({source for source, _ in cells})
    ]
    return output.table(("", *(f"{target}>" for target in targets)), rows)


def matrix_width(found: Sequence[Answer]) -> int:
    """Return how many columns of a terminal ``matrix`` takes."""
    widths: dict[str, int] = {}
    for route in found:
        target = route["target_region"]
        width = max(len(target), len(_cell(route)))
        widths[target] = max(width, widths.get(target, 0))
    sources = max(len(route["source_region"]) for route in found)
    return sources + sum(width + GAP for width in widths.values())


def _cell(route: Answer) -> Text:
    expected = output.seconds(route["expected_duration"]["p50"])
    shown = f"{expected:.2f}" if expected < 10 else f"{expected:.1f}"  # noqa: PLR2004 - three digits
    from placement.core.tables.keys import (  # noqa: PLC0415 - numpy, 0.1 s
        TRANSFERS_PER_ROUTE,
    )

    samples = min(route["transfer_count"], TRANSFERS_PER_ROUTE)
    text = f"{shown} ({samples})" if samples else shown
    return Text(text, style=_style(route))


def _style(route: Answer) -> str:
    """Return how a route is shown: dim when no transfer speaks for it any more."""
    return "" if route["effective_sample_count"] else "dim"


def _line(route: Answer) -> tuple[Text, ...]:
    expected = route["expected_duration"]
    calibration = route.get("calibration", {})
    scored = calibration.get("sample_count", 0)
    cells = (
        route["source_region"],
        route["target_region"],
        f"{output.seconds(route.get('start_up')):.3f} s",
        f"{route['bytes_per_second'] / 1e6:.1f}",
        output.duration(expected, "p50"),
        output.duration(expected, "p90"),
        str(route["transfer_count"]),
        str(scored) if scored else "-",
        _share(calibration.get("below_p50_count", 0), scored),
        _share(calibration.get("below_p90_count", 0), scored),
    )
    return tuple(Text(cell, style=_style(route)) for cell in cells)


def _share(count: int, scored: int) -> str:
    """Return how many of *scored* starts waited no longer than expected."""
    return f"{count / scored:.0%}" if scored else "-"
