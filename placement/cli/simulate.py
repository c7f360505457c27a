"""``placement simulate``: recorded deployments, replayed under policies and scored."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from placement.cli import output, simulate_tables
from placement.cli.session import (
    Session,
    config_option,
    output_option,
    pass_session,
)
from placement.cli.simulate_plan import Wanted, files_of, sensitivity_of, setting_of
from placement.config import load_topology
from placement.core.errors import InputError
from placement.core.topology import parse_region
from placement.simulation.assumptions import load_assumptions
from placement.simulation.backtest import (
    MEGABYTE,
    Outcome,
    Setting,
    regret_kappa,
)
from placement.simulation.jobs import Job, run_jobs
from placement.simulation.ledger import Sources
from placement.simulation.picture import check_drawable, draw
from placement.simulation.report import document, picture_of

HEADLINE_DELTA_S: Final = 1.0
"""The headline stands at the declared delta, and at this one beside it."""
FilePath = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--trace",
    "traces",
    multiple=True,
    metavar="NAME=FILE",
    help="CSV(.gz) of time,region,repository,tag,kind [default: the carried cuts].",
)
@click.option(
    "--score-from",
    multiple=True,
    metavar="[NAME=]DATE|FRACTION",
    help="Score from then on; what was before is warm-up [default: 0.3].",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=FilePath,
    metavar="FILE",
    help="A policy in TOML, instead of the default; several are compared.",
)
@click.option("--json", "json_file", type=FilePath, metavar="FILE", help="Write there.")
@click.option("--picture", type=FilePath, metavar="FILE", help="Draw: .png or .svg.")
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
@click.option(
    "--kappa",
    multiple=True,
    type=click.FloatRange(0),
    metavar="MB/S",
    help="What if a saved second were worth so much: a policy more.",
)
@click.option("--down", multiple=True, metavar="REGION", help="What if it were down.")
@click.option("--home", default="", metavar="REGION", help="Where pushes land.")
@click.option(
    "--sources",
    type=click.Choice([one.value for one in Sources]),
    default=Sources.HOME.value,
    help="Where copies come from [default: home].",
)
@click.option("--all-starts", is_flag=True, help="Look at repeated starts as well.")
@click.option("--log", is_flag=True, help="Replay the service's own event log.")
@click.option(
    "--sensitivity", is_flag=True, help="Other sizes, deltas and shares, too."
)
@config_option
@output_option
@pass_session
def simulate(session: Session, /, **options: object) -> None:
    """Score policies on recorded deployments.

    Each trace is folded by the real fold and decided by the real rule, on recorded
    time, and compared with copying never, everywhere, by a 60-day list, and with who
    knows the future. Without --trace: cuts of three real histories.
    """
    wanted = Wanted(**options)  # type: ignore[arg-type]  # click has checked the kinds
    assumptions = load_assumptions(wanted.assumptions).varied(
        delta_s=wanted.delta, seed=wanted.size_seed, layer_share=wanted.share
    )
    _check_files(wanted)
    setting = setting_of(wanted, assumptions, load_topology(session.config))
    if wanted.log:
        _replay_log(session, wanted, setting)
        return
    cases = {"": assumptions}
    if assumptions.delta_s != HEADLINE_DELTA_S:
        cases[f"delta {HEADLINE_DELTA_S:g} s"] = assumptions.varied(
            delta_s=HEADLINE_DELTA_S
        )
    if wanted.sensitivity:
        cases |= sensitivity_of(assumptions)
    jobs, names = [], []
    for case, assumed in cases.items():
        own = replace(setting, assumptions=assumed)
        if case:
            own = replace(
                own, frontier_of="", with_all_starts=False, with_rollbacks=False
            )
        for name, file in files_of(wanted.traces).items():
            home = parse_region(wanted.home, "--home") if wanted.home else None
            jobs.append(Job(name, file, own, home, wanted.upload))
            names.append(case)
    outcomes = _run(jobs, names)
    by_case: dict[str, list[Outcome]] = {case: [] for case in cases}
    for case, outcome in zip(names, outcomes, strict=True):
        by_case[case].append(outcome)
    sources, kappa = setting.sources, regret_kappa(setting.policies)
    answer = dict(document(by_case.pop(""), assumptions, sources, kappa))
    answer["variants"] = {
        case: document(found, cases[case], sources, kappa)
        for case, found in by_case.items()
    }
    answer["policies"] = list(setting.policies)
    _written(wanted, answer, setting, outcomes[: len(files_of(wanted.traces))])
    output.emit(session, answer, simulate_tables.tables)


def _replay_log(session: Session, wanted: Wanted, setting: Setting) -> None:
    """Score the policies on the log that the configuration names."""
    # It reads the log as the service does, which takes its time to import.
    from placement.cli.simulate_log import log_outcome  # noqa: PLC0415

    of_traces = {
        "--trace": wanted.traces,
        "--sensitivity": wanted.sensitivity,
        "--delta": wanted.delta is not None,
        "--share": wanted.share is not None,
        "--size-seed": wanted.size_seed,
        "--home": wanted.home,
        "--upload": wanted.upload,
    }
    for option, said in of_traces.items():
        if said:
            remedy = "leave it out: a log says all that itself, and traces do not"
            raise InputError("--log", option, remedy)
    outcome = log_outcome(session, setting, lambda _: None)
    kappa = regret_kappa(setting.policies)
    told = document([outcome], setting.assumptions, setting.sources, kappa)
    answer = dict(told)
    answer |= {"variants": {}, "policies": list(setting.policies)}
    _written(wanted, answer, setting, [outcome])
    output.emit(session, answer, simulate_tables.tables)


def _check_files(wanted: Wanted) -> None:
    """Raise InputError for what could not be written after minutes of work."""
    if wanted.picture is not None:
        check_drawable(wanted.picture)
    for option, file in (("--json", wanted.json_file), ("--picture", wanted.picture)):
        if file is not None and not file.absolute().parent.is_dir():
            remedy = "No such file or directory: name a folder that is there"
            raise InputError(option, file, remedy)


def _run(jobs: Sequence[Job], cases: Sequence[str]) -> list[Outcome]:
    """Return the outcomes, and show on the screen how far each is."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:
        tasks = [
            bars.add_task(f"{job.name} {case}".strip(), total=1.0)
            for job, case in zip(jobs, cases, strict=True)
        ]
        told = _lines(jobs, cases) if not screen.is_terminal else None

        def progress(number: int, done: float) -> None:
            bars.update(tasks[number], completed=done)
            if told is not None:
                told(number, done)

        return run_jobs(jobs, progress)


def _lines(jobs: Sequence[Job], cases: Sequence[str]) -> Callable[[int, float], None]:
    """Return what says, where no terminal shows a bar, which quarters are done."""
    quarters = [0] * len(jobs)

    def told(number: int, done: float) -> None:
        quarter = int(done * 4)
        if quarter > quarters[number]:
            quarters[number] = quarter
            name = f"{jobs[number].name} {cases[number]}".strip()
            click.echo(f"{name}: {quarter * 25} %", err=True)

    return told


def _written(
    wanted: Wanted,
    answer: dict[str, object],
    setting: Setting,
    outcomes: Sequence[Outcome],
) -> None:
    """Write the files that were asked for."""
    if wanted.json_file is not None:
        try:
            wanted.json_file.write_text(json.dumps(answer, indent=1) + "\n", "utf-8")
        except OSError as error:
            remedy = f"{error.strerror}: name a file that can be written"
            raise InputError("--json", wanted.json_file, remedy) from None
    if wanted.picture is not None:
        name, policy = next(iter(setting.policies.items()))
        assumed = setting.assumptions
        subtitle = (
            f"{', '.join(one.name for one in outcomes)}; assumed: {assumed.source}, "
            f"{assumed.delta_s:g} s from push to first start"
        )
        price = policy.kappa_bytes_per_second / MEGABYTE
        draw(picture_of(outcomes, name, price, subtitle), wanted.picture)
