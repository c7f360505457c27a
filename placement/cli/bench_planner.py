"""``placement bench planner``: what deciding costs, and how soon it is done."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import rich_click as click
from rich import box
from rich.table import Table

from placement.bench.latency import latency_figures
from placement.bench.measured import QUICK, WHOLE, Measured, Scale
from placement.bench.planner import deciding_figures
from placement.cli import output
from placement.cli.session import JSON, Session, output_option, pass_session
from placement.config import load_topology
from placement.core.errors import InputError
from placement.core.topology import Topology
from placement.telemetry.logs import configure_logs

BROKER_SECONDS_MAX: Final = 600.0


@click.command()
@click.option("--quick", is_flag=True, help="A few pushes only, to see that it works.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write there.",
)
@output_option
@pass_session
def planner(session: Session, quick: bool, json_file: Path | None) -> None:  # noqa: FBT001 - a flag
    """Measure what deciding about a push costs, and how soon it is decided.

    Beside what folding the same push costs, without limits and control group; then over
    a broker of its own, in a temporary directory.
    """
    configure_logs(session.config.log_format, "warning")
    scale = QUICK if quick else WHOLE
    topology = load_topology(session.config)
    figures = deciding_figures(topology, scale)
    figures += asyncio.run(_latency(topology, scale))
    text = json.dumps([figure.plain() for figure in figures], indent=2)
    if json_file is not None:
        try:
            json_file.write_text(text + "\n", "utf-8")
        except OSError as error:
            remedy = f"{error.strerror}: name a file that can be written"
            raise InputError("--json", json_file, remedy) from None
    if session.output == JSON:
        click.echo(text)
    else:
        output.console().print(_table(figures))


async def _latency(topology: Topology, scale: Scale) -> list[Measured]:
    from placement import app  # noqa: PLC0415 - all of the service

    with TemporaryDirectory() as directory:
        async with (
            asyncio.timeout(BROKER_SECONDS_MAX),
            app.open_scratch(Path(directory)) as (log, store),
        ):
            return await latency_figures(log, store, topology, scale)


def _table(figures: Sequence[Measured]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("figure")
    for heading in ("value", "ceiling", "ratio"):
        table.add_column(heading, justify="right")
    for figure in figures:
        ceiling = "" if figure.ceiling is None else f"{figure.ceiling:,.1f}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.1f}"
        value = f"{figure.value:,.1f} {figure.unit}"
        table.add_row(figure.metric.replace("_", " "), value, ceiling, ratio)
    return table
