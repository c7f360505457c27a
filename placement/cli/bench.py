"""``placement bench``: what placement does a second, beside what is possible here."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import rich_click as click

from placement.bench.suites import COUNTED, SCALED, SUITES, load_suite
from placement.cli import output
from placement.cli.bench_estimates import estimates
from placement.cli.bench_figures import figures_table, require_place, write_figures
from placement.cli.failures import FAILED
from placement.cli.session import JSON, Session, output_option, pass_session
from placement.telemetry.logs import configure_logs

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def bench() -> None:
    """Measure placement itself.

    Every figure stands beside a ceiling that was measured in the same run: what the
    machine, or a program that does nothing else, could do at that moment.
    """


bench.add_command(estimates)


def suite_options(command: Command) -> Command:
    """Add what every suite may be told."""
    for option in (
        output_option,
        click.option(
            "--json",
            "json_file",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write the figures there, as a list.",
        ),
        click.option(
            "--directory",
            type=click.Path(file_okay=False, exists=True, path_type=Path),
            metavar="DIR",
            help="On the disk to be measured [default: where temporary files are].",
        ),
        click.option(
            "--quick", is_flag=True, help="So little that it says nothing: it works."
        ),
    ):
        command = option(command)
    return command


digests_option = click.option(
    "--digests",
    type=click.IntRange(min=1_000),
    metavar="COUNT",
    help="How large a state is made.",
)
events_option = click.option(
    "--events",
    type=click.IntRange(min=1_000),
    metavar="COUNT",
    help="How long a log is made.",
)


def _suite(name: str, sentence: str) -> click.Command:
    """Return the command that runs one suite."""

    @click.command(name, help=f"Measure: {sentence[0].lower()}{sentence[1:]}")
    @suite_options
    @pass_session
    def command(
        session: Session,
        /,
        quick: bool,  # noqa: FBT001 - a flag
        directory: Path | None,
        json_file: Path | None,
        **sizes: int | None,
    ) -> None:
        from placement.cli.bench_settings import (  # noqa: PLC0415 - all of the service
            bench_settings,
        )

        require_place(json_file)
        configure_logs(session.config.log_format, "warning")
        given = bench_settings(session.config, directory, quick=quick, **sizes)
        with given as settings:
            figures = load_suite(name)(settings)
        told = [figure.plain() for figure in figures]
        if json_file is not None:
            write_figures(json_file, told)
        if session.output == JSON:
            click.echo(json.dumps(told, indent=2))
        else:
            output.console().print(figures_table(name, figures))

    if name in COUNTED:
        command = events_option(command)
    return digests_option(command) if name in SCALED else command


for _name, _sentence in SUITES.items():
    bench.add_command(_suite(_name, _sentence))


@bench.command("all")
@suite_options
@pass_session
def every(
    session: Session,
    quick: bool,  # noqa: FBT001 - a flag
    directory: Path | None,
    json_file: Path | None,
) -> None:
    """Run every suite but estimates, each in a process of its own.

    What fails is named at the end, and does not stop the others.
    """
    require_place(json_file)
    figures: list[object] = []
    failed: list[str] = []
    more = [*(["--quick"] if quick else [])]
    more += [] if directory is None else ["--directory", str(directory)]
    shown = None if session.output != JSON else subprocess.DEVNULL
    with TemporaryDirectory() as folder:
        for name in SUITES:
            file = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", "placement", "bench", name, *more]
            ended = subprocess.run(  # noqa: S603 - this very program
                [*command, "--json", str(file)], stdout=shown, check=False
            )
            if ended.returncode:
                failed.append(name)
            else:
                figures += json.loads(file.read_text("utf-8"))
            if json_file is not None:
                write_figures(json_file, figures)
    if session.output == JSON:
        click.echo(json.dumps(figures, indent=2))
    if failed:
        click.echo(f"error: failed: {', '.join(failed)}", err=True)
        raise SystemExit(FAILED)
