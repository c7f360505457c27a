"""A region's agent: the real spool's sender, receiver, inventory and replicator.

A run of it is a process, as a replica's is; its spool and its scan's position stay.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.translation import FeedSettings
from placement.agent.inventory.inventory import Inventory
from placement.agent.inventory.settings import InventorySettings
from placement.agent.outlets import LogOutlet
from placement.agent.quiet import Quiet
from placement.agent.receiver import DISTRIBUTION, Receiver, ReceiverSettings
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.agent.router.router import Router
from placement.agent.router.settings import RouterSettings
from placement.agent.sender import Sender
from placement.agent.spooled import EVENTS, spooled_report
from placement.agent.supervision import Part, supervise
from placement.agent.translators import at_once, from_bundle
from placement.agent.underway import Underway
from placement.client.local_answers import LocalAnswers
from placement.core.errors import PlacementError
from placement.core.event import Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.ports import Clock
from tests.builders import SECOND_NS, START_NS
from tests.simulator.believed import AskedKnown, KeptPosition
from tests.simulator.cluster import Cluster
from tests.simulator.follower import Follower
from tests.simulator.history import Received
from tests.simulator.log import LogConnection
from tests.simulator.mouths import Got, answered, got_of, has_routers
from tests.simulator.process import KilledError, Process
from tests.simulator.registries import SimulatedRegistry
from tests.simulator.replica import START_SECONDS_MAX
from tests.simulator.shelf import CLIENT, Shelf
from tests.simulator.spool import DiskSpool
from tests.simulator.work_queue import Consumer, SimulatedQueue
from tests.simulator.workload import TOPOLOGY
from tests.simulator.world import LostError, World

CALL_SECONDS_MAX: Final = 8.0
GET_SECONDS_MAX: Final = 40.0
SPOOLS: Final = Path(gettempdir())
"""For files without a name."""
LOOK_SECONDS: Final = 0.5
INTERVAL_SECONDS: Final = [12, 25]
"""Between two scans."""
REQUESTS_PER_SECOND: Final = 200.0


@dataclass(eq=False)
class Running:
    """One run of an agent: everything in it is memory."""

    process: Process
    connection: LogConnection
    receiver: Receiver
    replicator: Replicator
    router: Router
    local: LocalAnswers


class Site:
    """Where an agent runs beside its registry, again and again."""

    def __init__(
        self, world: World, region: Region, shelves: Mapping[Region, Shelf]
    ) -> None:
        """Be down; its clock is a little wrong."""
        self.name = f"agent-{region}"
        self.region = region
        self.shelf = shelves[region]
        self.running: Running | None = None
        self.cut_off = False
        self._shelves = shelves
        self._world = world
        random = world.random
        self._skew_ns = random.choice([0, 0, SECOND_NS, -SECOND_NS])
        self.spool = DiskSpool(self.clock, random)
        self.position = KeptPosition(region)
        self._interval_s = random.choice(INTERVAL_SECONDS)
        self._consumer = Consumer(world.log, world.loop, region)
        self._start_seconds = 0.0
        self._run_count = 0
        self.quiet_seconds: float | None = None
        """Since when nobody but us has changed any registry; None: not so."""

    @property
    def clock(self) -> Clock:
        """Its own idea of the time."""
        return lambda: self._world.now_ns() + self._skew_ns

    @property
    def life(self) -> Process | None:
        """The process that runs now."""
        return None if self.running is None else self.running.process

    async def run(self, cluster: Cluster) -> None:
        """Start what is down, for ever."""
        while True:
            due = self._world.loop.now_seconds >= self._start_seconds
            if due and self.running is None:
                self._start(cluster)
            await asyncio.sleep(LOOK_SECONDS)

    def settled(self, cluster: Cluster) -> bool:
        """Say whether all is told, and scanned since nobody changed anything."""
        del cluster
        idle = self._consumer.idle and not self.spool.figures.waiting_count
        return self.running is not None and idle and self._is_scanned()

    def _is_scanned(self) -> bool:
        """Say whether one whole scan began since nobody changes anything.

        And since all that was told of it was in the log: what comes late is believed,
        until a scan that begins later finds otherwise. Of an eviction's garbage only
        the image's own is told: what else was collected, as layers whose manifest never
        came, only a scan finds gone.
        """
        position, since = self.position.read(), self.quiet_seconds
        if position is None or since is None or not position.complete:
            return False
        if position.scan_time_ns <= self.spool.told_ns:
            return False
        began_ns = position.scan_time_ns - self._skew_ns - START_NS
        return began_ns > max(since, self.shelf.collected_seconds) * SECOND_NS

    async def _sleep(self, seconds: float) -> None:
        """Wait between scans: not long for the last one, and for ever after it."""
        loop = self._world.loop
        due_seconds = loop.now_seconds + seconds
        while self._is_scanned() or loop.now_seconds < due_seconds:
            left = due_seconds - loop.now_seconds
            await asyncio.sleep(max(0.0, min(left, LOOK_SECONDS)) or LOOK_SECONDS)
            if self.quiet_seconds is not None:
                due_seconds = min(due_seconds, loop.now_seconds)

    def _start(self, cluster: Cluster) -> None:
        self._run_count += 1
        process = Process(f"{self.name}.{self._run_count}")
        world, clock, chance = self._world, self.clock, self._world.random.random
        connection = LogConnection(world.log)
        connection.cut_off = self.cut_off
        spool, region = self.spool, self.region
        feed = FeedSettings(region=region, publisher=Name(self.name))
        translated = feeds(feed)[DISTRIBUTION]
        sender = Sender(
            spool,
            LogOutlet(connection),
            {EVENTS: from_bundle, DISTRIBUTION: at_once(translated)},
            chance,
        )
        receiver = Receiver(
            ReceiverSettings(region=region, feeds=[DISTRIBUTION]), spool.put, clock
        )
        report = spooled_report(spool, clock)
        registries = {
            one: SimulatedRegistry(self._shelves, one) for one in self._shelves
        }
        underway, quiet = Underway(), Quiet()
        follower = Follower(world, f"{self.name}.replica", is_noted=False)
        local = LocalAnswers(follower.feed, TOPOLOGY, clock)
        router = Router(
            RouterSettings(region=region, directory=SPOOLS, publisher=Name(self.name)),
            local,
            registries,
            report,
            underway=underway,
            quiet=quiet,
            clock=clock,
            chance=chance,
        )
        replicator = Replicator(
            ReplicatorSettings(
                region=region, evict=True, garbage_collect_command=("collect",)
            ),
            registries,
            report,
            decisions=QueueDecisions(
                SimulatedQueue(self._consumer, connection), region
            ),
            underway=underway,
            quiet=quiet,
            clock=clock,
            chance=chance,
        )
        inventory = Inventory(
            InventorySettings(
                region=region,
                interval_ns=self._interval_s * SECOND_NS,
                requests_per_second=REQUESTS_PER_SECOND,
            ),
            registries[region],
            report,
            AskedKnown(cluster, region),
            clock,
            chance,
            self._sleep,
        )
        inventory._file = self.position  # noqa: SLF001 - its own file keeps by a thread
        parts = [
            Part("sender", sender.run),
            Part("inventory", inventory.run),
            Part("replicator", replicator.run),
        ]
        if has_routers(world.seed):
            parts.append(Part("replica", partial(follower.run, cluster)))
        self.running = Running(process, connection, receiver, replicator, router, local)
        process.spawn(self._supervised(parts))

    async def _supervised(self, parts: list[Part]) -> None:
        with suppress(KilledError):
            await supervise(parts, self._world.random.random)

    def crash(self, why: str, *, power: bool = False) -> None:
        """Lose all memory; what the disk took it has."""
        del power
        if self.running is None:
            return
        process, self.running = self.running.process, None
        self._world.note(f"{process.name} crashes: {why}")
        process.kill()
        self._world.loop.resume(process)
        seconds = self._world.random.random() * START_SECONDS_MAX
        self._start_seconds = self._world.loop.now_seconds + seconds

    def cut(self, *, off: bool) -> None:
        """Cut the way to the log, or mend it."""
        self.cut_off = off
        if self.running is not None:
            self.running.connection.cut_off = off

    def known(self, repository: Repository, reference: Digest | Tag) -> set[Digest]:
        """Return what the local replica says that a tag points to, if it is LIVE."""
        if self.running is None or not self.running.local.basis.live:
            return set()
        with suppress(PlacementError):
            return {self.running.local.resolve(repository, reference).digest}
        return set()

    @property
    def spared_count(self) -> int:
        """How many blobs its router left to clients to verify since it started."""
        return 0 if self.running is None else self.running.router.counts["spared"]

    async def get(self, path: str) -> Got:
        """Return what the router gives to a client; raises LostError."""
        await self._world.travel()
        running = self.running
        if running is None:
            raise LostError(self.name)
        asking = running.process.spawn(got_of(running.router, path))
        await asyncio.wait({asking}, timeout=GET_SECONDS_MAX)
        if not asking.done():
            asking.cancel()
            raise LostError(self.name)
        if asking.cancelled() or self.running is not running:
            raise LostError(self.name)
        error = asking.exception()
        if isinstance(error, KilledError):
            raise LostError(self.name)
        return asking.result()

    async def post(self, notification: dict[str, Any]) -> int:
        """Post to the agent as a registry does; return the status of its answer.

        Raises LostError where none came.
        """
        await self._world.travel()
        running = self.running
        if running is None:
            raise LostError(self.name)
        agent = notification["request"]["useragent"]
        is_use = notification["action"] == "pull" and agent == CLIENT
        if is_use:
            self._world.history.posted_uses.append(notification["id"])
        body = json.dumps({"events": [notification]}).encode()
        answering = running.process.spawn(answered(running.receiver, body))
        await asyncio.wait({answering}, timeout=CALL_SECONDS_MAX)
        if not answering.done():
            answering.cancel()
            raise LostError(self.name)
        if answering.cancelled() or answering.exception() is not None:
            raise LostError(self.name)
        if self.running is not running:
            raise LostError(self.name)
        status = answering.result()
        self._world.history.received.append(
            Received(
                self.region,
                notification["id"],
                status,
                is_use or notification["action"] != "pull",
            )
        )
        await self._world.travel()
        return status
