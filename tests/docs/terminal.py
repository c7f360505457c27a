"""A terminal that types what a page says, in a folder of its own.

What a page calls by a well-known name is called by another one here (ports, folders),
by rules that each scenario lists. What runs on is left running until the end.
"""

import os
import re
import signal
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.documented import ROOT, Block, Command, commands
from tests.ports import free_port

READY_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.05
_SERVE: Final = re.compile(r"\bplacement serve\b")
_AGENT: Final = re.compile(r"\bplacement agent\b")
_REGISTRY: Final = re.compile(r"\bdocker-registry serve (\S+)")
_LISTEN: Final = re.compile(r"--listen (\S+)")
_CONFIG: Final = re.compile(r"--config (\S+)")
_ADDRESS: Final = re.compile(r"addr: (\S+)")
_ANOTHERS: Final = re.compile(r"[0-9a-f]{8,}|(?<=\d )(?:m?s|[kMG]B|bytes)\b")
"""Of what is printed, what another run says in other words: digests and units."""
_WORD: Final = re.compile(r"[^\s\d…]*[a-z]{3}[^\s\d…]*")

Ready = Callable[[], bool]


@dataclass
class Terminal:
    """Types commands in *directory*; what they are told of the outside is *rules*."""

    directory: Path
    rules: dict[str, str] = field(default_factory=dict)
    """What is typed instead of what stands in the page."""
    listen: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    """Where `placement serve` answers."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each command took, those that run on until they were ready."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def adapted(self, text: str) -> str:
        """Return *text* by the rules, in their order."""
        for old, new in self.rules.items():
            text = text.replace(old, new)
        return text

    def write(self, block: Block) -> None:
        """Write the file that a block is."""
        (self.directory / block.file).write_text(self.adapted(block.text))

    def run(self, block: Block) -> None:
        """Type a block's commands; each ends well, and prints what the page says."""
        for command in commands(block):
            began = time.monotonic()
            text = self.adapted(command.text)
            if not self.serve(text):
                self._check(command, self.typed(text))
            self.seconds[command.text] = time.monotonic() - began

    def typed(self, text: str) -> str:
        """Return what a command prints; it ends with 0."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{self.logs()}"
        return done.stdout

    def _start(self, text: str, name: str) -> None:
        """Start what runs on, instead of an earlier one of the same *name*."""
        if name in self._running:
            _ended(self._running[name])
        with (self.directory / f"{len(self.seconds)}.log").open("wb") as output:
            self._running[name] = subprocess.Popen(
                ["bash", "-c", f"exec {text}"],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def close(self) -> None:
        """End all that runs, the last one first."""
        for process in reversed(self._running.values()):
            _ended(process)

    def logs(self) -> str:
        """Return the ends of what the running programs said."""
        found = sorted(self.directory.glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in found)

    @property
    def _environment(self) -> dict[str, str]:
        told = {
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "PLACEMENT_LISTEN": self.listen,
            "PLACEMENT_CONSOLE_LISTEN": "off",
            "PLACEMENT_LIMITS__QUEUE_MS": "0",  # tests side by side all wait
        }
        return {**os.environ, **told, **self.settings}

    def serve(self, text: str) -> bool:
        """Start *text* and wait until it answers, if it is what runs on."""
        if _SERVE.search(text):
            self._start(text, "service")
            self._until(lambda: _serves(self.listen))
        elif _AGENT.search(text):
            address = self._agent_address(text)
            self._start(text, f"agent {address}")
            self._until(lambda: _answers(f"http://{address}/healthz"))
        elif found := _REGISTRY.search(text):
            address = self._registry_address(found[1])
            self._start(text, f"registry {address}")
            self._until(lambda: _answers(f"http://{address}/v2/"))
        else:
            return False
        return True

    def _agent_address(self, text: str) -> str:
        if found := _LISTEN.search(text):
            return found[1]
        config = _CONFIG.search(text)
        assert config is not None, f"where does it listen? {text}"
        told = tomllib.loads((self.directory / config[1]).read_text())
        return str(told["agent"]["listen"])

    def _registry_address(self, file: str) -> str:
        found = _ADDRESS.search((self.directory / file).read_text())
        assert found is not None, file
        return found[1]

    def _until(self, ready: Ready) -> None:
        ends = time.monotonic() + READY_SECONDS
        while not ready():
            ended = [p for p in self._running.values() if p.poll() is not None]
            assert not ended, self.logs()
            assert time.monotonic() < ends, self.logs()
            time.sleep(POLL_SECONDS)

    def _check(self, command: Command, printed: str) -> None:
        """Assert that each word which the page shows is printed.

        Numbers, times and digests are another run's, and lines are as wide as the
        terminal.
        """
        for line in command.printed:
            for word in _WORD.findall(_ANOTHERS.sub("…", self.adapted(line))):
                found = word.strip("-:.,") in printed
                assert found, f"{command.text}: no {word!r} in\n{printed}"


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own loopback URL
            return True
    except OSError:
        return False


def _serves(target: str) -> bool:
    """Say whether a service has caught up with its log."""
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)  # type: ignore[attr-defined]  # its stubs lack it
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@contextmanager
def terminal(directory: Path, **settings: str) -> Iterator[Terminal]:
    """Give a terminal in *directory*, which is made; all that it started is ended."""
    directory.mkdir(parents=True, exist_ok=True)
    opened = Terminal(directory, settings=settings)
    try:
        yield opened
    finally:
        opened.close()
