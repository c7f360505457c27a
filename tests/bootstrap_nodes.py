"""Services in this process on one log in memory, which give each other checkpoints.

Everything between the log and the port is real: the projector, the file, the server.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from placement.adapters.memory import MemoryEventLog
from placement.adapters.sqlite.generations import CheckpointGenerations
from placement.adapters.sqlite.sharing import CheckpointCopies
from placement.adapters.sqlite.staging import CheckpointStaging
from placement.api.server import ServerSettings, build_server
from placement.client.peers import GrpcPeer
from placement.core.event import Event
from placement.core.fingerprint import fingerprint
from placement.offers import HashedChunk, Offer, Peer, PeerError
from placement.ports import EventLog
from placement.runtime.bootstrap import Bootstrap, BootstrapSettings
from placement.runtime.exchange import Exchange
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Publisher
from placement.runtime.replay import replay
from placement.runtime.sharing import Sharing, SharingSettings
from placement.runtime.view import ServingState, View
from tests.builders import TOPOLOGY
from tests.projecting import pushes

WAIT_S = 60.0
QUICK = ProjectorSettings(checkpoint_interval_seconds=0.1)
GIVING = SharingSettings(bytes_per_second=2**30)
TAKING = BootstrapSettings(retry_seconds=0.01)


def new_log() -> MemoryEventLog:
    """Return an empty log that is heard often."""
    return MemoryEventLog(time.time_ns, idle_seconds=0.05)


async def store_each(log: MemoryEventLog, events: Iterable[Event]) -> None:
    """Store each of *events* in a message of its own."""
    publisher = Publisher(log, View(time.time_ns))
    for event in events:
        await publisher.publish([event])


@dataclass
class Node:
    """One service's files, and how it is set up."""

    directory: Path
    log: EventLog
    peers: Sequence[Peer] = ()
    giving: SharingSettings = GIVING
    taking: BootstrapSettings = TAKING
    settings: ProjectorSettings = QUICK

    @property
    def file(self) -> Path:
        """Where its checkpoint is."""
        return self.directory / "checkpoint.sqlite"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Running"]:
        """Run it within the block, as ``app`` does."""
        self.directory.mkdir(exist_ok=True)
        generations = CheckpointGenerations(self.file)
        staging = CheckpointStaging(self.file, generations)
        view = View(time.time_ns)
        projector = Projector(self.log, generations, view, time.time_ns, self.settings)
        sharing = Sharing(projector.offer, CheckpointCopies(self.file), self.giving)
        bootstrap = Bootstrap(self.peers, staging, self.log, self.taking)
        projector.bootstrap = bootstrap
        await projector.restore()
        settings = ServerSettings(exchange=Exchange(sharing, bootstrap))
        publisher = Publisher(self.log, view)
        server = build_server(settings, view, TOPOLOGY, publisher, time.time_ns)
        target = f"127.0.0.1:{await server.start()}"
        task = asyncio.create_task(projector.run())
        try:
            yield Running(target, projector, view, sharing, bootstrap, staging, task)
        finally:
            await server.stop(0)
            task.cancel()
            await asyncio.wait({task})
            if task.cancelled():
                await projector.finish()
            await sharing.close()
            await staging.close()
            await generations.close()


@dataclass
class Running:
    """One run of it."""

    target: str
    projector: Projector
    view: View
    sharing: Sharing
    bootstrap: Bootstrap
    staging: CheckpointStaging
    task: asyncio.Task[None]

    @property
    def peer(self) -> GrpcPeer:
        """It, as a peer of others."""
        return GrpcPeer(self.target, None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once *condition* holds; raises what ended the run, or TimeoutError."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.002)

    async def live_at(self, sequence: int) -> None:
        """Return once answers are LIVE and rest on *sequence* or more."""
        live = ServingState.LIVE
        await self.until(
            lambda: (
                self.view.state.sequence >= sequence
                and self.view.serving_state() is live
            )
        )

    async def require_equal(self, log: EventLog) -> None:
        """Assert that it is LIVE with the state that a fold of *log* gives."""
        expected = await replay(log)
        await self.live_at(expected.sequence)
        assert self.view.state.sequence == expected.sequence
        assert fingerprint(self.view.state) == expected.fingerprint


Item = Offer | HashedChunk
Change = Callable[[list[Item]], list[Item]]


@dataclass
class Meddler:
    """A peer whose words are changed on their way; it notes what it was asked."""

    real: Peer
    change: Change = list
    breaks_after: int = 0
    """Of each stream's chunks so many come, and then the connection breaks; 0: all."""
    streams: list[tuple[str, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return self.real.name

    async def stream(
        self, fold_version: int, checkpoint_id: str, held_count: int
    ) -> AsyncGenerator[Item, None]:
        """Yield what the real one says, changed."""
        self.streams.append((checkpoint_id, held_count))
        said: list[Item] = []
        real = self.real.stream(fold_version, checkpoint_id, held_count)
        async with aclosing(real):
            async for item in real:
                said.append(item)
                if self.breaks_after and len(said) > self.breaks_after:
                    break
        for item in self.change(said):
            yield item
        if self.breaks_after and len(said) > self.breaks_after:
            message = "the connection broke"
            raise PeerError(message, again=True)


async def filled(directory: Path, count: int) -> tuple[MemoryEventLog, Node]:
    """Return a log of *count* messages and a node that will fold it."""
    log = new_log()
    await store_each(log, pushes(count))
    return log, Node(directory / "giver", log)
