"""A program that is forked is like one that began anew, as far as tests can see."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import programs
from tests.ports import free_port
from tests.programs import Program, start_placement

WAIT_SECONDS = 60.0


@pytest.fixture(params=[False, True], ids=["forked", "anew"], autouse=True)
def _begun(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LONG", request.param)


def begun(directory: Path, *arguments: str, **settings: str) -> Program:
    """Run ``placement`` with its output in a file there."""
    told = {f"PLACEMENT_{name}": value for name, value in settings.items()}
    with (directory / "output").open("ab") as output:
        return start_placement(arguments, told, directory, output)


def test_program_ends_with_its_code_and_says_why(tmp_path: Path) -> None:
    """Its settings are its environment, and its output is appended to the file."""
    (tmp_path / "output").write_text("before\n")

    program = begun(tmp_path, "config", "check", LISTEN="nowhere")

    assert program.wait(WAIT_SECONDS) == 2
    assert program.poll() == 2
    first, *said = (tmp_path / "output").read_text().splitlines()
    assert first == "before"
    assert any("nowhere" in line for line in said)


def test_program_has_its_own_directory_and_environment(tmp_path: Path) -> None:
    """And no variable of another program that was run before it."""
    (tmp_path / "placement.toml").write_text(f'listen = "127.0.0.1:{free_port()}"\n')
    begun(tmp_path, "config", "check", LOG_LEVEL="wrong").wait(WAIT_SECONDS)
    (tmp_path / "output").unlink()

    program = begun(tmp_path, "config", "check", "--config", "placement.toml")

    assert program.wait(WAIT_SECONDS) == 0, (tmp_path / "output").read_text()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 0), (signal.SIGINT, 0)]
)
def test_program_that_runs_is_ended_by_signals(
    tmp_path: Path, number: int, code: int
) -> None:
    """It is a process of its own; a service ends well when asked to."""
    address = f"127.0.0.1:{free_port()}"
    program = begun(tmp_path, "serve", "--listen", address, CONSOLE_LISTEN="off")
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.0)
    assert program.poll() is None
    wait_until_said(tmp_path / "output", "service_started")
    os.kill(program.pid, 0)

    program.send_signal(number)

    assert program.wait(WAIT_SECONDS) == code, (tmp_path / "output").read_text()
    program.send_signal(signal.SIGKILL)  # nobody is hit any more


def wait_until_said(file: Path, word: str) -> None:
    """Return once a line of *file* holds *word*."""
    for _ in range(int(WAIT_SECONDS / programs.POLL_SECONDS)):
        if word in file.read_text():
            return
        time.sleep(programs.POLL_SECONDS)
    raise AssertionError(file.read_text())
