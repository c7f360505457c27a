"""``placement backup`` and ``placement restore``: the whole log, as a directory."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement import __version__, stores
from placement.backups import Manifest, give_back, read_backup, write_backup
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
from placement.ports import LogStatus
from placement.telemetry.logs import configure_logs

DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("directory", type=DIRECTORY)
@config_option
@log_options
@output_option
@pass_session
def backup(session: Session, directory: Path) -> None:
    """Write the whole log to DIRECTORY, which must be empty or not there.

    A service may run meanwhile. The log is all there is to keep: checkpoints are made
    from it. With nats.url it takes an operator's credentials.
    """
    configure_logs(session.config.log_format, "warning")
    manifest = asyncio.run(_backed_up(session.config, directory))
    answer = {"directory": str(directory), **_plain(manifest)}
    output.emit(session, answer, _backup_lines)


@click.command()
@click.argument("directory", type=DIRECTORY)
@config_option
@log_options
@output_option
@pass_session
def restore(session: Session, directory: Path) -> None:
    """Make the log anew from a backup in DIRECTORY, where there is none.

    Every message keeps its sequence and time, so it folds to the same fingerprint; but
    to the broker it is a new log, so it is another epoch: docs/operations.md says what
    that means. Without nats.url that is the log of data_dir, which no service may use
    meanwhile.
    """
    configure_logs(session.config.log_format, "warning")
    manifest = read_backup(directory)
    config = session.config
    if not config.nats.url and stores.lock_holder(config.data_dir / "lock") is not None:
        remedy = "a service runs on it: stop it, or give another data_dir"
        raise InputError("data_dir", str(config.data_dir), remedy)
    status = asyncio.run(_restored(config, directory, manifest))
    answer = {
        "epoch": status.epoch,
        "former_epoch": manifest.epoch,
        "first_sequence": status.first_sequence,
        "last_sequence": status.last_sequence,
    }
    output.emit(session, answer, _restore_lines)


async def _backed_up(config: Config, directory: Path) -> Manifest:
    async with stores.open_snapshots(config) as snapshots:
        return await write_backup(snapshots, directory, __version__)


async def _restored(config: Config, directory: Path, manifest: Manifest) -> LogStatus:
    async with stores.open_snapshots(config) as snapshots:
        return await give_back(snapshots, directory, manifest)


def _plain(manifest: Manifest) -> dict[str, object]:
    found = asdict(manifest)
    del found["description"]
    return found


def _backup_lines(answer: Answer) -> Iterator[RenderableType]:
    yield Text(
        f"{answer['directory']}: {answer['message_count']} messages up to"
        f" {answer['last_sequence']}, epoch {answer['epoch']},"
        f" {output.size(answer['size_bytes'])}"
    )


def _restore_lines(answer: Answer) -> Iterator[RenderableType]:
    yield Text(
        f"the log is there again: {answer['first_sequence']} to"
        f" {answer['last_sequence']}, epoch {answer['epoch']}"
    )
    if answer["former_epoch"] != answer["epoch"]:
        other = f"it was epoch {answer['former_epoch']}: services fold it anew"
        yield Text(other, style="yellow")
