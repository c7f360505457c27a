"""Our own nats-server: its life, its secrets, and what happens when anybody dies."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from placement.adapters.broker.child import NatsChild, attach
from placement.adapters.broker.directory import NatsDirectory
from placement.adapters.jetstream.log import JetStreamLog
from placement.ports import LogConfigurationError
from tests.contract.event_logs import SUBJECT, append_until_stored, fill, reading
from tests.nats_server import newest_server

RESUME_SECONDS_MAX = 3.0
GONE_SECONDS_MAX = 5.0
POLL_SECONDS = 0.02

PARENT = """
import asyncio, pathlib, sys
from placement.adapters.broker.child import NatsChild

async def main():
    await NatsChild.start(pathlib.Path(sys.argv[1]))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[NatsChild]:
    """Yield a running child on an empty data directory."""
    started = await NatsChild.start(tmp_path)
    yield started
    await started.stop()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that has nothing to do with us."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def running(process_id: int) -> bool:
    """Return whether the process is there and not merely waiting to be reaped."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return state[0] != "Z"


def wait_until_gone(process_id: int) -> None:
    """Return once the process is gone, and fail after GONE_SECONDS_MAX."""
    ends = time.monotonic() + GONE_SECONDS_MAX
    while running(process_id):
        assert time.monotonic() < ends
        time.sleep(POLL_SECONDS)


def arguments_of(process_id: int) -> bytes:
    """Return what every user of the machine can read about a process."""
    return Path(f"/proc/{process_id}/cmdline").read_bytes()


def killed_service(data_directory: Path) -> int:
    """Return the process id of the server of a service that started and was killed."""
    command = [sys.executable, "-c", PARENT, str(data_directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            assert b"ready\n" in iter(parent.stdout.readline, b"")
            process_id = NatsDirectory.of(data_directory).child()
        finally:
            parent.kill()
    assert process_id is not None
    return process_id


async def test_child_serves_a_log(child: NatsChild) -> None:
    """What is appended through the child's settings is stored."""
    log = await JetStreamLog.connect(child.settings)

    appended = await log.append(SUBJECT, b"x", "m0")

    assert appended.sequence == 1
    await log.close()


async def test_log_outlives_the_child(tmp_path: Path) -> None:
    """Stopped and started again, the log is the same one, with its messages."""
    epochs = []
    for expected_sequence in (1, 2):
        child = await NatsChild.start(tmp_path)
        log = await JetStreamLog.connect(child.settings)
        appended = await log.append(SUBJECT, b"x", f"m{expected_sequence}")
        assert appended.sequence == expected_sequence
        epochs.append(appended.epoch)
        await log.close()
        await child.stop()

    assert epochs[0] == epochs[1]


async def test_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    """After stop no process runs, and nobody is told of an address."""
    child = await NatsChild.start(tmp_path)
    process_id = child.process_id

    await child.stop()

    assert not running(process_id)
    assert attach(tmp_path) is None
    await child.stop()


async def test_secrets_are_for_the_user_only(child: NatsChild, tmp_path: Path) -> None:
    """No file but ours to read, and no password among the arguments."""
    password = child.settings.password
    assert password is not None
    root = tmp_path / "nats"

    for name in ("server.conf", "password", "url"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert password.encode() not in arguments_of(child.process_id)
    assert password not in (root / "url").read_text()
    assert password not in repr(child.settings)


async def test_server_listens_on_loopback_with_a_password(child: NatsChild) -> None:
    """Who has no password is not let in."""
    (server,) = child.settings.servers
    port = int(server.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    greeting = await reader.readline()
    writer.write(b"CONNECT {}\r\nPING\r\n")
    answer = await reader.readline()

    assert b'"auth_required":true' in greeting
    assert b"Authorization Violation" in answer
    writer.close()
    await writer.wait_closed()


async def test_attach_finds_a_running_service(child: NatsChild, tmp_path: Path) -> None:
    """The command line reaches the log of the service on a data directory."""
    settings = attach(tmp_path)

    assert settings == child.settings
    log = await JetStreamLog.connect(settings)
    assert (await log.status()).last_sequence == 0
    await log.close()


def test_attach_finds_nothing_where_nothing_runs(tmp_path: Path) -> None:
    """An empty data directory is no service."""
    assert attach(tmp_path) is None


async def test_killed_child_is_started_again(child: NatsChild) -> None:
    """On the same port, so that a reader goes on within three seconds."""
    settings, first_id = child.settings, child.process_id
    log = await JetStreamLog.connect(settings)
    await fill(log, 3)
    async with reading(log, 0) as reader:
        await reader.take(3)

        os.kill(first_id, signal.SIGKILL)
        died = time.monotonic()
        await append_until_stored(log, "m3")
        messages = await reader.take(1)

    assert [message.sequence for message in messages] == [4]
    assert time.monotonic() - died < RESUME_SECONDS_MAX
    assert child.settings == settings
    assert child.process_id != first_id
    await log.close()


async def test_second_service_on_a_data_directory_is_refused(
    child: NatsChild, tmp_path: Path
) -> None:
    """The error names who owns the directory, and the remedy; the first goes on."""
    with pytest.raises(LogConfigurationError, match=f"process {os.getpid()}") as error:
        await NatsChild.start(tmp_path)

    assert "another data_dir" in str(error.value)
    assert attach(tmp_path) == child.settings
    log = await JetStreamLog.connect(child.settings)
    await log.close()


async def test_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    """A service that is killed takes its server with it, and the next one starts."""
    server_id = killed_service(tmp_path)

    wait_until_gone(server_id)
    assert attach(tmp_path) is None
    successor = await NatsChild.start(tmp_path)
    await successor.stop()


async def test_stale_child_is_stopped_first(tmp_path: Path) -> None:
    """A server of ours that nobody watches is ended before another one starts."""
    child = await NatsChild.start(tmp_path)
    await child.stop()
    directory = NatsDirectory.of(tmp_path)
    stale = await asyncio.create_subprocess_exec(
        newest_server(), "-c", directory.configuration_file
    )
    directory.process_file.write_text(str(stale.pid))

    child = await NatsChild.start(tmp_path)

    assert await stale.wait() is not None
    assert child.process_id != stale.pid
    await child.stop()


async def test_foreign_process_is_left_alone(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """A process id that belongs to somebody else by now is not ours to end."""
    directory = NatsDirectory.of(tmp_path)
    directory.root.mkdir()
    directory.process_file.write_text(str(sleeper.pid))

    assert attach(tmp_path) is None
    child = await NatsChild.start(tmp_path)

    assert sleeper.poll() is None
    await child.stop()


async def test_server_that_cannot_start_explains_itself(tmp_path: Path) -> None:
    """A port that is taken is named, and the directory is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(LogConfigurationError, match="address already in use"):
            await NatsChild.start(tmp_path, port)

    child = await NatsChild.start(tmp_path, port)
    assert child.settings.servers == (f"nats://127.0.0.1:{port}",)
    await child.stop()


async def test_unusable_data_directory_is_named(tmp_path: Path) -> None:
    """A file where the directory should be is a matter of configuration."""
    (tmp_path / "file").write_text("")

    with pytest.raises(LogConfigurationError, match="cannot be used"):
        await NatsChild.start(tmp_path / "file")
