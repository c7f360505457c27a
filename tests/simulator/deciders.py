"""Those who decide copies and those who make them: decisions are facts in the log.

Every replica decides for itself, from its own state; all must decide the same. A copier
carries out what is planned for its region, each decision at most once.
"""

import asyncio
from contextlib import suppress
from hashlib import blake2b

from placement.core.errors import PlacementError
from placement.core.event import (
    Event,
    Identifier,
    Name,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationSubject,
)
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.table import Row
from placement.core.topology import Region
from placement.runtime.view import ServingState
from tests.simulator.cluster import Cluster
from tests.simulator.history import Effect
from tests.simulator.publishers import Outbox
from tests.simulator.replica import Service
from tests.simulator.workload import REGIONS
from tests.simulator.world import LostError, World

ROUND_SECONDS = 4.0
CALL_SECONDS_MAX = 8.0
POLICY = "copy what a tag points to"

Wanted = tuple[Effect, Repository]


class Planner:
    """Lets each replica decide, wherever one is LIVE; it keeps nothing itself."""

    async def run(self, cluster: Cluster) -> None:
        """Ask one replica after another to decide, for ever."""
        random = cluster.world.random
        while True:
            await asyncio.sleep(random.random() * ROUND_SECONDS)
            with suppress(LostError, PlacementError):
                await cluster.any_replica().ask(_decide, CALL_SECONDS_MAX)

    def settled(self, cluster: Cluster) -> bool:
        """Say whether no replica would decide anything more."""
        return not any(
            decisions(replica.service.view.state, replica.service.view.epoch)
            for replica in cluster.replicas
            if replica.service is not None
        )


async def _decide(service: Service) -> None:
    view = service.view
    if view.serving_state() is ServingState.LIVE:
        found = decisions(view.state, view.epoch)[:2]
        if found:
            await service.publisher.publish(found)


def decisions(state: State, epoch: str) -> list[Event]:
    """Return a copy for each tag into the first region that lacks what it points to."""
    found = []
    for _, owner in state.repositories.rows():
        repository = state.repository_at(owner)
        for _, pointer in state.tags_in(owner):
            row = state.find_placement(repository, pointer.digest)
            there = {record.region for record in state.replicas_of(row)}
            lacking = [region for region in REGIONS if region not in there]
            if not there or not lacking:
                continue
            event = _planned(
                repository, pointer.digest, lacking[0], pointer.sequence, epoch
            )
            if not _decided(state, event):
                found.append(event)
    return found


def _planned(
    repository: Repository, digest: Digest, target: Region, trigger: int, epoch: str
) -> Event:
    named = f"{digest}\n{target}\n{trigger}\n{epoch}\n{POLICY}".encode()
    own_id = Identifier(f"r-{blake2b(named, digest_size=8).hexdigest()}")
    subject = ReplicationSubject(own_id, repository, digest, target)
    source = next(region for region in REGIONS if region != target)
    fact = ReplicationPlanned(
        subject, source, trigger_sequence=trigger, policy=Name("simulated")
    )
    return Event(own_id, target, fact)


def _decided(state: State, event: Event) -> bool:
    """Say whether a decision with as new a trigger was folded for the same copy."""
    fact = event.fact
    assert isinstance(fact, ReplicationPlanned), "it is one of ours"
    key = fact.subject.replication_id.encode()
    if state.decisions.find(key) >= 0:
        return True
    for row in (row for _, row in state.decisions.rows()):
        _, placement, _, target, _, trigger, *_ = state.decisions.values(row)
        _, digest = state.placement_at(Row(placement))
        same = (digest, state.region_at(Row(target))) == (
            fact.subject.digest,
            fact.subject.target_region,
        )
        if same and trigger >= fact.trigger_sequence:
            return True
    return False


class Copier:
    """Makes the copies that are planned for one region."""

    def __init__(self, region: Region) -> None:
        """Work for *region*; what was done is remembered for ever."""
        self._region = region
        self._done: set[str] = set()
        self._outbox = Outbox(f"copier-{region}")

    async def run(self, cluster: Cluster) -> None:
        """Look for work, do it, and tell, for ever."""
        world = cluster.world
        while True:
            await asyncio.sleep(world.random.random() * ROUND_SECONDS)
            try:
                if self._outbox.unsettled():
                    await self._outbox.send(cluster)
                    continue
                replica = cluster.any_replica()
                wanted = await replica.ask(self._wanted, CALL_SECONDS_MAX)
                for effect, repository in wanted:
                    if effect.decision_id not in self._done:
                        self._do(world, effect, repository)
                await self._outbox.look(cluster)
            except (LostError, PlacementError):
                pass

    def settled(self, cluster: Cluster) -> bool:
        """Say whether everything that it did was told."""
        del cluster
        return not self._outbox.unsettled()

    async def _wanted(self, service: Service) -> list[Wanted]:
        view = service.view
        if view.serving_state() is not ServingState.LIVE:
            return []
        return open_decisions(view.state, view.epoch, self._region)

    def _do(self, world: World, effect: Effect, repository: Repository) -> None:
        self._done.add(effect.decision_id)
        world.history.effects.append(effect)
        subject = ReplicationSubject(
            Identifier(effect.decision_id),
            repository,
            Digest(effect.digest),
            self._region,
        )
        told = ReplicationCompleted(subject, transferred_bytes=10)
        own_id = Identifier(f"{effect.decision_id}-done")
        self._outbox.add(Event(own_id, self._region, told))


def open_decisions(state: State, epoch: str, region: Region) -> list[Wanted]:
    """Return what is planned for *region*."""
    found = []
    for key, row in state.decisions.rows():
        status, placement, _, target, _, trigger, *_ = state.decisions.values(row)
        if status != DecisionStatus.PLANNED or state.region_at(Row(target)) != region:
            continue
        repository, digest = state.placement_at(Row(placement))
        effect = Effect(
            key.decode(), digest, region, trigger, epoch, f"copier-{region}"
        )
        found.append((effect, repository))
    return found
