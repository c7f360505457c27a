"""Replicators for tests: decisions from a list, reports into a list."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from placement.agent.registry.client import Registry
from placement.agent.registry.opening import opened
from placement.agent.replicator.duties import Copy, Duty
from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.agent.underway import Underway
from placement.core.event import Event, Fact, ReplicationSubject
from placement.core.facts.values import Identifier
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from tests.docker_registry import DockerRegistry
from tests.registry_images import WEB

IAD, FRA, SYD = Region("iad"), Region("fra"), Region("syd")
SECONDS_MAX = 60.0

FactType = TypeVar("FactType", bound=Fact)


@dataclass
class Told:
    """What was reported."""

    events: list[Event] = field(default_factory=list)

    async def report(self, events: Sequence[Event]) -> None:
        """Keep *events*; an id says one thing."""
        self.events += events

    def facts(self, kind: type[FactType]) -> list[FactType]:
        """Return the facts of one kind, in order."""
        return [event.fact for event in self.events if isinstance(event.fact, kind)]


@dataclass
class Handed:
    """One duty, and what became of it."""

    duty: Duty
    orders: "Orders"
    delays: list[float] = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def done(self) -> None:
        """Note that it is done."""
        self.settled.set()

    async def again(self, delay_seconds: float) -> None:
        """Hand it out again at once, as its next attempt."""
        self.delays.append(delay_seconds)
        if not hasattr(self.duty, "again"):
            return
        self.duty = self.duty.again()
        self.orders.queue.put_nowait(self)


@dataclass
class Orders:
    """Decisions that a test makes."""

    queue: "asyncio.Queue[Handed]" = field(default_factory=asyncio.Queue)

    def give(self, duty: Duty) -> Handed:
        """Hand out *duty*."""
        handed = Handed(duty, self)
        self.queue.put_nowait(handed)
        return handed

    async def assigned(self) -> AsyncGenerator[Handed, None]:
        """Yield what was given, for ever."""
        while True:
            yield await self.queue.get()


@dataclass
class Site:
    """A replicator at work, its orders and what it told."""

    replicator: Replicator
    orders: Orders
    told: Told
    registries: dict[Region, Registry]
    underway: Underway
    """What its replicator brings, or has brought."""

    async def copied(self, copy: Copy) -> Handed:
        """Return once *copy* was carried out, one way or the other."""
        handed = self.orders.give(copy)
        async with asyncio.timeout(SECONDS_MAX):
            await handed.settled.wait()
        return handed


@asynccontextmanager
async def site(
    own: DockerRegistry,
    sources: dict[Region, str],
    **settings: Any,  # noqa: ANN401 - the fields of ReplicatorSettings, lookup, who
) -> AsyncIterator[Site]:
    """Run a replicator beside *own*, which copies from *sources* (addresses)."""
    lookup, who = settings.pop("lookup", None), settings.pop("who", {})
    async with AsyncExitStack() as stack:
        registries = {
            own.region: await stack.enter_async_context(opened(own.settings(**who)))
        }
        for region, url in sources.items():
            there = replace(own.settings(**who), region=region, url=url)
            registries[region] = await stack.enter_async_context(opened(there))
        orders, told, underway = Orders(), Told(), Underway()
        replicator = Replicator(
            ReplicatorSettings(region=own.region, **settings),
            registries,
            told.report,
            decisions=orders,
            lookup=lookup,
            underway=underway,
        )
        running = asyncio.create_task(replicator.run())
        try:
            yield Site(replicator, orders, told, registries, underway)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def copy_of(
    digest: str,
    own_id: str = "r-1",
    source: Region = IAD,
    target: Region = SYD,
    repository: Repository = WEB,
    **more: Any,  # noqa: ANN401 - the fields of Copy
) -> Copy:
    """Return a decision to copy a digest."""
    subject = ReplicationSubject(Identifier(own_id), repository, Digest(digest), target)
    return Copy(subject, source, **more)


async def until(asked: Callable[[], bool]) -> None:
    """Return once *asked* says yes."""
    async with asyncio.timeout(SECONDS_MAX):
        while not asked():  # noqa: ASYNC110 - what is asked is in other hands
            await asyncio.sleep(0.02)
