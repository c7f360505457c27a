"""LocalPlacements: a replica of what a service knows, which answers without a network.

It watches a service and keeps what it is told in columns. Presence is answered in about
a microsecond and a ranking in some, from memory alone; they are what the service would
answer at the same sequence. When the service is gone the answers go on: ``basis`` says
how old they may be.

    async with await LocalPlacements.start("127.0.0.1:7450") as local:
        if not local.holds("acme/web", digest, "syd"):
            best = local.rank_sources("acme/web", digest, "syd").sources

What is watched can be limited to repositories; then nothing is known of any others, and
of what could be mounted from them. Limited to regions, whatever is in none of them is
not known: presence there is exact, and rankings are of what is known.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Final, Self, cast

import grpc

from placement.client.calls import call
from placement.client.channels import Channels
from placement.client.feed import Clock, Feed
from placement.client.local_answers import LocalAnswers
from placement.client.tls import ClientTls
from placement.client.watching import LAST_WAIT_S, Watched, kept_up
from placement.core.errors import PlacementError
from placement.core.topology import Topology
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from placement.wire.catalogue_reading import decode_catalogue

START_SECONDS: Final = 30.0
"""For the first snapshot: ten million placements take a few."""
CALL_SECONDS: Final = 5.0
CATALOGUE_EVERY_S: Final = 60.0
"""How soon another catalogue of the service is taken over, at the latest."""
SEED_BITS: Final = 64


class LocalPlacements(LocalAnswers):
    """A replica of what one service knows, kept up in the background.

    Made by ``start``; use it as an async context manager, or ``close`` it. It belongs
    to the event loop that it was started in.
    """

    @classmethod
    async def start(  # noqa: PLR0913 - what a replica depends on
        cls,
        target: str | Sequence[str],
        *,
        regions: Sequence[str] = (),
        repository_prefixes: Sequence[str] = (),
        tags: bool = True,
        tls: ClientTls | None = None,
        timeout_s: float = START_SECONDS,
        clock: Clock = time.time_ns,
        chance: Callable[[], float] = random.random,
    ) -> Self:
        """Return a replica of the service at *target*, host:port, that is whole.

        *chance* spreads the moments at which it comes back to a service that was gone.
        Raises PlacementCallError when the request is at fault or the service was not
        reached in time, TimeoutError when the first snapshot was not whole by then, and
        InputError for certificates that cannot be read.
        """
        channels = Channels(target, tls)
        channels.chosen()
        request = pb.WatchPlacementsRequest(
            regions=regions,
            repository_prefixes=repository_prefixes,
            include_tags=tags,
            packed=True,
        )
        local: Self | None = None
        try:
            async with asyncio.timeout(timeout_s):
                info = await call(
                    PlacementServiceStub(_as_one(channels)).GetServiceInfo,
                    pb.GetServiceInfoRequest(),
                    timeout_s,
                )
                local = cls(channels, request, decode_catalogue(info), clock, chance)
                await local._begun(timeout_s)
        except BaseException:
            await (channels if local is None else local).close()
            raise
        return local

    @classmethod
    def follow(  # noqa: PLR0913 - what a replica depends on
        cls,
        target: str | Sequence[str],
        topology: Topology,
        *,
        regions: Sequence[str] = (),
        repository_prefixes: Sequence[str] = (),
        tls: ClientTls | None = None,
        clock: Clock = time.time_ns,
        chance: Callable[[], float] = random.random,
    ) -> Self:
        """Return a replica that knows nothing yet, of a service that may be gone.

        It is REBUILDING until the first snapshot is whole, however long that takes, and
        answers by *topology* until the service tells its own.
        """
        request = pb.WatchPlacementsRequest(
            regions=regions,
            repository_prefixes=repository_prefixes,
            include_tags=True,
            packed=True,
        )
        local = cls(Channels(target, tls), request, topology, clock, chance)
        local._patient = True
        local._tasks = [
            asyncio.create_task(local._watch(START_SECONDS)),
            asyncio.create_task(local._keep_catalogue()),
        ]
        return local

    def __init__(
        self,
        channels: Channels,
        request: pb.WatchPlacementsRequest,
        topology: Topology,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        """Watch what *request* says; use ``start``."""
        super().__init__(
            Feed(clock, lambda: secrets.randbits(SEED_BITS)), topology, clock
        )
        self._channels = channels
        self._request = request
        self._chance = chance
        self._stub = PlacementServiceStub(_as_one(channels))
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._patient = False
        """Whether a service that refuses us is asked again, even at first."""

    async def __aenter__(self) -> Self:
        """Return itself; it has been started."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Stop watching; what is known can be read on, and grows old."""
        for task in self._tasks:
            task.cancel()
        try:
            for task in self._tasks:
                with suppress(asyncio.CancelledError, PlacementError):
                    await task
        finally:
            self._feed.lose()
            await self._channels.close()

    async def wait_live(self, timeout_s: float) -> None:
        """Return once the replica is up to date; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not self.basis.live:
                await self.changed()

    def changed(self) -> Coroutine[Any, Any, None]:
        """Return, once awaited, when more is known than at this call, or otherwise.

        However late it is awaited, such as by a task that begins later.
        """
        return _happened(self._moved)

    async def _begun(self, timeout_s: float) -> None:
        """Return once the first snapshot is whole; raises what stopped it."""
        watching = asyncio.create_task(self._watch(timeout_s))
        self._tasks.append(watching)
        while self._feed.mirror is None:
            moved = asyncio.create_task(self.changed())
            try:
                await asyncio.wait({watching, moved}, return_when="FIRST_COMPLETED")
            finally:
                moved.cancel()
            if watching.done():
                await watching
        self._tasks.append(asyncio.create_task(self._keep_catalogue()))

    async def _watch(self, timeout_s: float) -> None:
        """Follow the service for ever; before the first snapshot, raise what is wrong.

        Later on nothing is final: what refused us may be mended, and answers go on.
        """
        method: Watched = self._stub.WatchPlacements
        while True:
            try:
                responses = kept_up(method, self._request, timeout_s, self._chance)
                async with aclosing(responses):
                    async for response in responses:
                        self._hear(response)
            except PlacementError:
                if self._feed.mirror is None and not self._patient:
                    raise
            except ValueError:
                self._feed.resume_token = ""  # whatever that was, begin anew
            self._hear(None)
            await asyncio.sleep(LAST_WAIT_S * self._chance())

    def _hear(self, response: pb.WatchPlacementsResponse | None) -> None:
        feed = self._feed
        if response is None:
            feed.lose()
            self._request.resume_token = feed.resume_token
            self._notify()
            return
        news = [feed.hear(item) for item in response.items]
        if any(news):
            if feed.mirror is not None and feed.mirror is not self._mirror:
                self._follow(feed.mirror, self._topology)
            self._notify()

    def _notify(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _keep_catalogue(self) -> None:
        """Take over another catalogue, and prepare what can be mounted."""
        while True:
            while self._mirror.sharers.step():  # noqa: ASYNC110 - it lets others run
                await asyncio.sleep(0)
            await asyncio.sleep(CATALOGUE_EVERY_S)
            with suppress(PlacementError):
                info = await call(
                    self._stub.GetServiceInfo, pb.GetServiceInfoRequest(), CALL_SECONDS
                )
                found = decode_catalogue(info)
                if found != self._topology:
                    self._follow(self._mirror, found)


async def _happened(moved: asyncio.Event) -> None:
    await moved.wait()


def _as_one(channels: Channels) -> grpc.aio.Channel:
    """Return *channels* as far as stubs need one of them."""
    return cast("grpc.aio.Channel", channels)
