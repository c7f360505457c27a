"""``placement rehearse``: recorded deployments, decided, copied and started."""

from pathlib import Path
from typing import Any, Final

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from placement.cli import output, rehearse_tables
from placement.cli.session import Session, config_option, output_option, pass_session
from placement.cli.simulate_plan import files_of
from placement.config import load_topology
from placement.core.deciding.ruling import parse_ruling
from placement.core.errors import InputError
from placement.simulation.assumptions import load_assumptions
from placement.simulation.closed_loop import LoopSetting
from placement.simulation.jobs import run_jobs
from placement.simulation.ledger import Sources
from placement.simulation.loop_copier import Mishaps
from placement.simulation.loop_report import LoopJob

FilePath = click.Path(dir_okay=False, path_type=Path)
HOLDOUT: Final = "holdout_fraction"
SHARE: Final = click.FloatRange(0, 1)


@click.command()
@click.option(
    "--trace",
    "traces",
    multiple=True,
    metavar="NAME=FILE",
    help="CSV(.gz) of time,region,repository,tag,kind [default: the carried cuts].",
)
@click.option(
    "--policy",
    type=FilePath,
    metavar="FILE",
    help="The policy in force, in TOML [default: the shipped one].",
)
@click.option(
    "--holdout", type=SHARE, metavar="FRACTION", help="Withheld by lot, instead."
)
@click.option(
    "--unreachable",
    type=SHARE,
    default=0.0,
    metavar="FRACTION",
    help="Of copies: they fail, since their source cannot be reached.",
)
@click.option(
    "--never-begun",
    type=SHARE,
    default=0.0,
    metavar="FRACTION",
    help="Of copies: nobody carries them out.",
)
@click.option("--assumptions", type=FilePath, metavar="FILE", help="What is declared.")
@click.option(
    "--delta", type=float, metavar="SECONDS", help="From push to first start."
)
@click.option("--share", type=float, metavar="FRACTION", help="Of layers, shared.")
@click.option("--size-seed", metavar="TEXT", help="Draw other image sizes.")
@click.option(
    "--upload",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    metavar="SECONDS",
    help="Layers are pushed so long before their manifest.",
)
@config_option
@output_option
@pass_session
def rehearse(session: Session, /, **options: Any) -> None:  # noqa: ANN401 - click has checked their kinds
    """Live recorded deployments through.

    Each trace is folded by the real fold and decided by the planner's own rules; copies
    take their time, may fail, and are told in the log like the starts that wait for
    them. What is reported is read from that log, beside what is known to be true.
    """
    assumed = load_assumptions(options["assumptions"]).varied(
        delta_s=options["delta"],
        seed=options["size_seed"],
        layer_share=options["share"],
    )
    setting = LoopSetting(
        assumed,
        load_topology(session.config),
        _document(options["policy"], options["holdout"]),
        Mishaps(options["unreachable"], options["never_begun"]),
        Sources.NEAREST,
        options["upload"],
    )
    files = files_of(options["traces"])
    jobs = [LoopJob(name, file, setting) for name, file in files.items()]
    found = dict(zip((job.name for job in jobs), _run(jobs), strict=True))
    answer = {"assumptions": assumed.source, "traces": found}
    output.emit(session, answer, rehearse_tables.tables)


def _document(file: Path | None, holdout: float | None) -> str:
    """Return the policy's text; raises InputError for what is no policy."""
    text = ""
    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            remedy = f"name a readable TOML file ({error})"
            raise InputError("--policy", str(file), remedy) from None
    if holdout is not None:
        lines = [
            line
            for line in text.splitlines()
            if line.partition("=")[0].strip() != HOLDOUT
        ]
        text = "\n".join([f"{HOLDOUT} = {holdout}", *lines])
    parse_ruling(text, "--policy")
    return text


def _run(jobs: list[LoopJob]) -> list[dict[str, object]]:
    """Return the figures, and show on the screen how far each trace is."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:
        tasks = [bars.add_task(job.name, total=1.0) for job in jobs]
        return run_jobs(
            jobs, lambda number, done: bars.update(tasks[number], completed=done)
        )
