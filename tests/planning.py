"""Services that plan, over one memory log, for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count

from placement.core.decisions import DecisionRecord, decision_at
from placement.core.event import (
    ContentReplicated,
    Event,
    Fact,
    Identifier,
    ReplicationCompleted,
    ReplicationStarted,
    ReplicationSubject,
    StartsRequested,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region, Topology
from placement.ports import Clock
from placement.runtime.planner import Planner, PlannerSettings
from placement.runtime.publisher import Publisher
from tests.builders import TOPOLOGY, WEB, event
from tests.projecting import Host, Run

QUICK = PlannerSettings("test", tick_seconds=0.2, retry_seconds=0.05)

_numbers = count()


@dataclass
class PlanningRun:
    """One run of a service that plans."""

    run: Run
    planner: Planner

    async def publish(self, *events: Event) -> None:
        """Publish *events*, each under an id of its own, and wait until folded."""
        named = [
            replace(one, event_id=Identifier(f"told-{next(_numbers)}"))
            for one in events
        ]
        published = await self.run.publish(named)
        await self.run.until_live_at(published.sequence)

    def decisions(self) -> list[DecisionRecord]:
        """Return all decisions that are folded, the oldest first."""
        state = self.run.view.state
        found = [decision_at(state, row) for _, row in state.decisions.rows()]
        return sorted(found, key=lambda one: (one.sequence, one.replication_id))

    def about(self, digest: Digest) -> list[DecisionRecord]:
        """Return the decisions about one content."""
        state = self.run.view.state
        return [
            one
            for one in self.decisions()
            if state.placement_at(one.placement)[1] == digest
        ]

    async def decided(self, digest: Digest, number: int = 1) -> list[DecisionRecord]:
        """Return the decisions about one content, once there are so many."""
        await self.run.until(lambda: len(self.about(digest)) >= number)
        return self.about(digest)

    async def ticked(self, count: int = 2) -> None:
        """Return after *count* further ticks, and all that they made due."""
        state = self.run.view.state
        seen = {state.count("tick_number")}

        def enough() -> bool:
            seen.add(state.count("tick_number"))
            return len(seen) > count + 1

        await self.run.until(enough)
        await self.run.until(lambda: self.planner.idle)

    def subject_of(self, decision: DecisionRecord) -> ReplicationSubject:
        """Return what replicators say that they report about."""
        repository, digest = self.run.view.state.placement_at(decision.placement)
        own_id = Identifier(decision.replication_id)
        return ReplicationSubject(own_id, repository, digest, decision.target)

    async def carry_out(self, decision: DecisionRecord, *contents: Descriptor) -> None:
        """Report a copy of *contents* as begun, arrived and done."""
        subject, target = self.subject_of(decision), decision.target
        arrived = ContentReplicated(contents, subject.repository)
        done = ReplicationCompleted(subject, decision.transfer_bytes, attempt=1)
        facts: tuple[Fact, ...] = (
            ReplicationStarted(subject, decision.source, 1),
            arrived,
            done,
        )
        await self.publish(*(event(target, fact) for fact in facts))


@asynccontextmanager
async def planning(
    host: Host,
    settings: PlannerSettings = QUICK,
    topology: Topology = TOPOLOGY,
    clock: Clock = time.time_ns,
) -> AsyncIterator[PlanningRun]:
    """Run a service that plans within the block, by the time of *clock*."""
    async with host.running() as run:
        publisher = Publisher(run.log, run.view)
        planner = Planner(run.view, topology, publisher, clock, settings)
        task = asyncio.create_task(planner.run())
        try:
            yield PlanningRun(run, planner)
        finally:
            task.cancel()
            await asyncio.wait({task})


def asked(tag: str, regions: Sequence[Region], repository: Repository = WEB) -> Event:
    """Return a scheduler's word that it is about to start machines."""
    fact = StartsRequested(repository, Tag(tag), tuple(regions))
    return event(regions[0], fact)
