"""``placement replay``: fold the log again, beside any service."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict

import rich_click as click
from rich.console import Console, RenderableType
from rich.progress import Progress

from placement import stores
from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import (
    Session,
    config_option,
    log_options,
    output_option,
    pass_session,
)
from placement.config import Config
from placement.core.errors import InputError
from placement.runtime.replay import Replayed
from placement.runtime.replay import replay as fold_again
from placement.telemetry.logs import configure_logs


@click.command()
@click.option(
    "--to",
    "to_sequence",
    type=click.IntRange(1),
    metavar="SEQUENCE",
    help="The last message to fold [default: the last there is].",
)
@config_option
@log_options
@output_option
@pass_session
def replay(session: Session, to_sequence: int | None) -> None:
    """Fold the log again and print the fingerprint.

    Beside a running service it reads the same log; when none runs, it starts the
    broker on the data directory for as long as it reads. The same log, sequence and
    fold version give the same fingerprint on any machine; `placement status
    --fingerprint` is the running service's.
    """
    config = session.config
    if not config.nats.url and not config.data_dir.is_dir():
        remedy = "no such directory: name the service's with --data-dir"
        raise InputError("data_dir", str(config.data_dir), remedy)
    configure_logs(config.log_format, "warning")
    replayed = asyncio.run(_replayed(config, to_sequence))
    output.emit(session, asdict(replayed), _table)


async def _replayed(config: Config, to_sequence: int | None) -> Replayed:
    screen = Console(stderr=True)
    bar = Progress(console=screen, transient=True, disable=not screen.is_terminal)
    async with stores.open_log(config, may_start=True) as log:
        with bar:
            task = bar.add_task("folding", total=None)
            return await fold_again(
                log,
                to_sequence,
                lambda done, total: bar.update(task, completed=done, total=total),
            )


def _table(answer: Answer) -> Iterator[RenderableType]:
    counts = answer["counts"]
    rows = [
        ("sequence", answer["sequence"]),
        ("epoch", answer["epoch"]),
        ("fold version", answer["fold_version"]),
        ("fingerprint", answer["fingerprint"]),
        ("events", ", ".join(f"{count} {name}" for name, count in counts.items())),
    ]
    yield output.table(("", ""), [(name, str(value)) for name, value in rows])
