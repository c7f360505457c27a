"""What the real program says of itself when all that it observes is gone."""

import asyncio
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from placement.client import PlacementClient
from tests.e2e.test_broker_kills import push, seconds_until_stale
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.ports import free_port
from tests.real_service import RealService, running

ANSWER_SECONDS_MAX = 2.0
ROUNDS = 50


class Pages:
    """The pages of one service, and how slow the slowest answer was."""

    def __init__(self, port: int) -> None:
        """Ask on *port* of this machine."""
        self.port = port
        self.slowest_s = 0.0

    async def get(self, path: str) -> tuple[int, str]:
        """Return the status and text of a page; raises when there is no answer."""
        began = time.monotonic()
        found = await asyncio.to_thread(self._get, path)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        return found

    def _get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    async def samples(self) -> dict[tuple[str, str], float]:
        """Return the samples of /metrics by name and the values of their labels."""
        status, text = await self.get("/metrics")
        assert status == 200
        return {
            (sample.name, ",".join(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    broker.start()
    yield broker
    broker.kill()


def observed(server: NatsServer, directory: Path) -> tuple[RealService, Pages]:
    """Return a service with a page for metrics, not yet running."""
    pages = Pages(free_port())
    settings = {
        "PLACEMENT_METRICS_LISTEN": f"127.0.0.1:{pages.port}",
        "PLACEMENT_CHECKPOINT__INTERVAL_SECONDS": "0.2",
    }
    return RealService(directory, ("--nats-url", server.url), settings), pages


async def test_metrics_follow_the_service(server: NatsServer, tmp_path: Path) -> None:
    """What was published is counted, and the state is told, by number and in words."""
    service, pages = observed(server, tmp_path / "service")
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            events = [push(f"e{number}") for number in range(30)]
            stored = await client.publish_events(events)
            await client.resolve_reference("acme/web", "e29", token=stored.token)
            await client.publish_events(events[:10])
            await asyncio.sleep(1.0)  # several saves
        found = await pages.samples()
        status, text = await pages.get("/healthz")

    assert found["placement_events_total", "folded"] == 30
    assert found["placement_serving_state", "live"] == 1
    assert found["placement_serving_state", "stale"] == 0
    assert (
        found["placement_fold_sequence", ""]
        == found["placement_checkpoint_sequence", ""]
    )
    assert found["placement_checkpoint_saves_total", "written"] >= 1
    assert found["placement_checkpoint_copies_total", "made"] == 1
    assert found["process_resident_memory_bytes", ""] > 0
    assert status == 200
    assert text.startswith("LIVE\n")


@pytest.mark.long
async def test_pages_and_answers_outlive_broker_and_disk(
    server: NatsServer, tmp_path: Path
) -> None:
    """Broker killed, data directory deleted: metrics, health and answers go on."""
    service, pages = observed(server, tmp_path / "service")
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            stored = await client.publish_events([push("first"), push("second")])
            await client.resolve_reference("acme/web", "first", token=stored.token)

            server.kill()
            shutil.rmtree(server.directory)
            shutil.rmtree(service.data_dir)
            await seconds_until_stale(client)

            for _ in range(ROUNDS):
                found = await pages.samples()
                status, text = await pages.get("/healthz")
                resolved = await client.resolve_reference("acme/web", "first")
                assert found["placement_serving_state", "stale"] == 1
                assert found["placement_staleness_seconds", ""] > 3
                assert status == 200
                assert text.startswith("STALE\n")
                assert (
                    resolved.content.digest
                    == push("first").content_pushed.content.digest
                )

    tell("pages without broker and disk", slowest_s=pages.slowest_s, rounds=ROUNDS)
    assert pages.slowest_s < ANSWER_SECONDS_MAX


async def test_taken_metrics_port_is_said_at_the_start(
    server: NatsServer, tmp_path: Path
) -> None:
    """An address that cannot be listened on ends the start, and names the key."""
    first, pages = observed(server, tmp_path / "first")
    second, _ = observed(server, tmp_path / "second")
    second.settings = first.settings
    with running(first):
        second.start()
        await asyncio.to_thread(second.wait)
        status, _ = await pages.get("/healthz")

    assert "metrics_listen" in second.output()
    assert status == 200
