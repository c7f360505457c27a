"""What a supervisor hears: ready, alive while the loop runs, and how it is."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from placement.config import supervisor
from placement.supervised import Supervisor, supervised


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """Give a socket as systemd has one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)
        yield listening


def words(heard: socket.socket) -> list[list[str]]:
    """Return all that came, by message."""
    found = []
    while True:
        try:
            found.append(heard.recv(4_096).decode().splitlines())
        except BlockingIOError:
            return found


async def test_ready_alive_and_stopping_are_told(heard: socket.socket) -> None:
    """The pulse comes from the loop, three times within the limit."""
    ours = Supervisor(heard.getsockname(), watchdog_seconds=0.3)

    async with supervised(ours, lambda: "LIVE\nat 7"):
        await asyncio.sleep(0.25)

    first, *pulses, last = words(heard)
    assert first == ["READY=1", "STATUS=LIVE at 7"]
    assert len(pulses) >= 2
    assert all(pulse == ["WATCHDOG=1", "STATUS=LIVE at 7"] for pulse in pulses)
    assert last == ["STOPPING=1", "STATUS=stopping"]


async def test_loop_that_stands_still_has_no_pulse(heard: socket.socket) -> None:
    """So the supervisor ends it, though its threads run on."""
    ours = Supervisor(heard.getsockname(), watchdog_seconds=0.03)

    async with supervised(ours, lambda: "LIVE"):
        await asyncio.sleep(0)
        words(heard)
        await asyncio.to_thread(lambda: None)  # the loop runs: it may pulse
        words(heard)
        blocked = asyncio.get_running_loop().time() + 0.2
        while asyncio.get_running_loop().time() < blocked:
            pass
        assert words(heard) == []


async def test_nobody_who_listens_is_no_error(tmp_path: Path) -> None:
    """A supervisor may be gone, full, or never have been."""
    for address in ("", str(tmp_path / "gone"), "@placement-nobody"):
        async with supervised(Supervisor(address), lambda: "LIVE"):
            await asyncio.sleep(0)


async def test_pulse_outlives_a_moment_without_files(
    heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that may open none for a while is alive, and is told of afterwards."""
    ours = Supervisor(heard.getsockname(), watchdog_seconds=0.03)
    real, refused = socket.socket, 0

    def none_left(*_said: object) -> None:
        nonlocal refused
        refused += 1
        raise OSError(errno.EMFILE, "too many open files")

    async with supervised(ours, lambda: "LIVE"):
        await asyncio.sleep(0)
        monkeypatch.setattr(socket, "socket", none_left)
        async with asyncio.timeout(20):
            while not refused:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        monkeypatch.setattr(socket, "socket", real)
        words(heard)
        async with asyncio.timeout(20):
            while not words(heard):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(("whose", "seconds"), [(None, 2.5), ("ours", 2.5), ("1", 0.0)])
def test_supervisor_is_who_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, whose: str | None, seconds: float
) -> None:
    """A watchdog that is meant for another process is none of ours."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("WATCHDOG_USEC", "2500000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if whose is not None:
        process = str(os.getpid()) if whose == "ours" else whose
        monkeypatch.setenv("WATCHDOG_PID", process)

    assert supervisor() == Supervisor("/run/x", seconds)
