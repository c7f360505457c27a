"""Those who decide copies and those who make them: decisions are facts in the log.

Every replica decides for itself, with the real planner. In each region either a copier
asks replicas what is open, some of which are behind, or a worker takes the decisions
from the log itself, as from a work queue. Neither looks whether content is there
already: what was decided twice is copied twice, and found.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from google.protobuf.message import DecodeError

from placement.core.decisions import open_copies
from placement.core.errors import InputError, PlacementError
from placement.core.event import (
    ContentReplicated,
    Event,
    Fact,
    FailureCause,
    Identifier,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationSubject,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from placement.ports import Message
from placement.runtime.view import ServingState
from placement.v1 import events_pb2 as pb
from placement.wire.events import BATCH, DECISIONS_PREFIX, decode_event
from tests.simulator.cluster import Cluster
from tests.simulator.history import Effect
from tests.simulator.publishers import Outbox
from tests.simulator.replica import Service
from tests.simulator.workload import WHOLE
from tests.simulator.world import LostError, World

ROUND_SECONDS: Final = 4.0
CALL_SECONDS_MAX: Final = 8.0
COPY_SECONDS_MAX: Final = 4.0
FAILING: Final = 0.1
"""The chance that a copy fails."""
BEHIND: Final = 0.3
"""The chance that a copier believes a replica that says it may be behind."""
_CLOSED: Final = frozenset(
    {DecisionStatus.FAILED, DecisionStatus.CANCELLED, DecisionStatus.EXPIRED}
)
COPIERS: Final = "copier-"
"""The ids of all that is told about copies begin with it."""


class Planners:
    """Nobody: the replicas' planners run by themselves. It knows when they are idle."""

    async def run(self, cluster: Cluster) -> None:
        """Do nothing, for ever."""
        del cluster
        await asyncio.Event().wait()

    def settled(self, cluster: Cluster) -> bool:
        """Say whether no planner has anything to decide."""
        services = (replica.service for replica in cluster.replicas)
        return all(service is not None and service.planner.idle for service in services)


class Carrier:
    """Makes the copies that are planned for one region, each decision at most once."""

    def __init__(self, region: Region) -> None:
        """Work for *region*; what was begun is remembered for ever."""
        self._region = region
        self._begun: set[str] = set()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._outbox = Outbox(f"{COPIERS}{region}")

    async def run(self, cluster: Cluster) -> None:
        """Look for work, do it, and tell, for ever."""
        world = cluster.world
        while True:
            await asyncio.sleep(world.random.random() * ROUND_SECONDS)
            try:
                await self._look(cluster)
                if self._outbox.unsettled():
                    await self._outbox.send(cluster)
                else:
                    await self._outbox.look(cluster)
            except (LostError, PlacementError):
                pass

    def settled(self, cluster: Cluster) -> bool:
        """Say whether everything that it did was told."""
        del cluster
        return not self._under_way and not self._outbox.unsettled()

    async def _look(self, cluster: Cluster) -> None:
        raise NotImplementedError

    def _begin(self, world: World, effect: Effect) -> None:
        if effect.decision_id in self._begun:
            return
        self._begun.add(effect.decision_id)
        copying = asyncio.create_task(self._copy(world, effect))
        self._under_way[effect.decision_id] = copying

    def _abandon(self, decision_id: str) -> None:
        """Stop a copy that was called off: nothing of it arrives."""
        copying = self._under_way.pop(decision_id, None)
        if copying is not None:
            copying.cancel()

    async def _copy(self, world: World, effect: Effect) -> None:
        repository = Repository(effect.repository)
        contents = tuple(WHOLE.get(effect.digest, ()))
        subject = ReplicationSubject(
            Identifier(effect.decision_id),
            repository,
            Digest(effect.digest),
            self._region,
        )
        self._tell(effect, "begun", ReplicationStarted(subject, None, 1))
        await asyncio.sleep(world.random.random() * COPY_SECONDS_MAX)
        self._under_way.pop(effect.decision_id, None)
        if world.random.random() < FAILING:
            failed = ReplicationFailed(subject, attempt=1, cause=FailureCause.SOURCE)
            self._tell(effect, "failed", failed)
            return
        world.history.effects.append(effect)
        self._tell(effect, "there", ContentReplicated(contents, repository))
        moved = _size(contents)
        self._tell(effect, "done", ReplicationCompleted(subject, moved, attempt=1))

    def _tell(self, effect: Effect, what: str, fact: Fact) -> None:
        own_id = Identifier(f"{COPIERS}{effect.decision_id}-{what}")
        self._outbox.add(Event(own_id, self._region, fact))


class Copier(Carrier):
    """Asks replicas what is open, again and again, as with WatchReplications."""

    async def _look(self, cluster: Cluster) -> None:
        world = cluster.world
        anybody = world.random.random() < BEHIND
        known = list(self._under_way)

        async def handler(service: Service) -> tuple[list[Effect], list[str]]:
            live = service.view.serving_state() is ServingState.LIVE
            return self._told(service, known) if live or anybody else ([], [])

        found, over = await cluster.any_replica().ask(handler, CALL_SECONDS_MAX)
        for decision_id in over:
            self._abandon(decision_id)
        for effect in found:
            self._begin(world, effect)

    def _told(
        self, service: Service, known: list[str]
    ) -> tuple[list[Effect], list[str]]:
        """Return what is open, and which of the *known* decisions are called off."""
        state, found, over = service.view.state, [], []
        region = state.regions.find(self._region.encode())
        records = [] if region == ABSENT else open_copies(state, Row(region))
        for record in records:
            repository, digest = state.placement_at(record.placement)
            found.append(
                Effect(
                    record.replication_id,
                    digest,
                    self._region,
                    record.trigger_sequence,
                    service.view.epoch,
                    f"copier-{self._region}",
                    repository,
                )
            )
        for decision_id in known:
            row = state.decisions.find(decision_id.encode())
            if row != ABSENT and state.decisions.get(row, 0) in _CLOSED:
                over.append(decision_id)
        return found, over


class Worker(Carrier):
    """Takes decisions from the log, in order, as from a JetStream work queue.

    What it was given before a crash of the log it is given again.
    """

    def __init__(self, region: Region) -> None:
        """Begin with the first message."""
        super().__init__(region)
        self._read = (0, 0)
        """Which life of the log was read, and how far."""

    async def _look(self, cluster: Cluster) -> None:
        world, log = cluster.world, cluster.world.log
        if not log.reachable:
            return
        number, position = len(log.lives), self._read[1]
        if number != self._read[0]:
            position = 0
        messages = log.life.messages[position:]
        self._read = (number, position + len(messages))
        for message in messages:
            for event in _events_in(message):
                self._take(world, event)

    def _take(self, world: World, event: Event) -> None:
        match event.fact:
            case ReplicationPlanned(subject=subject) as fact:
                late = (fact.expire_time_ns or world.now_ns()) < world.now_ns()
                if subject.target_region == self._region and not late:
                    self._begin(world, self._effect(world, fact))
            case (
                ReplicationCancelled(subject=subject)
                | ReplicationExpired(subject=subject)
            ):
                self._abandon(subject.replication_id)
            case _:
                pass

    def _effect(self, world: World, fact: ReplicationPlanned) -> Effect:
        subject = fact.subject
        return Effect(
            subject.replication_id,
            subject.digest,
            self._region,
            fact.trigger_sequence,
            world.log.life.epoch,
            f"worker-{self._region}",
            subject.repository,
        )


def _events_in(message: Message) -> Iterator[Event]:
    """Yield what a message on the decisions' subjects holds, as far as it is readable.

    A worker has a reader of its own: what ends the services' one does not end it.
    """
    if not message.subject.startswith(DECISIONS_PREFIX):
        return
    batch = message.subject.endswith(f".{BATCH}")
    with suppress(DecodeError, InputError):
        protos = (
            pb.EventBatch.FromString(message.body).events
            if batch
            else [pb.Event.FromString(message.body)]
        )
        yield from [decode_event(proto) for proto in protos]


def _size(contents: tuple[Descriptor, ...]) -> int:
    return sum(content.size_bytes for content in contents)


def carriers(world: World, regions: list[Region]) -> Iterator[Carrier]:
    """Yield who copies into each of *regions*: a copier or a worker, by chance."""
    for region in regions:
        yield world.random.choice([Copier, Worker])(region)
