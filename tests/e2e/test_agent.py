"""The real agent: nothing that it answered 200 is lost, whatever ends or fails."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from placement.adapters.jetstream.log import JetStreamLog
from placement.core.event import ContentPulled, ContentPushed, Fact, MachineStarted
from placement.core.fold import fold
from placement.core.state import State
from placement.faults import FaultPoint
from placement.wire.events import decode_message
from tests.docker_registry import DockerRegistry, needs_registry
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_agent import RealAgent
from tests.real_service import POLL_SECONDS

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
GOLDEN = Path(__file__).parents[1] / "golden"
STOP_SECONDS_MAX = 5.0
TIMEOUT_S = 1.0
"""As long as docker-registry waits by default."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    await asyncio.to_thread(broker.start)
    yield broker
    broker.kill()


@pytest.fixture
async def agent(server: NatsServer, tmp_path: Path) -> AsyncIterator[RealAgent]:
    """An agent that publishes straight to the broker; the test starts it."""
    beside = RealAgent(tmp_path / "agent", {"NATS__URL": server.url})
    yield beside
    beside.kill()


def envelope(number: int) -> bytes:
    """Return a push as Distribution posts it."""
    target = {
        "mediaType": MANIFEST,
        "digest": f"sha256:{number:064x}",
        "size": 100,
        "repository": "acme/web",
        "tag": f"v{number}",
    }
    event = {"id": f"n-{number}", "action": "push", "target": target}
    return json.dumps({"events": [event]}).encode()


async def post_until_taken(agent: RealAgent, number: int) -> None:
    """Post one envelope as Distribution does: again and again until 2xx."""
    while True:
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient() as client:
                answer = await client.post(
                    agent.notifications, content=envelope(number), timeout=TIMEOUT_S
                )
                if answer.is_success:
                    return
        await asyncio.sleep(POLL_SECONDS)


async def folded(server: NatsServer) -> tuple[set[str], State]:
    """Return the ids of all events in the log, and the state that they fold to."""
    log = await JetStreamLog.connect(server.settings)
    state, ids = State(), set[str]()
    try:
        end = (await log.status()).last_sequence
        if end:
            async for batch in log.read(0):
                for message in batch:
                    recorded = decode_message(message)
                    ids |= {item.event.event_id for item in recorded.items}  # type: ignore[union-attr]  # none is set aside
                    fold(state, recorded)
                if state.sequence >= end:
                    break
    finally:
        await log.close()
    return ids, state


@pytest.mark.parametrize(
    ("point", "count"),
    [
        pytest.param(FaultPoint.BEFORE_SPOOLED, 4, marks=pytest.mark.long),
        pytest.param(FaultPoint.BEFORE_SPOOLED, 25, marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_SPOOLED, 1, marks=pytest.mark.long),
        (FaultPoint.AFTER_SPOOLED, 17),
        pytest.param(FaultPoint.BEFORE_SENT, 2, marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_SENT, 1, marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_SENT, 3, marks=pytest.mark.long),
    ],
)
async def test_killed_agent_loses_nothing_and_doubles_nothing(
    agent: RealAgent, server: NatsServer, point: FaultPoint, count: int
) -> None:
    """Kill -9 at every step between the door and the log, under load."""
    agent.start(FAULT_POINTS=f"{point}=kill:{count}")
    await agent.ready()
    posting = asyncio.create_task(_post_many(agent, range(60)))
    async with asyncio.timeout(30):
        while agent.runs:  # noqa: ASYNC110 - a process, seen from outside
            await asyncio.sleep(POLL_SECONDS)
    assert agent.kill() == -9

    agent.start()
    await asyncio.wait_for(posting, 60)
    await agent.until(waiting=0)

    ids, state = await folded(server)
    assert ids == {f"n-{number}" for number in range(60)}
    assert state.count("folded") == 60
    tell(f"killed at {point}:{count}: {state.count('duplicate')} repeats were folded")


async def _post_many(agent: RealAgent, numbers: range) -> None:
    lanes = [numbers[lane::4] for lane in range(4)]

    async def post_lane(lane: range) -> None:
        for number in lane:
            await post_until_taken(agent, number)

    await asyncio.gather(*(post_lane(lane) for lane in lanes))


@pytest.mark.long
async def test_agent_takes_everything_while_the_broker_is_away(
    agent: RealAgent, server: NatsServer
) -> None:
    """The registry never waits; once the broker is back all of it is there."""
    agent.start()
    await agent.ready()
    await post_until_taken(agent, 0)
    await agent.until(waiting=0)
    server.kill()

    began = time.monotonic()
    for number in range(1, 40):
        await post_until_taken(agent, number)
    took_s = time.monotonic() - began
    away = await agent.health()
    agent.kill()  # and a crash meanwhile
    agent.start()
    await agent.ready()
    await asyncio.to_thread(server.start)
    back = await agent.until(waiting=0)

    ids, state = await folded(server)
    assert ids == {f"n-{number}" for number in range(40)}
    assert state.count("folded") == 40
    assert away["waiting"] == 39
    assert away["oldest_waiting_seconds"] > 0
    assert "trouble" not in back
    tell(f"without a broker: {1_000 * took_s / 39:.1f} ms for an answer")


async def test_log_that_was_lost_gets_everything_again(
    agent: RealAgent, server: NatsServer
) -> None:
    """A broker whose disk is gone comes back empty: what is kept is sent again."""
    agent.start()
    await agent.ready()
    for number in range(20):
        await post_until_taken(agent, number)
    await agent.until(waiting=0, sent=20)

    server.kill()
    shutil.rmtree(server.directory / "store")
    await asyncio.to_thread(server.start)
    await agent.until(waiting=0, sent=40)

    ids, state = await folded(server)
    assert ids == {f"n-{number}" for number in range(20)}
    assert state.count("folded") == 20
    assert "entries_resent" in agent.output()


async def test_what_means_nothing_holds_up_nothing(
    agent: RealAgent, server: NatsServer
) -> None:
    """Each body is answered 200; the good ones are published, the others counted."""
    agent.start()
    await agent.ready()
    async with httpx.AsyncClient() as client:
        for body in (b"{", envelope(1), b"\xff\xfe", b'{"events": [{}]}', envelope(2)):
            assert (await client.post(agent.notifications, content=body)).is_success
        await agent.until(waiting=0, set_aside=3)
        metrics = (await client.get(f"{agent.url}/metrics")).text

    assert (await folded(server))[0] == {"n-1", "n-2"}
    assert "placement_spool_set_aside_total 3.0" in metrics
    assert "placement_spool_sent_total 2.0" in metrics


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("there", marks=pytest.mark.long),
        pytest.param("gone", marks=pytest.mark.long),
        "hung",
    ],
)
async def test_agent_stops_in_time_when_it_is_told_to(
    agent: RealAgent, server: NatsServer, broker: str
) -> None:
    """Whatever it is doing; what waits is there for the next one."""
    agent.start()
    await agent.ready()
    await post_until_taken(agent, 0)
    await agent.until(waiting=0)
    if broker == "gone":
        server.kill()
    if broker == "hung":
        server.pause()
    await post_until_taken(agent, 1)
    await asyncio.sleep(0.3)

    began = time.monotonic()
    code = await asyncio.to_thread(agent.stop)
    took_s = time.monotonic() - began
    if broker == "hung":
        server.go_on()
    if broker == "gone":
        await asyncio.to_thread(server.start)
    agent.start()
    await agent.ready()
    await agent.until(waiting=0)

    assert code == 0
    assert took_s < STOP_SECONDS_MAX
    assert (await folded(server))[0] == {"n-0", "n-1"}
    tell(f"broker {broker}: stopped in {took_s:.2f} s")


async def test_second_agent_on_the_same_directory_is_refused(
    agent: RealAgent,
) -> None:
    """Two would send the same; it is told what to do, and ends with 2."""
    agent.start()
    await agent.ready()
    other = RealAgent(agent.directory, agent.settings)
    other.start()

    async with asyncio.timeout(30):
        while other.runs:  # noqa: ASYNC110 - a process, seen from outside
            await asyncio.sleep(POLL_SECONDS)

    assert other.stop() == 2
    assert "agent.state_dir" in other.output()


def notifying(agent: RealAgent) -> dict[str, Any]:
    """Return the part of a registry's configuration that lets it tell *agent*."""
    endpoint = {
        "name": "placement",
        "url": agent.notifications,
        "timeout": "1s",
        "threshold": 1,
        "backoff": "100ms",
    }
    return {"events": {"includereferences": True}, "endpoints": [endpoint]}


@needs_registry
async def test_registry_keeps_what_a_full_spool_refuses(
    agent: RealAgent, server: NatsServer, tmp_path: Path
) -> None:
    """Until the log is back and there is room: then all of it comes."""
    agent.start(AGENT__SPOOL__WAITING_BYTES_MAX="1048576")
    await agent.ready()
    server.kill()
    body = envelope(1).ljust(1_048_570)
    async with httpx.AsyncClient() as client:
        assert (await client.post(agent.notifications, content=body)).is_success
        with DockerRegistry(
            tmp_path / "registry", sections={"notifications": notifying(agent)}
        ) as registry:
            await push_blob(client, registry.url, b"x" * 5_000)
            refused = await client.post(agent.notifications, content=envelope(2))
            await asyncio.sleep(0.5)
            before = await agent.health()
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(30):
                while len((await folded(server))[0]) < 2:  # noqa: ASYNC110 - so too
                    await asyncio.sleep(POLL_SECONDS)

    assert refused.status_code == 503
    assert refused.json() == {"reason": "SPOOL_FULL"}
    assert before["waiting"] == 1
    assert before["unspooled"] >= 2


@needs_registry
@pytest.mark.parametrize("rotated", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_pulls_carry_what_the_registrys_log_tells(
    agent: RealAgent,
    server: NatsServer,
    tmp_path: Path,
    rotated: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Bytes and durations, joined by the id of the request."""
    log = tmp_path / "registry" / "log"
    agent.start(AGENT__RECEIVER__REQUEST_LOG=str(log))
    await agent.ready()
    body = b"y" * 300_000
    async with httpx.AsyncClient() as client:
        with DockerRegistry(
            tmp_path / "registry", sections={"notifications": notifying(agent)}
        ) as registry:
            url = await push_blob(client, registry.url, body)
            if rotated:  # as logrotate's copytruncate
                await asyncio.sleep(0.3)
                with log.open("r+b") as file:
                    file.truncate(0)
            for _ in range(3):
                assert (await client.get(url)).content == body
            async with asyncio.timeout(30):
                while len((await folded(server))[0]) < 4:  # noqa: ASYNC110 - so too
                    await asyncio.sleep(POLL_SECONDS)

    facts = await facts_in(server)
    pulls = [fact for fact in facts if isinstance(fact, ContentPulled)]
    assert [pull.transferred_bytes for pull in pulls] == [300_000] * 3
    assert all(pull.pull_duration_ns for pull in pulls)


async def push_blob(client: httpx.AsyncClient, url: str, body: bytes) -> str:
    """Push one blob to acme/web, and return where it is."""
    digest = f"sha256:{sha256(body).hexdigest()}"
    begun = await client.post(f"{url}/v2/acme/web/blobs/uploads/")
    at = begun.headers["Location"]
    done = await client.put(f"{at}&digest={digest}", content=body)
    assert done.status_code == 201
    return f"{url}/v2/acme/web/blobs/{digest}"


async def test_schedulers_and_other_registries_come_through_the_same_door(
    agent: RealAgent, server: NatsServer
) -> None:
    """Fly's lines, a plain start, a zot over HTTP, and one over NATS."""
    agent.start(
        AGENT__RECEIVER__ZOT_SUBJECT="zot.events",
        AGENT__STARTS__IMAGES=json.dumps({"*": f"acme/fly@sha256:{8:064x}"}),
    )
    await agent.ready()
    lines = (GOLDEN / "starts" / "fly.log").read_bytes()
    document = json.loads((GOLDEN / "zot" / "04-nats-index-updated.json").read_text())
    posted = json.loads((GOLDEN / "zot" / "02-http-image-updated.json").read_text())
    image = f"acme/web@sha256:{7:064x}"
    started = {"machine_id": "m-1", "image": image, "time": "2026-11-23T15:40:00Z"}

    async with httpx.AsyncClient(base_url=agent.url) as client:
        fly = await client.post("/v1/starts/fly", content=lines)
        plain = await client.post("/v1/starts/machines", json={"started": started})
        zot = await client.post(
            "/v1/notifications/zot",
            content=json.dumps(posted["body"]),
            headers=posted["headers"],
        )
    publisher = Client()
    await publisher.connect(server.url)
    async with asyncio.timeout(30):
        while (await agent.health())["sent"] < 4:  # until it listens
            await publisher.publish("zot.events", json.dumps(document["body"]).encode())
            await publisher.flush()
            await asyncio.sleep(0.1)
    await publisher.close()
    await agent.until(waiting=0)

    assert {fly.status_code, plain.status_code, zot.status_code} == {200}
    facts = await facts_in(server)
    started_by = [fact.repository for fact in facts if isinstance(fact, MachineStarted)]
    waits_s = {
        round(fact.image_wait_ns / 1e9, 2)
        for fact in facts
        if isinstance(fact, MachineStarted) and fact.image_wait_ns
    }
    assert sorted(started_by) == ["acme/fly", "acme/fly", "acme/web"]
    assert waits_s == {53.55, 0.33}
    assert sum(isinstance(fact, ContentPushed) for fact in facts) >= 2
    assert (await agent.health())["set_aside"] == 0


async def facts_in(server: NatsServer) -> list[Fact]:
    """Return the facts that the log holds."""
    log = await JetStreamLog.connect(server.settings)
    found: list[Fact] = []
    end = (await log.status()).last_sequence
    async for batch in log.read(0):
        for message in batch:
            found += [item.event.fact for item in decode_message(message).items]  # type: ignore[union-attr]  # none is set aside
        if batch and batch[-1].sequence >= end:
            break
    await log.close()
    return found
