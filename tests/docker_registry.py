"""A real docker-registry for tests, which can be killed and brought back."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from placement.agent.registry.settings import RegistrySettings
from placement.core.topology import Region
from tests.ports import free_port

BINARY: Final = shutil.which("docker-registry")
OPENSSL: Final = shutil.which("openssl")
DEADLINE_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.01
_LISTENS: Final = re.compile(r"listening on ([\d.]+:\d+)")

needs_registry: Final = pytest.mark.skipif(
    BINARY is None,
    reason="docker-registry is not installed: tools/setup --checks does it",
)
needs_openssl: Final = pytest.mark.skipif(
    OPENSSL is None, reason="openssl is not installed: it signs tokens here"
)


class DockerRegistry:
    """One docker-registry on loopback, with its files under a directory."""

    def __init__(
        self,
        directory: Path,
        region: str = "iad",
        sections: Mapping[str, Any] | None = None,
    ) -> None:
        """Do not run yet; *sections* are added to its configuration."""
        self.directory = directory
        self.region = Region(region)
        self.address = f"127.0.0.1:{free_port()}"
        self.sections = dict(sections or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, once it was started."""
        secure = "tls" in self.sections.get("http", {})
        return f"{'https' if secure else 'http'}://{self.address}"

    @property
    def configuration(self) -> Path:
        """The file that it was started with."""
        return self.directory / "config.yml"

    def settings(self, **more: Any) -> RegistrySettings:  # noqa: ANN401 - its fields
        """Return how a client reaches it."""
        return RegistrySettings(region=self.region, url=self.url, **more)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.end(signal.SIGTERM)

    def start(self) -> None:
        """Run, on the same port each time, and return when it listens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        written = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "store")},
                "delete": {"enabled": True},
            },
        } | self.sections
        http = {"addr": self.address, "secret": "the tests' own"}
        written["http"] = http | self.sections.get("http", {})
        self.configuration.write_text(json.dumps(written))  # JSON is YAML
        log = self.directory / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(BINARY), "serve", str(self.configuration)],
                stdout=subprocess.DEVNULL,
                stderr=output,
            )
        ends = time.monotonic() + DEADLINE_SECONDS
        while not (found := _LISTENS.search(log.read_text())):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(POLL_SECONDS)
        self.address = found[1]

    def kill(self) -> None:
        """End it without a chance to do anything more."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        """End it by *number*, if it runs, and wait for that."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE_SECONDS)
        self._process = None

    def collect(self) -> list[str]:
        """Return the command that collects its garbage, word by word."""
        return [str(BINARY), "garbage-collect", str(self.configuration)]

    def blob_path(self, digest: str) -> Path:
        """Return where it keeps the bytes of a blob."""
        found = digest.removeprefix("sha256:")
        root = self.directory / "store/docker/registry/v2/blobs/sha256"
        return root / found[:2] / found / "data"
