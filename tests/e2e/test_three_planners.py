"""Three real services decide over one real broker, and one of them stands still.

It does so with a decision in its hands, for longer than all of its time-outs, and than
the broker remembers ids: what it decided, others decide and carry out meanwhile.
Figures of a run: ``pytest -rP tests/e2e/test_three_planners.py``.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import nats
import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementCallError, PlacementClient
from placement.faults import FaultPoint
from placement.ports import EventLog
from placement.runtime.replay import replay
from placement.v1 import events_pb2
from placement.wire.events import DECISIONS_PREFIX
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server, stopped
from tests.real_service import RealService, running
from tests.releases import STARTS, WANTED, App, Registries
from tests.replicator import replicate

RUN_COUNT = 20
SERVICES = 3
FROZEN = SERVICES - 1
"""The service that stands still; nobody publishes through it until it goes on."""
DECISIONS_MAX = 10
WINDOW_SECONDS = 1
"""So long the broker remembers ids, once the services have seen that it is longer."""
FROZEN_SECONDS = 12.0
"""Longer than appends (5 s), pings (6 s) and the wait for a fold (5 s) may take."""
SETTLED_SECONDS_MAX = 60.0
TICK_SECONDS = "2"
RUNS = [
    pytest.param(number, marks=[pytest.mark.long] if number else [])
    for number in range(RUN_COUNT)
]

Decision = tuple[str, str, str]
"""Repository, digest and target region."""


@dataclass
class Load:
    """Publishes what happens to apps through the services that run."""

    clients: list[PlacementClient]
    registries: Registries
    apps: list[App] = field(default_factory=list)

    async def release(self, names: Sequence[str], clients: Sequence[int]) -> None:
        """Let apps be released one after another, each through another service."""
        for number, name in enumerate(names):
            app = App(name)
            self.registries.learn(app)
            self.apps.append(app)
            client = self.clients[clients[number % len(clients)]]
            for event in app.events():
                await published(client, event)


async def published(client: PlacementClient, event: events_pb2.Event) -> None:
    """Publish *event*, again while the service cannot."""
    while True:
        with suppress(PlacementCallError):
            await client.publish_events([event])
            return
        await asyncio.sleep(0.1)


async def forget_soon(server: NatsServer) -> None:
    """Let the broker remember ids for WINDOW_SECONDS only.

    It forgets those that it remembered for longer when it is started again.
    """
    client = await nats.connect(server.url)
    try:
        stream = server.settings.stream
        info = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}")).data)
        config = info["config"] | {"duplicate_window": WINDOW_SECONDS * 10**9}
        changed = await client.request(
            f"$JS.API.STREAM.UPDATE.{stream}", json.dumps(config).encode()
        )
        found = json.loads(changed.data)
        assert found["config"]["duplicate_window"] == WINDOW_SECONDS * 10**9, found
    finally:
        await client.close()
    server.stop()
    server.start()


@asynccontextmanager
async def open_log(server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """Give the log itself, past every service."""
    settings = replace(server.settings, duplicate_window_seconds=WINDOW_SECONDS)
    log = await JetStreamLog.connect(settings)
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def replicating(
    server: NatsServer, registries: Registries
) -> AsyncIterator[None]:
    """Let a replicator carry out what is decided, for all regions."""
    task = asyncio.create_task(replicate(server.url, "*", registries.copy))
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until_equal(
    clients: Sequence[PlacementClient], registries: Registries
) -> tuple[set[str], int]:
    """Return the fingerprints of all services at one sequence; copying has ended."""
    async with asyncio.timeout(SETTLED_SECONDS_MAX):
        while True:
            before = registries.effects.total()
            await asyncio.sleep(0.5)
            infos = [
                await client.get_service_info(include_fingerprint=True)
                for client in clients
            ]
            sequences = {info.basis.sequence for info in infos}
            if len(sequences) == 1 and registries.effects.total() == before:
                return {info.fingerprint for info in infos}, sequences.pop()


async def decided(log: EventLog) -> list[tuple[str, Decision]]:
    """Return every decision to copy in the log: its id, and what it is about."""
    found, status = [], await log.status()
    async for batch in log.read(0):
        for message in batch:
            if message.subject.startswith(DECISIONS_PREFIX):
                whole = message.subject.endswith(".batch")
                events = (
                    events_pb2.EventBatch.FromString(message.body).events
                    if whole
                    else [events_pb2.Event.FromString(message.body)]
                )
                for event in events:
                    if event.WhichOneof("fact") == "replication_planned":
                        about = event.replication_planned.subject
                        what = (about.repository, about.digest, about.target_region)
                        found.append((about.replication_id, what))
        if not batch or batch[-1].sequence >= status.last_sequence:
            return found
    return found


@asynccontextmanager
async def three_services(
    directory: Path, server: NatsServer, decision: int
) -> AsyncIterator[tuple[list[RealService], list[PlacementClient]]]:
    """Run services that decide, each with files of its own, and clients of them.

    The last of them stops itself when it is about to store its *decision*-th decision.
    """
    async with AsyncExitStack() as stack:
        services = [
            RealService(
                directory / f"service-{number}",
                ("--nats-url", server.url),
                {"PLACEMENT_PLANNER__TICK_SECONDS": TICK_SECONDS},
                plans=True,
            )
            for number in range(SERVICES)
        ]
        stop = f"{FaultPoint.BEFORE_DECISION}=stop:{decision}"
        services[FROZEN].settings["PLACEMENT_FAULT_POINTS"] = stop
        for service in services:
            stack.enter_context(running(service))
        clients = [
            await stack.enter_async_context(PlacementClient(each.target, timeout_s=5))
            for each in services
        ]
        yield services, clients


async def with_one_frozen(services: Sequence[RealService], load: Load) -> None:
    """Release apps, some while one service stands still in the midst of deciding."""
    frozen, others = services[FROZEN], range(FROZEN)
    await load.release([f"a{number}" for number in range(4)], others)
    async with asyncio.timeout(SETTLED_SECONDS_MAX):
        while not stopped(Path(f"/proc/{frozen.pid}/task/{frozen.pid}")):
            await load.release([f"b{len(load.apps)}"], others)
            await asyncio.sleep(0.3)
    await asyncio.sleep(FROZEN_SECONDS)
    await load.release(["c"], others)
    os.kill(frozen.pid, signal.SIGCONT)
    await load.release([f"d{number}" for number in range(3)], range(SERVICES))


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", RUNS)
async def test_each_decision_takes_effect_once(number: int, tmp_path: Path) -> None:
    """Whoever stood still knows little, and nothing is decided, or done, twice."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    registries = Registries()
    try:
        decision = number % DECISIONS_MAX + 1
        async with AsyncExitStack() as stack:
            services, clients = await stack.enter_async_context(
                three_services(tmp_path, server, decision)
            )
            await forget_soon(server)
            log = await stack.enter_async_context(open_log(server))
            await stack.enter_async_context(replicating(server, registries))
            probe = App("probe").events()[0]
            body = probe.SerializeToString()
            subject = "placement.events.v1.iad.starts_requested"
            await log.append(subject, body, probe.event_id)
            load = Load(clients, registries)

            await with_one_frozen(services, load)
            again = await log.append(subject, body, probe.event_id)
            fingerprints, sequence = await until_equal(clients, registries)

            undisturbed = await replay(log, sequence)
            decisions = await decided(log)
    finally:
        server.kill()

    pairs = Counter(pair for _, pair in decisions)
    tell(
        "three planners",
        run=number,
        apps=len(load.apps),
        frozen_s=FROZEN_SECONDS,
        decisions=len(decisions),
        effects=registries.effects.total(),
        decided_twice=sum(count > 1 for count in pairs.values()),
    )
    assert not again.duplicate, "the broker was to forget ids meanwhile"
    assert {pair: count for pair, count in pairs.items() if count > 1} == {}
    assert registries.effects == Counter(own_id for own_id, _ in decisions)
    asked = {
        (app.repository, app.image.digest, region)
        for app in load.apps
        for region in (*STARTS, WANTED)
    }
    assert asked <= set(pairs)
    assert fingerprints == {undisturbed.fingerprint}
