"""The log as a directory: backed up beside whoever uses it, destroyed, made anew."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from placement import stores
from placement.cli.main import main
from placement.config import Config
from placement.ports import LogStatus
from placement.runtime.replay import replay
from tests.golden_logs import FOLDER, read_log
from tests.nats_server import NatsServer

COUNT = 100
SUBJECTS = ("placement.events.v1.", "placement.decisions.v1.")
LOG = FOLDER / "2-every-decision.jsonl"


def run(*arguments: str) -> Result:
    """Return what a command says."""
    return CliRunner().invoke(main, [*arguments, "-o", "json"], catch_exceptions=False)


def answered(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return its answer, decoded."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def write_log(config: Config) -> tuple[LogStatus, str]:
    """Store a golden log; return where it stands and what it folds to."""

    async def write() -> tuple[LogStatus, str]:
        _, messages = read_log(LOG)
        async with stores.open_log(config, may_start=True) as log:
            for message in messages[:COUNT]:
                if not message.subject.startswith(SUBJECTS):
                    continue  # of another stream
                await log.append(message.subject, message.body, str(message.sequence))
            return await log.status(), (await replay(log)).fingerprint

    return asyncio.run(write())


def found_in(config: Config) -> tuple[LogStatus, str]:
    """Return where a log stands, and what it folds to."""

    async def read() -> tuple[LogStatus, str]:
        async with stores.open_log(config, may_start=True) as log:
            return await log.status(), (await replay(log)).fingerprint

    return asyncio.run(read())


def test_log_that_was_destroyed_is_there_again(tmp_path: Path) -> None:
    """It has its sequences and times, so it folds to the same; its epoch is another."""
    config = Config(data_dir=tmp_path / "data")
    before = write_log(config)
    kept = tmp_path / "kept"
    data = ("--data-dir", str(config.data_dir))

    saved = answered("backup", str(kept), *data)
    refused = run("restore", str(kept), *data)
    shutil.rmtree(config.data_dir)
    restored = answered("restore", str(kept), *data)

    assert saved["last_sequence"] == before[0].last_sequence
    assert refused.exit_code == 1, refused.output
    assert "LOG_CONFIGURATION" in refused.output, "what is there is never replaced"
    assert restored["former_epoch"] == saved["epoch"] == before[0].epoch
    after = found_in(config)
    assert after[0].epoch == restored["epoch"] != before[0].epoch
    assert after[0].last_sequence == before[0].last_sequence
    assert after[1] == before[1], "the same fingerprint"
    assert (kept / "stream.snapshot").stat().st_mode & 0o077 == 0


def test_backup_that_is_not_whole_is_refused(tmp_path: Path, nats: NatsServer) -> None:
    """A flipped bit, a file that is cut short or not there: nothing is restored."""
    config = Config.model_validate({"nats": {"url": nats.url}})
    write_log(config)
    kept = tmp_path / "kept"
    answered("backup", str(kept), "--nats-url", nats.url)
    snapshot = kept / "stream.snapshot"
    whole = snapshot.read_bytes()

    again = run("backup", str(kept), "--nats-url", nats.url)
    outcomes = []
    for damaged in (whole[:-1], whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]):
        snapshot.write_bytes(damaged)
        outcomes.append(run("restore", str(kept), "--nats-url", nats.url))
    (kept / "stream.json").unlink()
    outcomes.append(run("restore", str(kept), "--nats-url", nats.url))

    assert again.exit_code == 2
    assert "nothing is overwritten" in again.output
    assert [one.exit_code for one in outcomes] == [2, 2, 2]


def test_backup_of_a_broker_that_is_no_child_of_ours(
    tmp_path: Path, nats: NatsServer
) -> None:
    """It is taken while somebody else uses it, and restored to the same server."""
    config = Config.model_validate({"nats": {"url": nats.url}})
    before = write_log(config)
    kept = tmp_path / "kept"
    answered("backup", str(kept), "--nats-url", nats.url)
    nats.kill()
    shutil.rmtree(nats.directory / "store", ignore_errors=True)
    nats.start()

    restored = run("restore", str(kept), "--nats-url", nats.url)

    assert restored.exit_code == 0, restored.output
    assert found_in(config)[1] == before[1]


def test_copy_of_a_stopped_directory_is_the_same_log(tmp_path: Path) -> None:
    """Files that are copied while nobody writes keep the epoch, too."""
    config = Config(data_dir=tmp_path / "data")
    before = write_log(config)
    shutil.copytree(config.data_dir, tmp_path / "kept")
    shutil.rmtree(config.data_dir)
    shutil.copytree(tmp_path / "kept", config.data_dir)

    assert found_in(config) == before
