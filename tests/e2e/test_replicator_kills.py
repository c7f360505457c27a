"""A copy of 100 MB survives kill -9 of whoever makes it, and moves nothing twice."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.agent.registry.client import Registry
from placement.agent.registry.manifests import Manifest
from placement.agent.registry.opening import opened
from placement.core.event import (
    ContentReplicated,
    Event,
    Fact,
    Recorded,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationStarted,
)
from placement.core.facts.values import Identifier
from placement.wire.events import decode_items, encode_message
from tests.copiers import IAD, SYD, copy_of, until
from tests.docker_registry import DockerRegistry, needs_registry
from tests.figures import tell
from tests.link_proxy import LinkProxy
from tests.nats_server import NatsServer, newest_server
from tests.registry_images import WEB, push_image

pytestmark = needs_registry

MEGABYTE = 1_000_000
LAYERS = (40 * MEGABYTE, 30 * MEGABYTE, 20 * MEGABYTE, 10 * MEGABYTE)
RATE = 25 * MEGABYTE
MEMORY_GROWTH_MAX_KB = 32 * 1024
COPY_SECONDS_MAX = 60


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a NATS server."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Run the registry that has the image."""
    with DockerRegistry(tmp_path / "source", "iad") as registry:
        yield registry


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Run the registry that is to have it."""
    with DockerRegistry(tmp_path / "target", "syd") as registry:
        yield registry


class Copying:
    """The process that copies."""

    def __init__(
        self, directory: Path, broker: NatsServer, target: DockerRegistry, source: str
    ) -> None:
        """Start it."""
        options = {"nats": broker.url, "own": target.url, "source": source}
        command = [sys.executable, "-m", "tests.replicator_process"]
        self.log = directory / "copying.log"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, json.dumps(options)],
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[2],
            )

    def kill(self) -> None:
        """End it without a chance to do anything more."""
        self.process.kill()
        self.process.wait(10)

    def forget_most_memory(self) -> None:
        """Let the most that it ever had be what it has now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory_kb(self, name: str) -> int:
        """Return a line of its memory, such as VmHWM, the most that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [one for one in status.splitlines() if one.startswith(f"{name}:")]
        return int(line.split()[1])


@asynccontextmanager
async def client(registry: DockerRegistry) -> AsyncIterator[Registry]:
    """Give our client of a registry."""
    async with opened(registry.settings()) as found:
        yield found


async def decide(log: JetStreamLog, image: Manifest) -> None:
    """Decide to copy *image*."""
    copy = copy_of(image.descriptor.digest)
    planned = ReplicationPlanned(copy.subject, IAD, priority=1)
    event = Event(Identifier("r-1"), SYD, planned)
    await log.append(*encode_message([event]))


async def facts(log: JetStreamLog) -> list[Fact]:
    """Return all that was reported so far."""
    found: list[Fact] = []
    async for batch in log.read(0):
        if not batch:
            break
        for message in batch:
            items = decode_items(message)
            found += [one.event.fact for one in items if isinstance(one, Recorded)]
    return found


async def completed(log: JetStreamLog, count: int = 1) -> ReplicationCompleted:
    """Return how the last of *count* copies was completed, once it was."""
    async with asyncio.timeout(COPY_SECONDS_MAX):
        while True:
            told = await facts(log)
            done = [one for one in told if isinstance(one, ReplicationCompleted)]
            if len(done) == count:
                return done[-1]
            await asyncio.sleep(0.2)


async def until_there(own: Registry, image: Manifest, size_bytes: int) -> None:
    """Return once so many bytes of the image's blobs are whole and there."""
    async with asyncio.timeout(COPY_SECONDS_MAX):
        while True:
            if sum(await whole_blobs(own, image)) >= size_bytes:
                return
            await asyncio.sleep(0.05)


async def whole_blobs(own: Registry, image: Manifest) -> list[int]:
    """Return the sizes of the image's blobs that are there."""
    sizes = [await own.find_blob(WEB, one.digest) for one in image.references]
    return [size for size in sizes if size is not None]


async def test_killed_copier_goes_on_where_it_was(
    broker: NatsServer, source: DockerRegistry, target: DockerRegistry, tmp_path: Path
) -> None:
    """After kill -9 in the middle, what was whole does not move again."""
    async with (
        LinkProxy(source.address, RATE) as link,
        client(source) as there,
        client(target) as own,
    ):
        log = await JetStreamLog.connect(broker.settings)
        image = await push_image(there, LAYERS)
        await decide(log, image)
        first = Copying(tmp_path, broker, target, link.url)
        await until_there(own, image, 30 * MEGABYTE)
        first.kill()
        await asyncio.sleep(0.5)  # what was on its way has arrived
        kept, before = sum(await whole_blobs(own, image)), link.received

        second = Copying(tmp_path, broker, target, link.url)
        done = await completed(log)

        assert await own.manifest(WEB, image.descriptor.digest) == image
        moved = sum(LAYERS) - kept
        tell(
            "a copier killed in mid-copy",
            whole_bytes=kept,
            left_bytes=moved,
            moved_bytes=link.received - before,
        )
        assert moved < link.received - before < moved + 2 * MEGABYTE
        assert done.attempt == 2
        attempts = [
            one.attempt
            for one in await facts(log)
            if isinstance(one, ReplicationStarted)
        ]
        assert attempts == [1, 2]
        second.kill()
        await log.close()


@pytest.mark.long
async def test_copy_outlives_both_registries(
    broker: NatsServer, source: DockerRegistry, target: DockerRegistry, tmp_path: Path
) -> None:
    """Kill -9 of the source, then of the target: the copy completes all the same."""
    async with (
        LinkProxy(source.address, RATE) as link,
        client(source) as there,
        client(target) as own,
    ):
        log = await JetStreamLog.connect(broker.settings)
        image = await push_image(there, LAYERS)
        await decide(log, image)
        copying = Copying(tmp_path, broker, target, link.url)
        await until(lambda: link.received > 20 * MEGABYTE)
        source.kill()
        await asyncio.sleep(0.3)
        source.start()
        await until_there(own, image, 30 * MEGABYTE)
        target.kill()
        await asyncio.sleep(0.3)
        target.start()

        await completed(log)

        assert await own.manifest(WEB, image.descriptor.digest) == image
        arrived = [
            one for one in await facts(log) if isinstance(one, ContentReplicated)
        ]
        assert all(one.verified for one in arrived)
        copying.kill()
        await log.close()


async def test_memory_stays_flat(
    broker: NatsServer, source: DockerRegistry, target: DockerRegistry, tmp_path: Path
) -> None:
    """100 MB pass through less than 32 MiB."""
    async with client(source) as there:
        log = await JetStreamLog.connect(broker.settings)
        small = await push_image(there, (1000,), seed=2)
        image = await push_image(there, LAYERS)
        copying = Copying(tmp_path, broker, target, source.url)
        await decide(log, small)
        await completed(log)
        before = copying.memory_kb("VmRSS")
        copying.forget_most_memory()

        copy = copy_of(image.descriptor.digest, "r-2")
        planned = ReplicationPlanned(copy.subject, IAD, priority=1)
        await log.append(*encode_message([Event(Identifier("r-2"), SYD, planned)]))
        done = await completed(log, 2)

        grown = copying.memory_kb("VmHWM") - before
        tell("a copy of 100 MB", memory_growth_kb=grown, moved=done.transferred_bytes)
        assert done.transferred_bytes > sum(LAYERS)
        assert grown < MEMORY_GROWTH_MAX_KB, f"{grown} kB"
        copying.kill()
        await log.close()
