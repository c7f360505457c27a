"""The shipped NATS configurations on real servers: three as one, and a leaf node."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from placement.adapters.jetstream.inspection import inspecting
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.cli.main import main
from placement.client import PlacementClient
from placement.ports import Appended, LogUnavailableError
from tests.nats_server import newest_server
from tests.ports import free_port
from tests.real_service import RealService

SHIPPED: Final = Path(__file__).parents[2] / "tools" / "deploy" / "nats"
SIZE: Final = 3
READY_SECONDS_MAX: Final = 60.0
OWN: Final = "placement.events.v1.syd.content_pushed"
OTHERS: Final = "placement.events.v1.ams.content_pushed"


@dataclass
class Deployed:
    """The shipped files in a directory of their own, and what runs by them."""

    directory: Path
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(SIZE)])
    leaf_port: int = field(default_factory=free_port)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prepare(self) -> list[int]:
        """Copy the files, with addresses of this machine; return the leaf ports."""
        for file in SHIPPED.glob("*.conf"):
            shutil.copy(file, self.directory)
        command = ["nats-config", "--domain", "hub", "--to", str(self.directory)]
        made = CliRunner().invoke(main, command, catch_exceptions=False)
        assert made.exit_code == 0, made.output
        leaves = [free_port() for _ in range(SIZE)]
        self._clusters = [free_port() for _ in range(SIZE)]
        self._list("routes.conf", "routes", "nats", self._clusters)
        self._list("hub.conf", "urls", "nats-leaf", leaves)
        return leaves

    def start_cluster(self, leaves: list[int]) -> None:
        """Run the three."""
        for number in range(SIZE):
            self._run(
                "cluster.conf",
                NATS_NAME=f"n{number + 1}",
                NATS_LISTEN=f"127.0.0.1:{self.ports[number]}",
                NATS_CLUSTER_LISTEN=f"127.0.0.1:{self._clusters[number]}",
                NATS_LEAF_LISTEN=f"127.0.0.1:{leaves[number]}",
                NATS_STORE=str(self.directory / f"store-{number}"),
            )

    def start_leaf(self, user: str) -> None:
        """Run a leaf node that logs in to the cluster as *user*."""
        self._run(
            "leaf.conf",
            NATS_NAME="leaf",
            NATS_LISTEN=f"127.0.0.1:{self.leaf_port}",
            NATS_LEAF_SEED=self.seed(user).read_text().strip(),
        )

    def seed(self, user: str) -> Path:
        """Return the file of a user's seed."""
        return self.directory / "secrets" / f"{user}.nk"

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the three listen."""
        return tuple(f"nats://127.0.0.1:{port}" for port in self.ports)

    def stop(self) -> None:
        """End all that was started."""
        for process in self._started:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _list(self, name: str, key: str, scheme: str, ports: list[int]) -> None:
        shown = ", ".join(f'"{scheme}://127.0.0.1:{port}"' for port in ports)
        (self.directory / name).write_text(f"{key}: [{shown}]\n")

    def _run(self, configuration: str, **told: str) -> None:
        told["NATS_MONITOR"] = f"127.0.0.1:{free_port()}"
        log = self.directory / f"{told['NATS_NAME']}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [newest_server(), "-c", str(self.directory / configuration)],
                env={**os.environ, **told},
                stdout=output,
                stderr=output,
            )
        self._started.append(process)


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    """Give what is deployed, not yet running; it ends with the test."""
    found = Deployed(tmp_path)
    yield found
    found.stop()


@asynccontextmanager
async def reached(settings: JetStreamSettings) -> AsyncIterator[JetStreamLog]:
    """Give the log, as soon as the servers have found each other."""
    log = await within_time(lambda: JetStreamLog.connect(settings))
    try:
        yield log
    finally:
        await log.close()


async def within_time(attempt: Callable[[], object]) -> JetStreamLog:
    """Return what an *attempt* comes to, once it does."""
    async with asyncio.timeout(READY_SECONDS_MAX):
        while True:
            try:
                found = await attempt()  # type: ignore[misc] # it returns an awaitable
            except LogUnavailableError:
                await asyncio.sleep(0.2)
            else:
                assert isinstance(found, JetStreamLog)
                return found


async def test_cluster_and_leaf_store_within_their_rights(deployed: Deployed) -> None:
    """Three copies; a region's events pass its leaf node, and no other region's."""
    leaves = deployed.prepare()
    deployed.start_cluster(leaves)
    deployed.start_leaf("agent-syd")
    service = JetStreamSettings(
        deployed.urls,
        replicas=SIZE,
        nkey_seed_file=deployed.seed("service"),
        inbox_prefix="_INBOX_SERVICE",
    )
    agent = JetStreamSettings(
        (f"nats://127.0.0.1:{deployed.leaf_port}",),
        replicas=SIZE,
        inbox_prefix="_INBOX_syd",
    )
    async with reached(service) as at_hub, reached(agent) as at_leaf:
        first = await at_hub.append(OTHERS, b"of ams", "a")
        second = await at_leaf.append(OWN, b"of syd", "b")
        with pytest.raises(LogUnavailableError):
            await at_leaf.append(OTHERS, b"pretended", "c")
        status = await at_hub.status()
        async with inspecting(service) as inspection:
            seen = await inspection.look()

    assert isinstance(first, Appended)
    assert (first.sequence, second.sequence, status.last_sequence) == (1, 2, 2)
    assert seen.stream is not None
    assert not seen.stream.unmet
    assert len(seen.stream.copies) == SIZE - 1


@pytest.mark.long
async def test_service_serves_by_a_leaf_node_of_its_own(
    deployed: Deployed, tmp_path: Path
) -> None:
    """``nats.url`` names the leaf node, which logs in as a service."""
    deployed.start_cluster(deployed.prepare())
    deployed.start_leaf("service")
    url = f"nats://127.0.0.1:{deployed.leaf_port}"
    settings = JetStreamSettings((url,), replicas=SIZE, inbox_prefix="_INBOX_SERVICE")
    told = {"PLACEMENT_NATS__URL": url, "PLACEMENT_NATS__REPLICAS": str(SIZE)}
    service = RealService(tmp_path / "service", settings=told)
    async with reached(settings) as log:
        await log.append(OWN, b"of syd", "a")
        service.start()
        try:
            await asyncio.to_thread(service.wait_until_serving)
            async with PlacementClient(service.target, timeout_s=10.0) as client:
                basis = (await client.get_service_info()).basis
        finally:
            service.kill()

    assert basis.sequence == 1
