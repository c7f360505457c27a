"""The real agent under requests of all kinds at all of its doors, by 256 seeds."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from placement.agent.door.methods import METHODS
from placement.wire.json import plain
from tests.figures import tell
from tests.fuzz.notifications import CAPTURES, GOLDEN, MACHINES, OWN, captured
from tests.fuzz.registries import PATHS
from tests.fuzz.requests import filled
from tests.fuzz.target import SEED
from tests.fuzz.texts import spoiled_headers, spoiled_json, spoiled_text
from tests.nats_server import NatsServer, newest_server
from tests.ports import free_port
from tests.real_agent import RealAgent

SEEDS = 256 if os.environ.get("PLACEMENT_LONG") else 12
WARMING_SEEDS = 64
"""Before memory is looked at: what is imported and cached is no leak."""
AT_ONCE = 8
GROWN_BYTES_MAX = 32 << 20
ANSWER_SECONDS_MAX = 3.0
FEEDS = ("distribution", "harbor", "zot", "ecr", "cloudevents")
SENT = [
    (b"Accept", b"*/*"),
    (b"User-Agent", b"containerd/1"),
    (b"Content-Type", b"application/json"),
    (b"Range", b"bytes=0-9"),
    (b"X-Placement-Region", b"iad"),
    (b"Authorization", b"Basic YTpi"),
]
DOCUMENTS = {
    "distribution": captured(CAPTURES),
    "harbor": captured(GOLDEN / "harbor"),
    "zot": captured(GOLDEN / "zot"),
    "ecr": captured(GOLDEN / "ecr"),
    "cloudevents": [OWN],
}


def request(chance: Random, method: str, path: str, body: bytes) -> bytes:
    """Return a request in HTTP's bytes; one in ten is spoiled as bytes, too."""
    told = SENT
    if chance.random() < 0.2:
        spoiled = spoiled_headers(chance, [(n.decode(), v.decode()) for n, v in SENT])
        told = [(name, value) for name, value in spoiled if b"\n" not in value]
    lines = [name + b": " + value for name, value in told]
    length = f"Content-Length: {len(body)}".encode()
    start = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1".encode()
    head = b"\r\n".join([start, *lines, length])
    whole = head + b"\r\nConnection: close\r\n\r\n" + body
    if chance.random() < 0.1:
        at = chance.randrange(len(whole))
        whole = whole[:at] + chance.randbytes(4) + whole[at + 4 :]
    return whole


def notified(chance: Random) -> bytes:
    """Return a post of a registry or a scheduler."""
    if chance.random() < 0.2:
        body = spoiled_json(chance, MACHINES)
        return request(chance, "POST", "/v1/starts/machines", body)
    feed = chance.choice(FEEDS)
    body = spoiled_json(chance, chance.choice(DOCUMENTS[feed]))
    return request(chance, "POST", f"/v1/notifications/{feed}", body)


def asked(chance: Random) -> bytes:
    """Return a question at the JSON door."""
    name = chance.choice(tuple(METHODS))
    value: Any = {}
    with suppress(ValueError):  # a duration that is none has no words
        value = plain(filled(chance, METHODS[name].request), defaults=False)
    body = spoiled_json(chance, value or {"page_size": 1})
    return request(chance, "POST", f"/v1/{name}", body)


def pulled(chance: Random) -> bytes:
    """Return a request of a client of the router."""
    path = chance.choice(PATHS)
    path = spoiled_text(chance, path) if chance.random() < 0.3 else path
    method = chance.choice(("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"))
    return request(chance, method, quote(path, safe="/?=&:%"), b"")


async def answered(port: int, sent: bytes) -> int:
    """Return the status of the answer; 0: there was none, and we hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            line = await reader.readline()
    except (ConnectionError, TimeoutError):
        return 0  # more of it was promised than came
    finally:
        writer.close()
    return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4_096


async def test_agent_outlives_every_request(tmp_path: Path) -> None:
    """Healthy at the end, hardly larger, without a traceback in its log."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    await asyncio.to_thread(broker.start)
    ports = {"door": free_port(), "router": free_port()}
    agent = RealAgent(
        tmp_path / "agent",
        {
            "NATS__URL": broker.url,
            "SERVER": f"127.0.0.1:{free_port()}",  # nobody is there
            "AGENT__DOOR__HTTP_LISTEN": f"127.0.0.1:{ports['door']}",
            "AGENT__ROUTER__LISTEN": f"127.0.0.1:{ports['router']}",
            "AGENT__REGISTRY__URL": f"http://127.0.0.1:{free_port()}",
        },
    )
    statuses: dict[int, int] = {}

    async def seed(number: int) -> None:
        chance = Random(SEED * 1_000 + number)
        for port, made in (
            (agent.port, notified),
            (ports["door"], asked),
            (ports["router"], pulled),
        ):
            status = await answered(port, made(chance))
            statuses[status] = statuses.get(status, 0) + 1

    async def seeds(first: int, last: int) -> None:
        for start in range(first, last, AT_ONCE):
            await asyncio.gather(*map(seed, range(start, min(last, start + AT_ONCE))))

    try:
        agent.start()
        await agent.ready()
        await seeds(-WARMING_SEEDS, 0)
        before = resident_bytes(agent.pid)
        await seeds(0, SEEDS)
        grown = resident_bytes(agent.pid) - before
        health = await agent.health()
        code = agent.stop()
        output = agent.output()
    finally:
        agent.kill()
        broker.kill()

    told = {f"answered_{status}": count for status, count in sorted(statuses.items())}
    tell("a fuzzed agent", seeds=SEEDS, grown_mib=grown / (1 << 20), **told)
    assert health["status"] == "SERVING"
    assert health["spooled"] > SEEDS / 4
    assert code == 0
    assert grown < GROWN_BYTES_MAX
    assert 500 not in statuses
    assert statuses[0] < SEEDS / 2
    assert "Traceback" not in output
    assert '"level": "error"' not in output
