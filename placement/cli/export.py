"""``placement export``: the log and what came of it, as Parquet files."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import rich_click as click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from placement import stores
from placement.cli import output
from placement.cli.output import Answer
from placement.cli.progress_lines import ProgressLines
from placement.cli.session import (
    Session,
    config_option,
    log_options,
    output_option,
    pass_session,
)
from placement.config import Config
from placement.core.errors import InputError
from placement.telemetry.logs import configure_logs


def check_extra(package: str, command: str) -> None:
    """Raise InputError where what the extra ``analytics`` brings is not installed."""
    if find_spec(package) is None:
        remedy = "install the extra: pip install 'placement[analytics]'"
        raise InputError(command, f"{package} is not installed", remedy)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--since",
    metavar="TIME|SEQUENCE",
    help="Tell of what was stored from then on [default: the log's beginning].",
)
@click.option(
    "--until",
    metavar="TIME|SEQUENCE",
    help="Up to that message, or before that time [default: the log's end].",
)
@click.option("--hash-names", is_flag=True, help="Tell hashes instead of names.")
@click.option(
    "--hash-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The key that names are hashed with; keep it, and keep it secret.",
)
@click.option(
    "--events-per-file",
    type=click.IntRange(1, 2**24),
    metavar="COUNT",
    help="Begin new files after so many events [default: as before, or 524288].",
)
@config_option
@log_options
@output_option
@pass_session
def export(
    session: Session,
    directory: Path,
    since: str | None,
    until: str | None,
    hash_names: bool,  # noqa: FBT001 - a flag
    hash_key_file: Path | None,
    events_per_file: int | None,
) -> None:
    """Write events, decisions and outcomes to DIRECTORY as partitioned Parquet.

    Beside a running service it reads the same log; when none runs, it starts the broker
    on the data directory for as long as it reads. Run again, it adds what is new and
    tells anew what came of decisions; killed, it goes on where it was. docs/analytics.md
    says what the columns mean, and `placement query` asks about them.
    """
    check_extra("pyarrow", "placement export")
    from placement.export.bounds import parse_bound  # noqa: PLC0415 - costs 0.3 s
    from placement.export.exporting import Wanted  # noqa: PLC0415 - costs 0.3 s
    from placement.export.hidden_names import read_name_key  # noqa: PLC0415 - as above

    if hash_names != (hash_key_file is not None):
        given = "--hash-names" if hash_names else "--hash-key-file"
        remedy = "give --hash-names and --hash-key-file FILE together, or neither"
        raise InputError(given, "alone", remedy)
    wanted = Wanted(
        directory,
        None if since is None else parse_bound(since, "--since"),
        None if until is None else parse_bound(until, "--until"),
        None if hash_key_file is None else read_name_key(hash_key_file),
        events_per_file,
    )
    config = session.config
    if not config.nats.url and not config.data_dir.is_dir():
        remedy = "no such directory: name the service's with --data-dir"
        raise InputError("data_dir", str(config.data_dir), remedy)
    configure_logs(config.log_format, "warning")
    output.emit(session, asyncio.run(_exported(config, wanted)), _tables)


async def _exported(config: Config, wanted: object) -> Answer:
    from placement.export.exporting import Wanted, export  # noqa: PLC0415 - as above

    assert isinstance(wanted, Wanted)
    async with stores.open_log(config, may_start=True) as log:
        with _progress() as told:
            found = await export(log, wanted, told)
    manifest = found.manifest
    epoch = manifest.epoch
    rows: dict[str, int] = {}
    for file in manifest.files:
        rows[file.table] = rows.get(file.table, 0) + file.rows
    return {
        "directory": str(wanted.directory),
        "new_messages": found.messages,
        "epoch": epoch.name if epoch else "",
        "last_sequence": epoch.last_sequence if epoch else 0,
        "outcome_version": len(manifest.outcome_versions),
        "files": len(manifest.files),
        "bytes": sum(file.bytes for file in manifest.files),
        "rows": rows,
    }


@contextmanager
def _progress() -> Iterator[ProgressLines]:
    """Give what shows how far it is: a bar, or lines where there is no terminal."""
    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("messages"),
        TimeRemainingColumn(),
    )
    off = not screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=off) as bars:
        yield ProgressLines(bars, lines=off)


def _tables(answer: Answer) -> Iterator[RenderableType]:
    rows = [
        ("directory", answer["directory"]),
        ("new messages", f"{answer['new_messages']:,}"),
        ("up to", f"{answer['last_sequence']:,} of epoch {answer['epoch']}"),
        ("outcomes", f"version {answer['outcome_version']}"),
        ("files", f"{answer['files']:,}, {output.size(answer['bytes'])}"),
    ]
    rows += [(f"  {table}", f"{count:,}") for table, count in answer["rows"].items()]
    yield output.table(("", ""), rows)
