"""Those who read: clients that ask with tokens, and watchers that follow."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress

from placement.core.errors import PlacementError
from placement.core.oci import Digest
from placement.core.watched import (
    Bookmark,
    Interest,
    SnapshotBegan,
    SnapshotEnded,
    Watched,
    WatchedPlacement,
    WatchedTag,
)
from placement.runtime.tokens import Token, make_token, message_mark, parse_token
from placement.runtime.view import Basis
from placement.runtime.watcher import Batch, WatchItem, parse_watch_token
from tests.simulator.cluster import Cluster
from tests.simulator.history import (
    Answered,
    Bookmarked,
    Connected,
    Position,
    in_order,
    placed,
    position_of,
    thing,
)
from tests.simulator.replica import Replica, Service
from tests.simulator.workload import DIGESTS, Workload
from tests.simulator.world import LATENCY_SECONDS_MAX, LostError, World

CALL_SECONDS_MAX = 3.0
FRESH_SECONDS = 0.25
"""A service waits so long for a token, as its servicers do."""
ROUND_SECONDS = 1.5
SESSION_SECONDS_MAX = 25.0


class Client:
    """Asks now and then, and never wants to be sent back."""

    def __init__(
        self, world: World, name: str, digests: Sequence[Digest] = DIGESTS
    ) -> None:
        """Know nothing yet; ask about *digests*."""
        self._name = name
        self._seen: dict[str, tuple[str, Position | None]] = {}
        """The furthest token of each epoch, the one heard of last at the end, and what
        it stands for, if it came with an answer.
        """
        self._workload = Workload(world.random, name, digests)

    async def run(self, cluster: Cluster) -> None:
        """Ask for ever."""
        random = cluster.world.random
        while True:
            await asyncio.sleep(random.random() * ROUND_SECONDS)
            self._hear_of_writes(cluster)
            with suppress(LostError, PlacementError):
                await self._ask(cluster, cluster.any_replica())

    def settled(self, cluster: Cluster) -> bool:
        """Say yes: it has no aim of its own."""
        del cluster
        return True

    def _hear_of_writes(self, cluster: Cluster) -> None:
        """Take up the token of what some publisher was told just now."""
        world = cluster.world
        acknowledged = world.history.acknowledged
        if not acknowledged or world.random.random() < 0.5:
            return
        latest = acknowledged[-1]
        if latest.sequence and latest.epoch:
            self._take(Token(latest.epoch, latest.sequence, latest.mark), None)

    def _take(self, token: Token, position: Position | None) -> None:
        text = make_token(token.epoch, token.sequence, token.mark)
        held = self._seen.pop(token.epoch, (text, position))
        further = parse_token(held[0]).sequence <= token.sequence
        self._seen[token.epoch] = (text, position) if further else held

    async def _ask(self, cluster: Cluster, replica: Replica) -> None:
        world, question = cluster.world, self._workload.question()
        token, wanted = next(reversed(self._seen.values()), (None, None))

        async def handler(service: Service) -> Answered:
            view, reached = service.view, True
            if token is not None:
                reached = await view.wait_for(token, FRESH_SECONDS)
            basis = view.basis(behind=not reached)
            return Answered(
                self._name,
                replica.name,
                question,
                None if token is None else parse_token(token),
                reached,
                basis.epoch,
                basis.sequence,
                basis.state,
                position_of(view.state),
                placed(view.state, question),
                world.loop.now_seconds,
                wanted,
            )

        answered = await replica.ask(handler, CALL_SECONDS_MAX)
        world.history.answered.append(answered)
        asked, epoch = answered.token, answered.epoch
        elsewhere = asked is not None and asked.epoch != epoch
        if epoch and (answered.reached or elsewhere):
            # Where its own epoch is not known, it goes on in the replica's.
            mark = message_mark(answered.position.message_hash)
            self._take(Token(epoch, answered.sequence, mark), answered.position)


class Watcher:
    """Holds what a watch tells, through disconnections, and notes it at bookmarks.

    As the product's client: a change counts from its bookmark on, and a snapshot that
    is not told to its end leaves nothing to resume from.
    """

    def __init__(self, name: str) -> None:
        """Hold nothing."""
        self._name = name
        self._held: dict[tuple[str, str], Watched] = {}
        self._told: dict[tuple[str, str], Watched] = {}
        """What no bookmark stands for yet."""
        self._resume = ""
        self._session = 0
        self._changed_seconds: float | None = None
        """When the first change came for which no bookmark stands yet."""
        self._unmarked_seconds = 0.0

    async def run(self, cluster: Cluster) -> None:
        """Watch one replica after another, for ever."""
        world = cluster.world
        while True:
            self._session += 1
            replica = cluster.any_replica()
            seconds = world.random.random() * SESSION_SECONDS_MAX
            try:
                async with asyncio.timeout(seconds):
                    await self._watch(cluster, replica)
            except (LostError, PlacementError, TimeoutError):
                pass
            await asyncio.sleep(world.random.random() * ROUND_SECONDS)

    def settled(self, cluster: Cluster) -> bool:
        """Say whether a bookmark has told it of all but the newest ticks."""
        if not self._resume:
            return False
        end = cluster.world.log.last_news
        return parse_watch_token(self._resume).sequence >= end

    async def _watch(self, cluster: Cluster, replica: Replica) -> None:
        world = cluster.world
        await world.travel()
        service = replica.service
        if service is None:
            raise LostError(replica.name)
        arriving: asyncio.Queue[Batch | None] = asyncio.Queue(1)
        sending = service.process.spawn(_send(service, self._resume, arriving))
        began = world.loop.now_seconds
        served = False
        self._told.clear()
        try:
            while True:
                async with asyncio.timeout(SESSION_SECONDS_MAX):
                    arrived = await arriving.get()
                if arrived is None or replica.service is not service:
                    raise LostError(replica.name)
                await asyncio.sleep(world.random.random() * LATENCY_SECONDS_MAX)
                for item in arrived:
                    if isinstance(item, Bookmark) and not served:
                        served, began = True, world.loop.now_seconds
                        self._unmarked_seconds, self._changed_seconds = 0.0, None
                    self._take(world, item)
        finally:
            sending.cancel()
            undisturbed = service.process.alive and not service.process.pause_count
            if served and undisturbed:
                self._marked(world)
                world.history.connected.append(
                    Connected(
                        self._name,
                        self._session,
                        began,
                        world.loop.now_seconds,
                        self._unmarked_seconds,
                    )
                )

    def _marked(self, world: World) -> None:
        """Take note of how long the latest change waited for its bookmark."""
        if self._changed_seconds is not None:
            waited = world.loop.now_seconds - self._changed_seconds
            self._unmarked_seconds = max(self._unmarked_seconds, waited)
        self._changed_seconds = None

    def _take(self, world: World, item: WatchItem) -> None:
        match item:
            case SnapshotBegan():
                self._resume = ""
                self._held.clear()
                self._told.clear()
            case WatchedPlacement() | WatchedTag():
                self._told[thing(item)] = item
                if self._changed_seconds is None:
                    self._changed_seconds = world.loop.now_seconds
            case Bookmark(token, sequence, store_time_ns):
                self._marked(world)
                self._resume = token
                self._held |= self._told
                self._told.clear()
                world.history.bookmarked.append(
                    Bookmarked(
                        self._name,
                        self._session,
                        parse_watch_token(token).epoch,
                        sequence,
                        store_time_ns,
                        in_order(self._held.values()),
                        world.loop.now_seconds,
                    )
                )
            case SnapshotEnded() | Basis():
                pass


async def _send(
    service: Service,
    resume: str,
    arriving: asyncio.Queue[Batch | None],
) -> None:
    """Put what the hub tells on the way."""
    try:
        async with aclosing(service.hub.watch(Interest(tags=True), resume)) as told:
            async for batch in told:
                await arriving.put(batch)
    finally:
        if not arriving.full():
            arriving.put_nowait(None)
