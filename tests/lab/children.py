"""The processes that the lab starts: begun, waited for, stopped, paused, killed."""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.02
LOG_SHOWN: Final = 2_000


class LabError(Exception):
    """Something of the lab did not do what it is for; the message says what."""


@dataclass
class Child:
    """One process, its output in *log*."""

    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    _process: subprocess.Popen[bytes] | None = None
    _logged_before: int = 0

    def start(self) -> None:
        """Run it, and return at once."""
        self._logged_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                cwd=self.directory,
            )

    async def said(self, pattern: str, seconds: float = READY_SECONDS) -> re.Match[str]:
        """Return what its output had of *pattern* since it started; else LabError."""
        ends = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.output())
            if found:
                return found
            if not self.runs or time.monotonic() > ends:
                message = f"{self.log.stem} did not say {pattern!r}: {self.end()}"
                raise LabError(message)
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """Return what it printed since it was last started."""
        with self.log.open("rb") as file:
            file.seek(self._logged_before)
            return file.read().decode(errors="replace")

    def end(self) -> str:
        """Return the end of its output, for a message."""
        return self.output()[-LOG_SHOWN:]

    def kill(self) -> None:
        """End it without a chance to do anything more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order; kill it if that takes too long."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let it answer nothing, while its port still accepts: it hangs."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._send(signal.SIGCONT)
        self._send(number)
        if self._process is None:
            return
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


@dataclass
class Children:
    """All that run; ended together, the last started first."""

    logs: Path
    _all: list[Child] = field(default_factory=list)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Return a new process that runs."""
        child = Child(command, self.logs / f"{name}.log", environment or {})
        self._all.append(child)
        child.start()
        return child

    def stop(self) -> None:
        """End all of them."""
        for child in reversed(self._all):
            child.stop()
        self._all.clear()
