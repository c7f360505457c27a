"""Load on several services over one log, and what clients saw of it."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.memory_spool import MemorySpool
from placement.agent.outlets import LogOutlet
from placement.agent.sender import Sender
from placement.agent.spooled import EVENTS, spooled_report
from placement.agent.translators import from_bundle
from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import PlacementError
from placement.v1 import basis_pb2, events_pb2
from placement.wire.events import decode_event
from tests.real_service import POLL_SECONDS, RealService

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
REPOSITORY: Final = "acme/web"
BATCH_EVENTS: Final = 10
PUBLISH_PAUSE_SECONDS: Final = 0.05
QUERY_PAUSE_SECONDS: Final = 0.03
MAY_BE_REPEATED: Final = frozenset(
    {"LOG_UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAVAILABLE"}
)
NS: Final = 1_000_000_000
LIVE: Final = basis_pb2.SERVING_STATE_LIVE
BROKEN: Final = basis_pb2.SERVING_STATE_EPOCH_BROKEN


def push(name: str) -> events_pb2.Event:
    """Return the push of a digest of its own, named by its own tag."""
    digest = f"sha256:{int.from_bytes(name.encode()):064x}"
    content = events_pb2.Descriptor(media_type=MANIFEST, digest=digest, size_bytes=100)
    pushed = events_pb2.ContentPushed(content=content, repository=REPOSITORY, tag=name)
    return events_pb2.Event(event_id=name, region="iad", content_pushed=pushed)


@dataclass
class Seen:
    """What was seen of one service."""

    sequence: int = 0
    moved_s: float = 0.0
    gap_s: float = 0.0
    """The longest time in which it folded nothing."""
    epochs: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def note(self, basis: basis_pb2.Basis, now_s: float) -> None:
        """Note an answer's basis: it may never go back or say that the log broke."""
        self.epochs.add(basis.epoch)
        if basis.state == BROKEN:
            self.faults.append(f"epoch broken at {basis.sequence}")
        if basis.sequence < self.sequence:
            self.faults.append(f"went back: {self.sequence} to {basis.sequence}")
        if basis.sequence > self.sequence:
            if self.sequence:
                self.gap_s = max(self.gap_s, now_s - self.moved_s)
            self.sequence, self.moved_s = basis.sequence, now_s


@dataclass
class ClusterLoad:
    """Publishers that repeat until acknowledged, an outbox, and queries.

    What was acknowledged is in ``acknowledged``, by event id. *target* leads to any of
    *services*; those that answer are asked one by one for what they have folded.
    """

    services: Sequence[RealService]
    servers: tuple[str, ...]
    acknowledged: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    query_count: int = 0
    slowest_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Have seen nothing of any service."""
        self.seen = [Seen() for _ in self.services]

    @property
    def target(self) -> str:
        """All services as one target of gRPC: the first that can be reached answers."""
        return "ipv4:" + ",".join(service.target for service in self.services)

    @property
    def gap_s(self) -> float:
        """The longest time in which some service folded nothing."""
        return max(seen.gap_s for seen in self.seen)

    @property
    def faults(self) -> list[str]:
        """Whatever should never be seen."""
        return self.failures + [fault for seen in self.seen for fault in seen.faults]

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Publish what queries ask for, and begin all load in *tasks*."""
        async with PlacementClient(self.target, timeout_s=20) as client:
            stored = await client.publish_events([push("first")])
            self.acknowledged.append("first")
            for service in self.services:
                async with PlacementClient(service.target, timeout_s=20) as one:
                    await one.resolve_reference(
                        REPOSITORY, "first", token=stored.token, fail=True
                    )
        tasks.create_task(self.publish("p0"))
        tasks.create_task(self.send())
        for number in range(len(self.services)):
            tasks.create_task(self.query())
            tasks.create_task(self.watch(number))

    async def publish(self, publisher: str) -> None:
        """Publish batch after batch; one that is not acknowledged comes again."""
        number = 0
        async with PlacementClient(self.target, timeout_s=10) as client:
            while not self.over.is_set():
                names = [f"{publisher}-{number + i}" for i in range(BATCH_EVENTS)]
                number += BATCH_EVENTS
                while True:
                    try:
                        await client.publish_events([push(name) for name in names])
                    except PlacementCallError as error:
                        if error.reason not in MAY_BE_REPEATED:
                            self.failures.append(f"publish: {error}")
                        await asyncio.sleep(PUBLISH_PAUSE_SECONDS)
                    else:
                        break
                self.acknowledged += names
                await asyncio.sleep(PUBLISH_PAUSE_SECONDS)

    async def send(self) -> None:
        """Send from an agent's outbox, straight into the log, until it is empty."""
        settings = JetStreamSettings(servers=self.servers, replicas=len(self.servers))
        outlet = LogOutlet(JetStreamLog(settings), lambda: JetStreamLog(settings))
        spool = MemorySpool(time.time_ns)
        sender = Sender(spool, outlet, {EVENTS: from_bundle}, random.random)
        report = spooled_report(spool, time.time_ns)
        sending = asyncio.create_task(sender.run())
        number = 0
        try:
            while not self.over.is_set():
                name = f"outbox-{number}"
                number += 1
                with suppress(PlacementError):  # full: it was not taken
                    await report([decode_event(push(name))])
                    self.acknowledged.append(name)
                await asyncio.sleep(PUBLISH_PAUSE_SECONDS)
            async with asyncio.timeout(60):
                while spool.figures.waiting_count:  # noqa: ASYNC110 - a spool tells nobody that it is empty
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await outlet.close()

    async def query(self) -> None:
        """Ask for what was acknowledged first, for as long as the load lasts."""
        async with PlacementClient(self.target, timeout_s=10) as client:
            while not self.over.is_set():
                began = time.monotonic()
                try:
                    await client.resolve_reference(REPOSITORY, "first")
                except PlacementCallError as error:
                    self.failures.append(f"query: {error}")
                self.query_count += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                await asyncio.sleep(QUERY_PAUSE_SECONDS)

    async def watch(self, number: int) -> None:
        """Note how one service's answers go on, while it runs."""
        seen, service = self.seen[number], self.services[number]
        async with PlacementClient(service.target, timeout_s=2) as client:
            while not self.over.is_set():
                with suppress(PlacementCallError):
                    info = await client.get_service_info()
                    seen.note(info.basis, time.monotonic())
                await asyncio.sleep(QUERY_PAUSE_SECONDS)

    async def folded(self, seconds_max: float = 60.0) -> None:
        """Return once every service has folded something that is stored only now."""
        name = f"now-{time.monotonic_ns()}"
        async with asyncio.timeout(seconds_max), AsyncExitStack() as stack:
            any_one = await stack.enter_async_context(
                PlacementClient(self.target, timeout_s=10)
            )
            while True:
                try:
                    stored = await any_one.publish_events([push(name)])
                    break
                except PlacementCallError:
                    await asyncio.sleep(PUBLISH_PAUSE_SECONDS)
            self.acknowledged.append(name)
            for service in self.services:
                one = await stack.enter_async_context(
                    PlacementClient(service.target, timeout_s=10)
                )
                while True:
                    try:
                        await one.resolve_reference(
                            REPOSITORY, name, token=stored.token, fail=True
                        )
                        break
                    except PlacementCallError:
                        await asyncio.sleep(PUBLISH_PAUSE_SECONDS)
