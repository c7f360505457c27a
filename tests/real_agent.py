"""The real agent for tests: started, posted to, killed and started again."""

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port
from tests.programs import Program, start_placement
from tests.real_service import DEADLINE_SECONDS, POLL_SECONDS


@dataclass
class RealAgent:
    """One ``placement agent``, with its files under *directory*."""

    directory: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the configuration, without PLACEMENT_."""
    port: int = 0
    region: str = "iad"
    _process: Program | None = None

    @property
    def url(self) -> str:
        """Where its door is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def notifications(self) -> str:
        """Where Distribution posts."""
        return f"{self.url}/v1/notifications/distribution"

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, **settings: str) -> None:
        """Run it, on the port of the first time, and return at once."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        arguments = [
            *("agent", "--region", self.region),
            *("--listen", f"127.0.0.1:{self.port}", "--log-format", "json"),
        ]
        told = {"AGENT__STATE_DIR": "state", **self.settings, **settings}
        environment = {f"PLACEMENT_{name}": value for name, value in told.items()}
        with (self.directory / "agent.log").open("ab") as output:
            self._process = start_placement(
                arguments, environment, self.directory, output
            )

    async def ready(self) -> None:
        """Return once its door is open."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                assert self.runs, self.output()
                try:
                    await self.health()
                except httpx.TransportError:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    return

    async def health(self) -> dict[str, Any]:
        """Return what it says of itself."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.url}/healthz", timeout=5)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    async def until(self, **wanted: object) -> dict[str, Any]:
        """Return its health once it says all that is *wanted*."""
        ends = time.monotonic() + DEADLINE_SECONDS
        while True:
            found = await self.health()
            if wanted.items() <= found.items():
                return found
            assert time.monotonic() < ends, f"{found}\n{self.output()}"
            await asyncio.sleep(POLL_SECONDS)

    def kill(self) -> int:
        """End it without a chance to save anything; returns its exit code."""
        return self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(DEADLINE_SECONDS)

    def output(self) -> str:
        """Return all that it logged."""
        return (self.directory / "agent.log").read_text()
