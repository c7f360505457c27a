"""Those who publish: outboxes that re-send, a registry's agent, and a rogue."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from placement.agent.feeds.distribution import translate
from placement.agent.feeds.translation import FeedSettings
from placement.core.errors import PlacementError
from placement.core.event import Event, Identifier, Name, is_deciding
from placement.runtime.publisher import Published
from placement.runtime.view import ServingState
from placement.wire.events import encode_message
from tests.builders import SIZE, digest, pushed
from tests.simulator.cluster import Cluster
from tests.simulator.history import Acknowledged
from tests.simulator.replica import Service
from tests.simulator.workload import (
    BARE,
    DISPUTED,
    REGIONS,
    REPOSITORIES,
    TAGS,
    Workload,
)
from tests.simulator.world import LostError, World

CALL_SECONDS_MAX = 8.0
FRESH_SECONDS = 0.1
ROUND_SECONDS = 2.0
LOOK_SECONDS = 3.5
"""Between two looks at whether all is still there; it is heard of within 4 s."""
BATCH_EVENTS_MAX = 32
POISON_SECONDS_MAX = 15.0
POISON = "poison"
"""The id of the event that ``bugs.poison`` makes fatal."""
STARTED_AT = "2026-11-18T09:00:00Z"
AGENT_NAMES = BARE + DISPUTED
"""What the agent's registry holds: it calls all of it images without layers."""


class Outbox:
    """Events that a publisher keeps until the log that remains holds them.

    An event is settled as long as the token that it was acknowledged with is reached:
    whoever asks with it is told of a log that lost it, whatever that log is called.
    """

    def __init__(self, name: str) -> None:
        """Be empty; *name* is the publisher's."""
        self.name = name
        self._events: dict[str, Event] = {}
        self._sent: set[str] = set()
        self._tokens: dict[str, str] = {}
        """Of each event that was acknowledged."""

    def add(self, event: Event) -> None:
        """Keep *event*."""
        self._events[event.event_id] = event

    def unsettled(self) -> list[Event]:
        """Return what is still to be sent, oldest first."""
        return [
            event
            for event_id, event in self._events.items()
            if event_id not in self._tokens
        ]

    async def send(self, cluster: Cluster) -> None:
        """Send some of what is unsettled, once, to one of the replicas."""
        world = cluster.world
        waiting = self.unsettled()
        count = world.random.choice([1, 2, 4, BATCH_EVENTS_MAX])
        events = waiting[:count]
        if world.may_rewind:
            events = self._one_message(events)
        self._sent.update(event.event_id for event in events)
        replica = cluster.any_replica()
        published = await replica.ask(
            lambda service: service.publisher.publish(events), CALL_SECONDS_MAX
        )
        self._settle(world, events, published)

    def _one_message(self, events: list[Event]) -> list[Event]:
        """Return those of *events* that one message holds: no rewind parts them.

        One that was sent before may be folded already, and goes alone.
        """
        first = events[0]
        if first.event_id in self._sent:
            return [first]
        return [
            event
            for event in events
            if event.event_id not in self._sent
            and (event.region, is_deciding(event)) == (first.region, is_deciding(first))
        ]

    async def look(self, cluster: Cluster) -> None:
        """Ask one of the replicas whether all is still there."""
        tokens = sorted(set(self._tokens.values()))
        replica = cluster.any_replica()
        lost = await replica.ask(
            lambda service: _not_reached(service, tokens), CALL_SECONDS_MAX
        )
        for event_id, token in list(self._tokens.items()):
            if token in lost:
                del self._tokens[event_id]

    def _settle(
        self, world: World, events: Sequence[Event], published: Published
    ) -> None:
        seconds = world.loop.now_seconds
        for event in events:
            self._tokens[event.event_id] = published.token
            world.history.acknowledged.append(
                Acknowledged(
                    self.name,
                    event.event_id,
                    published.epoch,
                    published.sequence,
                    seconds,
                    published.mark,
                )
            )


async def _not_reached(service: Service, tokens: Sequence[str]) -> frozenset[str]:
    view = service.view
    lost = [token for token in tokens if not await view.wait_for(token, FRESH_SECONDS)]
    live = view.serving_state() is ServingState.LIVE
    return frozenset(lost) if live else frozenset()


class Publisher:
    """Somebody whose outbox fills now and then and is emptied patiently."""

    def __init__(self, world: World, name: str, event_count: int) -> None:
        """Publish *event_count* events in all."""
        self.outbox = Outbox(name)
        self.left = event_count
        self._kept_count = 0
        self._workload = Workload(world.random, name)

    async def run(self, cluster: Cluster) -> None:
        """Make events, and send until all are settled; then look for new epochs."""
        random = cluster.world.random
        while True:
            if self.left and random.random() < 0.7:
                for _ in range(min(self.left, random.randint(1, 3))):
                    self.left -= 1
                    self.make(cluster.world)
            try:
                if self.outbox.unsettled():
                    await self.outbox.send(cluster)
                else:
                    await self.outbox.look(cluster)
            except (LostError, PlacementError):
                pass
            pause = (
                ROUND_SECONDS if self.left or self.outbox.unsettled() else LOOK_SECONDS
            )
            await asyncio.sleep(random.random() * pause)

    def make(self, world: World) -> None:
        """Put something that happened into the outbox."""
        self.outbox.add(self._workload.event(world.now_ns()))

    def keep(self, event: Event) -> None:
        """Put *event* into the outbox, under an id of its own."""
        self._kept_count += 1
        own_id = Identifier(f"{self.outbox.name}-{self._kept_count}")
        self.outbox.add(replace(event, event_id=own_id))

    def settled(self, cluster: Cluster) -> bool:
        """Say whether everything was made and is stored."""
        del cluster
        return not self.left and not self.outbox.unsettled()


class Agent(Publisher):
    """The agent beside a registry, which sends its notifications again if unheard."""

    def __init__(self, world: World, name: str, event_count: int) -> None:
        """Translate *event_count* notifications in all."""
        super().__init__(world, name, event_count)
        region = world.random.choice(REGIONS)
        self._feed = FeedSettings(region=region, publisher=Name(name))
        self._count = 0

    def make(self, world: World) -> None:
        """Let the registry notify of something, and translate it."""
        random = world.random
        self._count += 1
        action = random.choice(["push", "push", "pull", "delete"])
        target = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": SIZE,
            "digest": digest(random.choice(AGENT_NAMES)),
            "repository": random.choice(REPOSITORIES),
        }
        if action != "delete":
            target["tag"] = random.choice(TAGS)
        notification = {
            "id": f"{self.outbox.name}-{self._count}",
            "timestamp": STARTED_AT if random.random() < 0.2 else "",
            "action": action,
            "target": target,
            "request": {
                "id": f"request-{self._count}",
                "addr": "192.0.2.1:4000",
                "method": "GET" if action == "pull" else "PUT",
                "useragent": random.choice(["docker/27", "placement-replicator/1"]),
            },
        }
        for event in translate({"events": [notification]}, self._feed).events:
            self.outbox.add(event)


class Rogue:
    """Stores messages that nobody can read, past every service."""

    def __init__(self, world: World, name: str, message_count: int) -> None:
        """Store *message_count* messages in all, if the log takes them."""
        self._left = message_count
        self._workload = Workload(world.random, name)

    async def run(self, cluster: Cluster) -> None:
        """Store now and then; whether it arrives is nobody's business."""
        world = cluster.world
        while self._left:
            await asyncio.sleep(world.random.random() * 4 * ROUND_SECONDS)
            self._left -= 1
            if world.log.reachable:
                await world.log.append(*self._workload.unreadable())

    def settled(self, cluster: Cluster) -> bool:
        """Say whether it has stopped."""
        del cluster
        return not self._left


class Poisoner:
    """Stores a message that the product of this run cannot fold (``bugs.poison``)."""

    def __init__(self) -> None:
        """Have stored nothing yet."""
        self._stored = False

    async def run(self, cluster: Cluster) -> None:
        """Store it once, some time while others publish."""
        world = cluster.world
        await asyncio.sleep(world.random.random() * POISON_SECONDS_MAX)
        while not self._stored:
            await asyncio.sleep(ROUND_SECONDS)
            if world.log.reachable:
                world.poisoned = self._stored = True
                event = pushed("a", world.random.choice(REGIONS))
                named = replace(event, event_id=Identifier(POISON))
                await world.log.append(*encode_message([named]))

    def settled(self, cluster: Cluster) -> bool:
        """Say whether it is stored."""
        del cluster
        return self._stored
