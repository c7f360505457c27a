"""One fetch of each content from elsewhere, however many ask for it at once.

Every client asks a registry for itself whether it may have the content (HEAD, with its
own credentials); only then it reads what is being fetched for another.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import structlog

from placement.agent.registry.errors import RegistryError
from placement.agent.router.asking import Asker
from placement.agent.router.asks import Answer, Ask, Client, Refusal
from placement.agent.router.bodies import Body, span_of
from placement.agent.router.places import Places, Wanted
from placement.agent.router.spool import Spool
from placement.agent.underway import Underway
from placement.core.topology import Region

FLIGHTS_MAX: Final = 1024
LANDED_KEPT: Final = 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FlightSettings:
    """Where content on its way is kept, how much of it, and what is counted."""

    directory: Path
    spool_bytes_max: int
    clock: Callable[[], int]
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class Landed:
    """A content that came whole and was verified."""

    wanted: Wanted
    spool: Spool
    source: Region
    """Where its first bytes came from."""
    source_count: int
    began_ns: int
    duration_ns: int


Land = Callable[[Landed], Awaitable[None]]
"""Keeps a content in our region; the flight stays open until that is done."""


@dataclass
class Flight:
    """One content being fetched; *opened* is its spool, or why there is none."""

    wanted: Wanted
    client: Client
    """Who joined last: their rights are the freshest."""
    opened: asyncio.Future[Spool | Refusal | None]
    """None: there is no room for it; stream it."""
    source: Region | None = None
    waiting: int = 0
    """Who will read the spool as soon as there is one."""

    async def joined(self) -> Spool | Refusal | None:
        """Return what *opened* says; of a spool, the caller leaves it in the end."""
        if self.opened.done():
            found = self.opened.result()
            if isinstance(found, Spool):
                found.keep()
            return found
        self.waiting += 1
        try:
            return await asyncio.shield(self.opened)
        except asyncio.CancelledError:
            if not self.opened.done():
                self.waiting -= 1
            elif isinstance(found := self.opened.result(), Spool):
                found.leave()
            raise

    def open(self, spool: Spool | None) -> None:
        """Give *spool* to all who wait, each counted as one of its users."""
        if spool is not None:
            for _ in range(self.waiting):
                spool.keep()
        self.opened.set_result(spool)


def path_of(wanted: Wanted) -> str:
    """Return where any registry has a blob."""
    return f"/v2/{wanted.repository}/blobs/{wanted.digest}"


class Flights:
    """All contents that are being fetched, each once."""

    def __init__(
        self,
        asker: Asker,
        places: Places,
        settings: FlightSettings,
        land: Land,
        underway: Underway,
    ) -> None:
        """Fetch by *asker*; give what has come to *land*, and tell *underway*."""
        self._underway = underway
        self._asker = asker
        self._places = places
        self._settings = settings
        self._land = land
        self._open: dict[Wanted, Flight] = {}
        self.landed_count = 0
        """How many contents have come whole, and were kept if that was possible."""
        self._landed: dict[Wanted, int] = {}
        """What that was when each came last."""
        self._reserved_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, wanted: Wanted) -> Flight | None:
        """Return the flight of a content, if there is one."""
        return self._open.get(wanted)

    def landed_after(self, wanted: Wanted, count: int) -> bool:
        """Say whether a content came since *landed_count* was *count*.

        Then it may be where it was not when somebody looked for it just before.
        """
        return self._landed.get(wanted, 0) > count

    def begin(self, wanted: Wanted, client: Client) -> Flight | None:
        """Return a new flight, fetched with *client*'s rights.

        None: there are too many, or somebody else brings the content.
        """
        if len(self._open) >= FLIGHTS_MAX or not self._underway.take(wanted.digest):
            return None
        opened = asyncio.get_running_loop().create_future()
        flight = self._open[wanted] = Flight(wanted, client, opened)
        task = asyncio.create_task(self._fly(flight))
        self._tasks.add(task)
        # Not by the task itself: one that is cancelled at once never begins.
        task.add_done_callback(partial(self._over, flight))
        return flight

    def _over(self, flight: Flight, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not flight.opened.done():
            flight.opened.set_result(Refusal(silent=True))
        self._end(flight)

    def _end(self, flight: Flight) -> None:
        """Let nobody find *flight* any more, if anybody did."""
        if self._open.get(flight.wanted) is flight:
            del self._open[flight.wanted]
            self._underway.leave(flight.wanted.digest)

    async def close(self) -> None:
        """Give up everything that is on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fly(self, flight: Flight) -> None:
        spool: Spool | None = None
        try:
            answer = await self._answered(flight)
            if answer is None:
                return
            spool = self._spool(answer.response)
            flight.open(spool)
            if spool is None:
                await answer.response.aclose()
                return
            landed = await self._fetched(flight, answer, spool)
            if landed is not None:
                await self._land(landed)
                self._note_landed(flight.wanted)
        finally:
            self._end(flight)  # before: who joined now would read a file that is gone
            if spool is not None:
                spool.leave()

    def _note_landed(self, wanted: Wanted) -> None:
        self.landed_count += 1
        self._landed.pop(wanted, None)
        while len(self._landed) >= LANDED_KEPT:
            del self._landed[next(iter(self._landed))]
        self._landed[wanted] = self.landed_count

    async def _answered(self, flight: Flight) -> Answer | None:
        """Return the first source's answer, or None when it was refused."""
        wanted = flight.wanted
        ask = Ask("GET", path_of(wanted), replace(flight.client, passed={}))
        regions = self._places.elsewhere(wanted)
        answer = await self._asker.first(regions, ask, (200,))
        if isinstance(answer, Refusal):
            flight.opened.set_result(answer)
            return None
        flight.source = answer.region
        return answer

    async def _fetched(
        self, flight: Flight, answer: Answer, spool: Spool
    ) -> Landed | None:
        """Return the content once it is whole in *spool*, or None when it broke."""
        began_ns, started_ns = self._settings.clock(), time.monotonic_ns()
        wanted = flight.wanted
        body = Body(
            self._asker,
            path_of(wanted),
            lambda: replace(flight.client, passed={}),
            lambda: self._places.elsewhere(wanted),
            answer,
            0,
            spool.size_bytes,
        )
        if not await self._filled(body, wanted, spool):
            return None
        sources = len(set(body.used))
        duration_ns = time.monotonic_ns() - started_ns
        return Landed(wanted, spool, answer.region, sources, began_ns, duration_ns)

    def _spool(self, response: httpx.Response) -> Spool | None:
        span = span_of(response)
        limit = self._settings.spool_bytes_max
        if span is None or self._reserved_bytes + span[1] > limit:
            self._settings.counts["spool_full"] += 1
            return None
        try:
            spool = Spool(self._settings.directory, span[1], self._freed)
        except OSError as error:
            log.warning("spool_failed", error=str(error))
            return None
        self._reserved_bytes += spool.size_bytes
        return spool

    def _freed(self, size_bytes: int) -> None:
        self._reserved_bytes -= size_bytes

    async def _filled(self, body: Body, wanted: Wanted, spool: Spool) -> bool:
        """Say whether all bytes came and are those of the digest."""
        algorithm, _, expected = wanted.digest.partition(":")
        hashed = hashlib.new(algorithm)
        try:
            async for chunk in body.chunks():
                hashed.update(chunk)
                spool.write(chunk)
        except (RegistryError, OSError) as error:
            log.warning("flight_broke", digest=wanted.digest, error=str(error))
        else:
            if hashed.hexdigest() == expected:
                spool.verified()
                return True
            self._settings.counts["corrupted"] += 1
            self._places.damaged(body.used, wanted)
            log.error("content_damaged", digest=wanted.digest, sources=body.used)
        finally:
            if not spool.settled:
                spool.failed()
        return False
