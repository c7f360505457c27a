"""Programs under test: ``placement`` as a process, started, watched and ended."""

import functools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from placement.cli.main import NO_OLDER_TLS
from tests.fork_server import MESSAGE_BYTES

LONG: Final = bool(os.environ.get("PLACEMENT_LONG"))
OURS: Final = "PLACEMENT_"
POLL_SECONDS: Final = 0.02
START_SECONDS: Final = 60.0
READ_AT_IMPORT: Final = {
    "GRPC_SSL_CIPHER_SUITES": NO_OLDER_TLS,
    "GRPC_VERBOSITY": "ERROR",
}
"""What the program sets before it loads gRPC."""


class Program(Protocol):
    """A process; subprocess.Popen is one."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal's; None: it runs."""

    def wait(self, timeout: float) -> int:
        """Return its exit code once it has ended; raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""


def start_placement(
    arguments: Sequence[str],
    settings: Mapping[str, str],
    directory: Path,
    output: BinaryIO,
    prefix: Sequence[str] = (),
) -> Program:
    """Run ``placement`` in *directory*, and return at once.

    *settings* are environment variables, and *prefix* is a command that runs it in its
    own place. It is forked from a process that has loaded it, which saves two seconds
    of a processor; it begins anew in the long tests, with a prefix, and where settings
    are of others, which may be read while something is loaded.
    """
    environment = {**os.environ, **settings}
    if LONG or prefix or not all(name.startswith(OURS) for name in settings):
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "placement", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=directory,
        )
    asked = {
        "arguments": list(arguments),
        "environment": environment,
        "directory": str(directory.absolute()),
    }
    return fork_server().start(asked, output)


@functools.cache
def fork_server() -> "ForkServer":
    """Return this worker's own, which ends with it."""
    return ForkServer()


class ForkServer:
    """The other side of ``tests.fork_server``."""

    def __init__(self) -> None:
        """Run it."""
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}
        self._started: list[int] = []
        self._socket, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **READ_AT_IMPORT},
                cwd=Path(__file__).parents[1],
            )

    def start(self, asked: Mapping[str, object], output: BinaryIO) -> Program:
        """Run what is *asked* for, its output at the end of a file."""
        with self._lock:
            message = json.dumps(asked).encode()
            socket.send_fds(self._socket, [message], [output.fileno()])
            while not self._started:
                assert self._hear(START_SECONDS), "the fork server does not answer"
            return _Forked(self, self._started.pop())

    def code(self, pid: int) -> int | None:
        """Return a program's exit code, or None while it runs."""
        with self._lock:
            while self._hear(0.0):
                pass
            return self._codes.get(pid)

    def _hear(self, seconds: float) -> bool:
        """Take one message; return whether there was any within so long."""
        self._socket.settimeout(seconds)
        try:
            message = self._socket.recv(MESSAGE_BYTES)
        except (BlockingIOError, TimeoutError):
            return False
        assert message, f"the fork server ended: {self._process.wait(START_SECONDS)}"
        told = json.loads(message)
        if "started" in told:
            self._started.append(told["started"])
        else:
            self._codes[told["ended"]] = told["code"]
        return True


class _Forked:
    """A program that was forked."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self._code: int | None = None
        self.pid = pid

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._server.code(self.pid)
        return self._code

    def wait(self, timeout: float) -> int:
        ends = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired("placement", timeout)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)
