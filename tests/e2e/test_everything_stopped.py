"""Stop all that can be stopped: pages and doctor still answer, and name the cause."""

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from placement.cli.main import main
from placement.client import PlacementClient
from tests.e2e.test_broker_kills import push
from tests.e2e.test_process_faults import fill, small_disk
from tests.nats_server import NatsServer, newest_server
from tests.ports import free_port
from tests.real_service import RealService, running

DOCTOR_SECONDS_MAX: Final = 10.0
STATE_SECONDS_MAX: Final = 20.0
PAGES: Final = ("/metrics", "/healthz")


class Heard:
    """What a supervisor such as systemd hears."""

    def __init__(self, path: Path) -> None:
        """Listen at *path*."""
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.2)
        self._done = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        """Hear no more."""
        self._done.set()
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._done.is_set():
            with suppress(TimeoutError):
                self.lines += self._socket.recv(4_096).decode().splitlines()


class House:
    """A service with a small disk, a broker beside it, and a peer that is gone."""

    def __init__(self, directory: Path) -> None:
        """Start nothing yet."""
        self.broker = NatsServer(newest_server(), directory / "nats")
        self.metrics = f"127.0.0.1:{free_port()}"
        self.service = RealService(directory / "service", port=free_port())
        file = directory / "placement.toml"
        file.write_text(
            f'listen = "{self.service.target}"\n'
            f'data_dir = "{self.service.data_dir}"\n'
            f'metrics_listen = "{self.metrics}"\n'
            f'[nats]\nurl = "{self.broker.url}"\n'
            f'[bootstrap]\npeers = "127.0.0.1:{free_port()}"\n'
            "[checkpoint]\ninterval_seconds = 0.2\n"
        )
        self.file = file
        self.service.arguments = ("--config", str(file))
        self.supervisor = Heard(directory / "notify")
        self.service.settings = {
            "NOTIFY_SOCKET": str(directory / "notify"),
            "WATCHDOG_USEC": "1000000",
        }
        self.slowest_s = 0.0

    def doctor(self) -> tuple[int, dict[str, list[str]]]:
        """Return the doctor's exit code, and per check what is FAIL."""
        began = time.monotonic()
        command = ["doctor", "--config", str(self.file), "-o", "json"]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        failing: dict[str, list[str]] = {}
        for one in json.loads(result.stdout)["findings"]:
            if one["verdict"] == "FAIL":
                assert one["remedy"], one
                failing.setdefault(one["check"], []).append(one["found"])
        return result.exit_code, failing

    def doctor_once(self, check: str, cause: str) -> tuple[int, dict[str, list[str]]]:
        """Return what the doctor says once *check* fails by this *cause*.

        On a disk that is full a save may fit now and then, and all is well between.
        """
        ends = time.monotonic() + STATE_SECONDS_MAX
        while True:
            code, failing = self.doctor()
            if cause in "".join(failing.get(check, [])):
                return code, failing
            assert time.monotonic() < ends, failing

    def pages(self) -> list[str]:
        """Return each page's text; raises where one does not answer."""
        return [self.page(path) for path in PAGES]

    def page(self, path: str) -> str:
        """Return a page's text, whatever its status."""
        try:
            with urllib.request.urlopen(
                f"http://{self.metrics}{path}", timeout=3
            ) as it:
                found: bytes = it.read()
        except urllib.error.HTTPError as error:
            with error:
                found = error.read()
        return found.decode()

    def until(self, state: str) -> None:
        """Return once the health page says *state*; something is there to be saved."""
        ends = time.monotonic() + STATE_SECONDS_MAX
        while not self.page("/healthz").startswith(state):
            assert time.monotonic() < ends, self.service.output()
            time.sleep(0.1)

    def until_heard(self, beginning: str) -> None:
        """Return once the supervisor has heard a line of this *beginning*."""
        ends = time.monotonic() + STATE_SECONDS_MAX
        while not any(line.startswith(beginning) for line in self.supervisor.lines):
            assert time.monotonic() < ends, self.supervisor.lines
            time.sleep(0.1)

    def publish(self, *names: str) -> None:
        """Let the log hold more."""

        async def published() -> Any:  # noqa: ANN401 - the answer
            async with PlacementClient(self.service.target, timeout_s=10) as client:
                return await client.publish_events([push(name) for name in names])

        asyncio.run(published())

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let something new be there to save all the time within the block."""
        done = threading.Event()

        def work() -> None:
            number = 0
            while not done.wait(0.05):
                number += 1
                self.publish(*(f"busy-{number}-{place}" for place in range(20)))

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            done.set()
            worker.join()


def test_pages_and_doctor_name_what_is_gone(tmp_path: Path) -> None:
    """Peer, disk, broker and service go one after another."""
    house = House(tmp_path)
    house.broker.start()
    try:
        with small_disk(house.service.data_dir), running(house.service):
            house.publish("first")
            sound = house.doctor()
            house.until_heard("STATUS=LIVE at sequence")
            fill(house.service.data_dir / "ballast")
            with house.busy():
                without_disk = house.doctor_once("service", "checkpoint")
            house.broker.kill()
            house.until("STALE")
            without_broker = house.doctor_once("service", "STALE")
            metrics, health = house.pages()
            house.service.kill()
            without_service = house.doctor()
    finally:
        house.broker.kill()
        house.supervisor.close()

    assert sound == (0, {}), "the peer is only asked by a service that needs it"
    heard = house.supervisor.lines
    assert heard[0] == "READY=1"
    assert "WATCHDOG=1" in heard
    assert any(line.startswith("STATUS=STALE at sequence") for line in heard)
    assert_causes(without_disk, {"data directory": "0.0 GB", "service": "checkpoint"})
    gone = {"broker": str(house.broker.port), "service": "STALE"}
    assert_causes(without_broker, {"data directory": "0.0 GB", **gone})
    assert "placement_serving_state" in metrics
    assert health.startswith("STALE")
    nobody = {"service": house.service.target, "pages": house.metrics}
    disk = {"data directory": "0.0 GB", "broker": str(house.broker.port)}
    assert_causes(without_service, {**nobody, **disk})
    assert house.slowest_s < DOCTOR_SECONDS_MAX


def assert_causes(
    said: tuple[int, dict[str, list[str]]], causes: dict[str, str]
) -> None:
    """Say that these checks fail, each with the words of its cause."""
    code, failing = said
    assert code == 1
    assert failing.keys() >= causes.keys(), "on a busy machine more may be slow"
    for check, words in causes.items():
        assert any(words in found for found in failing[check]), failing
