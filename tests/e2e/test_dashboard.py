"""Dashboard and alert rules against a real Prometheus that scrapes the real program."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from placement.client import PlacementCallError, PlacementClient
from placement.v1 import events_pb2 as pb
from tests.dashboard import (
    GROUPED,
    MATCHER,
    METRIC,
    OF_PROMETHEUS,
    SELECTOR,
    asked,
    filled,
)
from tests.e2e.test_agent import envelope
from tests.e2e.test_broker_kills import push
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.ports import free_port
from tests.real_agent import RealAgent
from tests.real_service import RealService, running

RULES = Path(__file__).parents[2] / "tools/deploy/prometheus/alerts.yml"
PATIENCE_S = 60.0
SCRAPED_S = 3.0
"""In which all is scraped a few times more."""
Samples = dict[str, list[dict[str, str]]]


def started(number: int) -> pb.Event:
    """Return a start that says what it waited, and what had been expected."""
    digest = push("first").content_pushed.content.digest
    event = pb.Event(event_id=f"start-{number}", region="syd")
    event.machine_started.digest = digest
    event.machine_started.repository = "acme/web"
    event.machine_started.machine_id = f"m{number}"
    event.machine_started.source_region = "iad"
    event.machine_started.image_wait.FromMilliseconds(5_300)
    event.machine_started.expected_wait_p50.FromMilliseconds(5_000)
    event.machine_started.expected_wait_p90.FromMilliseconds(9_000)
    return event


@asynccontextmanager
async def whole(directory: Path) -> AsyncIterator["World"]:
    """Run a broker, a service that plans and an agent with every part.

    Gives them once real events went through all of them. The agent's registry is out
    of reach: its parts tell of themselves all the same.
    """
    server = NatsServer(newest_server(), directory / "nats")
    await asyncio.to_thread(server.start)
    pages = f"127.0.0.1:{free_port()}"
    service = RealService(
        directory / "service",
        ("--nats-url", server.url),
        {"PLACEMENT_METRICS_LISTEN": pages},
        plans=True,
    )
    try:
        with running(service):
            agent = RealAgent(
                directory / "agent",
                {
                    "NATS__URL": server.url,
                    "SERVER": service.target,
                    "AGENT__METRICS_LISTEN": f"127.0.0.1:{free_port()}",
                    "AGENT__REGISTRY__URL": f"http://127.0.0.1:{free_port()}",
                    "AGENT__REPLICATOR__SOURCE": "nats",
                    "AGENT__ROUTER__LISTEN": f"127.0.0.1:{free_port()}",
                },
            )
            agent.start()
            try:
                await agent.ready()
                page = agent.settings["AGENT__METRICS_LISTEN"]
                world = World(service, agent, pages, page)
                await world.happen()
                yield world
            finally:
                agent.kill()
    finally:
        server.kill()


@dataclass
class World:
    """A service and an agent, and where they tell of themselves."""

    service: RealService
    agent: RealAgent
    service_page: str
    agent_page: str
    times: int = 0

    async def happen(self) -> None:
        """Let something be pushed, started and asked for, by every way."""
        self.times += 1
        number = 10 * self.times
        async with PlacementClient(self.service.target, timeout_s=10) as client:
            starts = map(started, range(number, number + 3))
            await client.publish_events([push("first"), *starts])
            with suppress(PlacementCallError):
                await client.resolve_reference("acme/web", "no-such-tag")
        async with httpx.AsyncClient() as client:
            body = envelope(number)
            answer = await client.post(self.agent.notifications, content=body)
        assert answer.is_success
        await self.agent.until(waiting=0)


async def samples(address: str) -> Samples:
    """Return the labels of all samples of a page, by name."""
    async with httpx.AsyncClient() as client:
        page = await client.get(f"http://{address}/metrics", timeout=10)
    found: Samples = {}
    for family in text_string_to_metric_families(page.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(dict(sample.labels))
    return found


class Prometheus:
    """A real server, which scrapes every second and knows the shipped rules."""

    def __init__(self, program: str, directory: Path, world: "World") -> None:
        """Run it; ``stop`` ends it."""
        self.address = f"127.0.0.1:{free_port()}"
        directory.mkdir()
        jobs = {
            "placement": world.service_page,
            "placement-agent": world.agent_page,
        }
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [target]}]}
                for name, target in jobs.items()
            ],
        }
        file = directory / "prometheus.yml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={self.address}",
                "--log.level=error",
            ]
        )

    async def api(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Return what its API says; it must succeed."""
        async with httpx.AsyncClient() as client:
            url = f"http://{self.address}/api/v1/{path}"
            answer = await client.get(url, params=parameters, timeout=10)
        document = answer.json()
        assert document["status"] == "success", f"{parameters}: {document}"
        return document["data"]

    async def until_scraped(self) -> None:
        """Return once both targets were scraped often enough for rates."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(httpx.TransportError, ValueError):  # while it starts
                    found = await self.api("query", query="count_over_time(up[1m]) > 3")
                    if len(found["result"]) == 2:
                        return
                await asyncio.sleep(0.2)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(30)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_every_panel_asks_for_what_is_there(tmp_path: Path) -> None:
    """Each metric and label exists on real pages; a real Prometheus answers each."""
    program = which("prometheus")
    async with whole(tmp_path) as world:
        known = await samples(world.service_page)
        for name, labels in (await samples(world.agent_page)).items():
            known.setdefault(name, []).extend(labels)
        for each in asked():
            check_names(each.expression, each.legend, known)
        if program is None:
            pytest.skip("prometheus is not installed: apt-get install prometheus")
        prometheus = Prometheus(program, tmp_path / "prometheus", world)
        try:
            await prometheus.until_scraped()
            await world.happen()
            await asyncio.sleep(SCRAPED_S)
            groups = (await prometheus.api("rules"))["groups"]
            answered = [
                (each, (await prometheus.api("query", query=filled(each.expression))))
                for each in asked()
            ]
        finally:
            await asyncio.to_thread(prometheus.stop)

    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == RULES.read_text().count("- alert:")
    assert [rule for rule in rules if rule["health"] == "err"] == []
    silent = [each.panel for each, data in answered if not data["result"]]
    tell("dashboard", expressions=len(answered), silent=len(silent))
    assert set(silent) <= MAY_BE_SILENT


MAY_BE_SILENT = {
    "Age of the last inventory",  # there was none
    "Another state was put in place",
    "Budgets",
    "Bytes for nothing",  # nothing was moved
    "Calibration of estimates",  # a day's increase takes more scrapes
    "Events refused, by the region that sent them",
    "Set aside, by reason",
    "Since the last complete scan",
    "Starts with the image there",
}
"""What a service of a minute may have nothing to show for."""


def check_names(expression: str, legend: str, known: Samples) -> None:
    """Check that each metric and each label of an expression is there."""
    names = set(METRIC.findall(expression))
    assert names, expression
    assert names <= set(known), expression
    for name, selector in SELECTOR.findall(expression):
        for label, sign, value in MATCHER.findall(selector):
            if label in OF_PROMETHEUS:
                continue
            values = {labels[label] for labels in known[name] if label in labels}
            assert values, f"{name} has no label {label}"
            if sign in {"=", "!="}:
                assert value in values, f"{name}: {label}={value}"
    labels = {label for name in names for each in known[name] for label in each}
    grouped = {
        label.strip()
        for group in GROUPED.findall(expression)
        for label in group.split(",")
        if label.strip()
    }
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert grouped | shown <= labels | OF_PROMETHEUS, expression
