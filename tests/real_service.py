"""The real program for tests: started, asked, killed and started again."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.ports import free_port
from tests.programs import Program, start_placement

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.02

PLANS = "PLACEMENT_PLANNER__ENABLED"
QUEUE = "PLACEMENT_LIMITS__QUEUE_MS"
CONSOLE = "PLACEMENT_CONSOLE_LISTEN"


@dataclass
class RealService:
    """One ``placement serve``, with its files under *directory*."""

    directory: Path
    arguments: Sequence[str] = ()
    """Further flags of ``serve``."""
    settings: dict[str, str] = field(default_factory=dict)
    """Environment variables of the configuration."""
    port: int = 0
    prefix: Sequence[str] = ()
    """A command that runs it in its own place, such as a tracer."""
    plans: bool = False
    """Whether it decides and ticks: else the log holds what a test stored, no more."""
    sheds: bool = False
    """Whether it sends callers away: where tests run side by side they all wait."""
    _process: Program | None = None

    @property
    def target(self) -> str:
        """Where it answers."""
        return f"127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run it, on the port of the first time, and return at once."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.port:
            self.port = free_port()
        arguments = [
            *("serve", "--data-dir", str(self.data_dir), "--listen", self.target),
            *("--log-format", "json", *self.arguments),
        ]
        settings = {**self._told, **self.settings}
        with (self.directory / "service.log").open("ab") as output:
            self._process = start_placement(
                arguments, settings, self.directory, output, self.prefix
            )

    @property
    def _told(self) -> dict[str, str]:
        told = {PLANS: str(self.plans).lower(), CONSOLE: "off"}
        return told if self.sheds else told | {QUEUE: "0"}

    def wait_until_serving(self) -> None:
        """Return once it has caught up with its log."""
        ends = time.monotonic() + DEADLINE_SECONDS
        with grpc.insecure_channel(self.target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < ends:
                assert self.runs, self.output()
                try:
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)  # type: ignore[attr-defined]  # its stubs lack it
                except grpc.RpcError:
                    time.sleep(POLL_SECONDS)
                    continue
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                time.sleep(POLL_SECONDS)
        raise AssertionError(self.output())

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds_max: float = DEADLINE_SECONDS) -> int:
        """Return its exit code, once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(seconds_max)

    def kill(self) -> None:
        """End it without a chance to save anything."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(DEADLINE_SECONDS)

    def output(self) -> str:
        """Return all that it logged."""
        return (self.directory / "service.log").read_text()


@contextmanager
def running(service: RealService) -> Iterator[RealService]:
    """Run *service* until it serves, and end it afterwards."""
    service.start()
    try:
        service.wait_until_serving()
        yield service
    finally:
        service.kill()
