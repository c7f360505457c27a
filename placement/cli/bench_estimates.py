"""``placement bench estimates``: how good the expected seconds of transfers are."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final, Self

import rich_click as click
from rich.console import Console, RenderableType
from rich.progress import Progress, TaskID

from placement.bench.captured import (
    Captured,
    captured_figures,
    carried_captures,
    leave_one_out,
)
from placement.bench.estimates import figures, score
from placement.bench.places import Places, load_places
from placement.bench.report import Report
from placement.bench.tcp_model import generated_transfers
from placement.bench.transfers import read_transfers
from placement.cli import bench_tables as tables
from placement.cli import output
from placement.cli.bench_figures import write_figures
from placement.cli.session import JSON, Session, output_option, pass_session
from placement.core.errors import InputError

JITTER: Final = 0.05
MORE_JITTERS: Final = (0.1, 0.2)
PATIENCE_SECONDS: Final = 2.0
"""What takes longer shows how far it is."""

Section = tuple[Mapping[str, float | int | None], list[RenderableType]]
"""Figures by their flat names, and the same for people."""
FilePath = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--transfers",
    type=FilePath,
    metavar="FILE",
    help="Score these: CSV of source_region,target_region,bytes,seconds.",
)
@click.option(
    "--regions",
    type=FilePath,
    metavar="FILE",
    help="Coordinates of regions: TOML like the catalogue, or CSV code,lat,lon.",
)
@click.option(
    "--captured",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="Score a registry's captured notifications with their request log.",
)
@click.option(
    "--jitter",
    type=click.FloatRange(0, 1),
    metavar="SIGMA",
    help=f"Of the generated transfers [default: {JITTER}].",
)
@click.option("--json", "json_file", type=FilePath, metavar="FILE", help="Write there.")
@output_option
@pass_session
def estimates(  # noqa: PLR0913, PLR0917 - one for each option
    session: Session,
    transfers: Path | None,
    regions: Path | None,
    captured: Path | None,
    jitter: float | None,
    json_file: Path | None,
) -> None:
    """Score the expected seconds of transfers against what people do instead.

    Three transfers of each path are learned and its others predicted. Without a file
    the transfers are made from measured paths between cloud regions by a model of TCP,
    and those of a captured registry stand beside them.
    """
    if transfers is not None and jitter is not None:
        message = "--jitter is for generated transfers: leave it out with --transfers"
        raise click.UsageError(message)
    places = load_places(regions)
    sections: list[Section] = []
    with Patience() as patience:
        if transfers is not None:
            report = score(read_transfers(transfers, places), places, patience.told)
            sections.append((figures(report), tables.scores(report, str(transfers))))
        elif captured is None:
            sigma = JITTER if jitter is None else jitter
            sections.append(_generated(places, sigma, patience.told))
    if captured is not None:
        sections.append(_read(captured, places))
    elif transfers is None:
        sections.append(_captured(carried_captures(), places, whole=False))
    _print(session, sections, json_file)


def _generated(
    places: Places, jitter: float, on_path: Callable[[int, int], None]
) -> Section:
    """Return what is told of generated transfers, with more jitter too."""
    reports: dict[float, Report] = {}
    for sigma in dict.fromkeys((jitter, *MORE_JITTERS)):
        reports[sigma] = score(generated_transfers(sigma), places, on_path)
    told: dict[str, float | int | None] = {**figures(reports[jitter])}
    told["jitter"] = jitter
    for sigma, report in reports.items():
        if sigma != jitter:
            told |= {f"jitter_{sigma}_{k}": v for k, v in figures(report).items()}
    parts = tables.scores(reports[jitter], f"generated, jitter {jitter}")
    return told, [*parts, tables.jitters(reports)]


def _read(folder: Path, places: Places) -> Section:
    from placement.cli.bench_captured import (  # noqa: PLC0415 - the agent's feeds
        read_captures,
    )

    found, ignored = read_captures(folder, places)
    told, parts = _captured(found, places, whole=True)
    return told, [*parts, tables.ignored(ignored)]


def _captured(captures: list[Captured], places: Places, *, whole: bool) -> Section:
    left_out = leave_one_out(captures, places)
    if not left_out:
        remedy = "capture two or more large transfers of a route"
        raise InputError("--captured", f"{len(captures)} transfers", remedy)
    told = captured_figures(left_out)
    return told, tables.captured(left_out, told, whole=whole)


def _print(session: Session, sections: list[Section], json_file: Path | None) -> None:
    told = {name: value for figures, _ in sections for name, value in figures.items()}
    if json_file is not None:
        write_figures(json_file, told)
    if session.output == JSON:
        click.echo(json.dumps(told, indent=2))
        return
    screen = output.console()
    for _, parts in sections:
        for part in parts:
            screen.print(part)


class Patience(AbstractContextManager["Patience"]):
    """A progress bar on a terminal, for whoever waits longer than a moment."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._stack = ExitStack()
        self._screen = Console(stderr=True)
        self._start = time.monotonic()
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        """Begin to wait."""
        self._start = time.monotonic()
        return self

    def __exit__(self, *_error: object) -> None:
        """Take the bar away."""
        self._stack.close()

    def told(self, done: int, total: int) -> None:
        """Show that *done* of *total* are done, if that is worth it by now."""
        waited = time.monotonic() - self._start
        if self._bar is None and self._screen.is_terminal and waited > PATIENCE_SECONDS:
            bar = Progress(console=self._screen, transient=True)
            self._stack.enter_context(bar)
            self._bar = bar, bar.add_task("paths", total=total)
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, completed=done, total=total)
