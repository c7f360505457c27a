"""The watchdog in real processes, since what it does is to end one.

Functions that a test runs in a process of its own come first.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from placement.runtime.watchdog import BLOCKED_EXIT_CODE, LAST_WORD_SECONDS, watchdog

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 0.6
BOMB_SECONDS = 30.0
CHILD_SECONDS_MAX = 60


def ready() -> None:
    """Tell the parent that the loop runs."""
    print("ready", flush=True)  # noqa: T201 - the parent reads it


async def sleep_bomb(note: Path) -> None:
    """Run for a while, then block the loop as a message that never ends does."""
    with watchdog(LIMIT_SECONDS, lambda: write(note)):
        await asyncio.sleep(2 * LIMIT_SECONDS)
        ready()
        fold_for_ever()


async def hanging_word(note: Path) -> None:
    """Block the loop, and hang in the last word too."""
    del note
    with watchdog(LIMIT_SECONDS, lambda: time.sleep(BOMB_SECONDS)):
        ready()
        fold_for_ever()


async def raising_word(note: Path) -> None:
    """Block the loop, and fail in the last word."""
    with watchdog(LIMIT_SECONDS, lambda: fail(note)):
        ready()
        fold_for_ever()


async def busy(note: Path) -> None:
    """Work in slices shorter than the limit, for several limits; end in good order."""
    del note
    ready()
    with watchdog(LIMIT_SECONDS, lambda: None):
        for _ in range(12):
            time.sleep(LIMIT_SECONDS / 4)  # noqa: ASYNC251 - that is the work
            await asyncio.sleep(0)


async def wait(note: Path) -> None:
    """Be there until told to end, and end in good order."""
    del note
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    with watchdog(LIMIT_SECONDS, lambda: None):
        ready()
        await told.wait()


async def unwatched(note: Path) -> None:
    """Block the loop for longer than any limit; nobody minds."""
    del note
    ready()
    with watchdog(0, lambda: None):
        time.sleep(3 * LIMIT_SECONDS)  # noqa: ASYNC251 - that is the test


def write(note: Path) -> None:
    """Leave a last word."""
    note.write_text("the last word")


def fail(note: Path) -> None:
    """Try to leave a last word where nothing can be written."""
    (note / "no such directory").write_text("the last word")


def fold_for_ever() -> None:
    """Block the thread, by a name to be found in the dumped stack."""
    time.sleep(BOMB_SECONDS)


def child(function: str, note: Path) -> subprocess.Popen[str]:
    """Run *function* of this module in a process of its own; it is ready."""
    code = (
        "import asyncio, pathlib, sys\n"
        f"from tests.integration.test_watchdog import {function}\n"
        f"asyncio.run({function}(pathlib.Path(sys.argv[1])))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(note)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def test_blocked_loop_ends_the_process(tmp_path: Path) -> None:
    """The end has its own exit code, every stack, and a last word; within seconds."""
    note = tmp_path / "note"

    with child("sleep_bomb", note) as process:
        began = time.monotonic()
        _, error = process.communicate(timeout=CHILD_SECONDS_MAX)
        took_s = time.monotonic() - began

    assert process.returncode == BLOCKED_EXIT_CODE, error
    assert took_s < BOMB_SECONDS / 2
    assert '"event": "loop_blocked"' in error
    assert "in fold_for_ever" in error
    assert note.read_text() == "the last word"


@pytest.mark.parametrize("function", ["hanging_word", "raising_word"])
def test_last_word_cannot_keep_the_process(tmp_path: Path, function: str) -> None:
    """A disk that hangs or is gone must not keep a blocked process alive."""
    with child(function, tmp_path / "note") as process:
        began = time.monotonic()
        _, error = process.communicate(timeout=CHILD_SECONDS_MAX)
        took_s = time.monotonic() - began

    assert process.returncode == BLOCKED_EXIT_CODE, error
    assert took_s < BOMB_SECONDS / 2 + LAST_WORD_SECONDS


@pytest.mark.parametrize("function", ["busy", "unwatched"])
def test_working_loop_is_left_alone(tmp_path: Path, function: str) -> None:
    """Slow is not blocked, and a limit of 0 watches nothing."""
    with child(function, tmp_path / "note") as process:
        _, error = process.communicate(timeout=CHILD_SECONDS_MAX)

    assert process.returncode == 0, error


def test_suspended_process_is_not_shot(tmp_path: Path) -> None:
    """Stopped for several limits, three times, as a laptop that sleeps: it goes on."""
    with child("wait", tmp_path / "note") as process:
        for _ in range(3):
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(3 * LIMIT_SECONDS)
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(LIMIT_SECONDS / 2)
        process.terminate()
        _, error = process.communicate(timeout=CHILD_SECONDS_MAX)

    assert process.returncode == 0, error
