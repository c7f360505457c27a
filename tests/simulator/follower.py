"""A local replica of what a service knows: the product's own, over simulated calls."""

import asyncio
from contextlib import aclosing
from typing import Final

from placement.client.feed import Feed
from placement.core.errors import PlacementError
from placement.core.packing.selection import PackedInterest
from placement.core.watched import Interest
from placement.runtime.watcher import parse_watch_token
from placement.v1 import placement_service_pb2 as pb
from placement.wire.packed_answers import encode_packed
from tests.mirroring import known_placements, known_tags
from tests.simulator.cluster import Cluster
from tests.simulator.history import Mirrored
from tests.simulator.kept import lines_of
from tests.simulator.replica import Replica, Service
from tests.simulator.world import LATENCY_SECONDS_MAX, LostError, World

SESSION_SECONDS_MAX: Final = 25.0
ROUND_SECONDS: Final = 1.5
SEED: Final = 7
INTEREST: Final = Interest(tags=True)


class Follower:
    """Follows one replica after another, as ``LocalPlacements.follow`` does."""

    def __init__(self, world: World, name: str, *, is_noted: bool = True) -> None:
        """Know nothing; *is_noted*: what is known is written down, to be checked."""
        self._name = name
        self._is_noted = is_noted
        self.feed = Feed(world.now_ns, lambda: SEED)

    async def run(self, cluster: Cluster) -> None:
        """Follow for ever; what broke off goes on from its last bookmark."""
        world = cluster.world
        while True:
            replica = cluster.any_replica()
            seconds = world.random.random() * SESSION_SECONDS_MAX
            try:
                async with asyncio.timeout(seconds):
                    await self._follow(world, replica)
            except (LostError, PlacementError, TimeoutError):
                pass
            self.feed.lose()
            await asyncio.sleep(world.random.random() * ROUND_SECONDS)

    def settled(self, cluster: Cluster) -> bool:
        """Say whether a bookmark has told it of all but the newest ticks."""
        token = self.feed.resume_token
        if not token:
            return False
        return parse_watch_token(token).sequence >= cluster.world.log.last_news

    async def _follow(self, world: World, replica: Replica) -> None:
        await world.travel()
        service = replica.service
        if service is None:
            raise LostError(replica.name)
        arriving: asyncio.Queue[list[bytes] | None] = asyncio.Queue(1)
        token = self.feed.resume_token
        sending = service.process.spawn(_send(service, token, arriving))
        try:
            while True:
                arrived = await arriving.get()
                if arrived is None or replica.service is not service:
                    raise LostError(replica.name)
                await asyncio.sleep(world.random.random() * LATENCY_SECONDS_MAX)
                for body in arrived:
                    for item in pb.WatchPlacementsResponse.FromString(body).items:
                        self._hear(world, item)
        finally:
            sending.cancel()

    def _hear(self, world: World, item: pb.WatchItem) -> None:
        self.feed.hear(item)
        mirror = self.feed.mirror
        is_bookmark = item.WhichOneof("item") == "bookmark"
        if not (is_bookmark and self._is_noted) or mirror is None:
            return
        basis = self.feed.basis()
        world.history.mirrored.append(
            Mirrored(
                self._name,
                basis.sequence,
                basis.store_time_ns,
                lines_of(known_placements(mirror), known_tags(mirror)),
            )
        )


async def _send(
    service: Service, token: str, arriving: "asyncio.Queue[list[bytes] | None]"
) -> None:
    """Put what the hub tells on the way, as it goes over the wire."""
    packed = PackedInterest(INTEREST, service.hub.chunks)
    try:
        async with aclosing(service.hub.watch(packed, token)) as told:
            async for batch in told:
                await arriving.put(list(encode_packed(batch)))
    finally:
        if not arriving.full():
            arriving.put_nowait(None)
