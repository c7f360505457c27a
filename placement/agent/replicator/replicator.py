"""Takes up what is decided for its region, the most urgent first, for ever."""

import asyncio
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from placement.agent.quiet import Quiet
from placement.agent.registry.client import Registry
from placement.agent.replicator.account import Account
from placement.agent.replicator.budgets import Budgets
from placement.agent.replicator.copying import Copier
from placement.agent.replicator.duties import (
    Assigned,
    Copy,
    Decisions,
    Lookup,
    NothingKnown,
    Removal,
    Withdrawal,
)
from placement.agent.replicator.evicting import Evictor
from placement.agent.replicator.failures import CopyFailedError
from placement.agent.replicator.flights import AGAIN_MAX_S, Crew, Flight, Request
from placement.agent.replicator.moving import Mover
from placement.agent.replicator.telling import Teller
from placement.agent.replicator.waiting import FIRST, Key, Waiting
from placement.agent.reporting import Report
from placement.agent.supervision import Part, supervise
from placement.agent.underway import Underway
from placement.core.errors import PlacementError
from placement.core.facts.values import FailureCause
from placement.core.oci import Digest, Repository
from placement.core.topology import Region

URGENT_MAX: Final = 16
"""Copies that somebody waits for, beside the others, however many those are."""
WAITING_MAX: Final = 4096
"""Decisions beyond that come again later."""
SETTLED_KEPT: Final = 4096
"""Decisions that are settled: should they come again, they are not looked into."""
RETRY_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicatorSettings:
    """How much is done at once, and how fast; see ``ReplicatorConfig``."""

    region: Region
    copies: int = 4
    blobs: int = 4
    bytes_per_second: Mapping[Region, int] = field(default_factory=dict)
    evict: bool = False
    garbage_collect_command: tuple[str, ...] = ()


class Replicator:
    """Copies into one region, from the registries of the others."""

    def __init__(  # noqa: PLR0913 - what a replicator depends on
        self,
        settings: ReplicatorSettings,
        registries: Mapping[Region, Registry],
        report: Report,
        *,
        decisions: Decisions | None = None,
        lookup: Lookup | None = None,
        underway: Underway | None = None,
        quiet: Quiet | None = None,
        clock: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Copy into our own of *registries*; no *decisions*: only what is asked for."""
        own = registries[settings.region]
        known = lookup or NothingKnown()
        self._settings = settings
        self._decisions = decisions
        self._clock = clock
        self._chance = chance
        teller = Teller(settings.region, report, clock)
        budgets = Budgets(settings.bytes_per_second, time.monotonic)
        mover = Mover(own, known, budgets, chance, underway or Underway())
        copier = Copier(own, mover, settings.blobs)
        self.account = Account()
        """What was done since the start."""
        self._crew = Crew(
            settings.region,
            registries,
            known,
            copier,
            teller,
            chance,
            self.account,
        )
        self._quiet = quiet or Quiet()
        command = settings.garbage_collect_command
        self._evictor = Evictor(own, teller, self._quiet, command, chance)
        self._waiting: Waiting[Request] = Waiting()
        self._flying: dict[Key, tuple[Flight, asyncio.Task[None]]] = {}
        self._settled: OrderedDict[str, None] = OrderedDict()
        self._dropping: set[asyncio.Task[None]] = set()
        """Settle with those who called off what had not begun."""
        self._stopping = False

    @property
    def removals(self) -> Counter[str]:
        """What came of removals since the start."""
        return self._evictor.removals

    @property
    def collections(self) -> Counter[str]:
        """What came of collections of garbage since the start."""
        return self._evictor.collections

    @property
    def waiting_count(self) -> int:
        """How many contents wait to be copied."""
        return len(self._waiting)

    @property
    def flying_count(self) -> int:
        """How many are being copied."""
        return len(self._flying)

    async def run(self) -> None:
        """Carry out decisions until cancelled; what is under way then comes again."""
        self._stopping = False
        parts = [Part("decisions", self._hear_all), Part("evictor", self._evictor.run)]
        try:
            await supervise(parts, self._chance)
        finally:
            await self._stop()

    async def _hear_all(self) -> None:
        """Take duties for ever."""
        while True:
            await self._listen()
            await asyncio.sleep(RETRY_SECONDS * (0.5 + 0.5 * self._chance()))

    async def fetch_now(self, repository: Repository, digest: Digest) -> None:
        """Return once the content is in our registry, before all that is decided.

        Whoever else asks for it meanwhile waits for the same copy. Raises
        CopyFailedError, at the first failure: who waits has somewhere else to go.
        """
        key = (repository, digest)
        pull: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = Request(pull=pull)
        flying = self._flying.get(key)
        if flying is not None:
            flight, _ = flying
            flight.progress.rank = FIRST
            flight.requests.append(request)
        else:
            self._waiting.add(key, FIRST, request)
            self._take_up()
        try:
            await pull
        finally:
            self._waiting.remove(key, request)

    async def _listen(self) -> None:
        """Take duties as they come, until they cannot be had."""
        if self._decisions is None:
            await asyncio.Event().wait()
            return
        try:
            async with aclosing(self._decisions.assigned()) as duties:
                async for assigned in duties:
                    await self._hear(assigned)
        except PlacementError as error:
            log.warning("decisions_not_heard", error=str(error))

    async def _hear(self, assigned: Assigned) -> None:
        duty = assigned.duty
        match duty:
            case Withdrawal():
                await self._withdraw(duty.own_id)
                await assigned.done()
            case Removal() if self._settings.evict:
                await self._evictor.add(assigned)
            case Copy() if len(self._waiting) >= WAITING_MAX:
                await assigned.again(AGAIN_MAX_S)
            case Copy() if self._is_due(duty):
                key = (duty.subject.repository, duty.subject.digest)
                self._waiting.add(key, max(1, duty.priority), Request(assigned))
                self._take_up()
            case _:
                await assigned.done()

    def _is_due(self, copy: Copy) -> bool:
        """Return whether a copy is still to be made."""
        over = copy.expire_time_ns
        late = over is not None and over <= self._clock()
        return not (late or copy.own_id in self._settled)

    async def _withdraw(self, own_id: str) -> None:
        """Leave what was called off, also when it has begun for nobody else."""
        self._evictor.withdraw(own_id)
        self._settle(own_id)
        for flight, task in self._flying.values():
            wanted = [one.copy for one in flight.requests]
            if all(copy is not None and copy.own_id == own_id for copy in wanted):
                log.info("copy_called_off", replication_id=own_id)
                task.cancel()

    def _settle(self, own_id: str) -> None:
        self._settled[own_id] = None
        if len(self._settled) > SETTLED_KEPT:
            self._settled.popitem(last=False)

    def _take_up(self) -> None:
        """Let as much fly as may: decisions up to their number, pulls beside them."""
        while len(self._flying) < self._settings.copies + URGENT_MAX:
            decided = sum(
                flight.progress.rank > FIRST for flight, _ in self._flying.values()
            )
            rank_max = FIRST if decided >= self._settings.copies else None
            taken = self._waiting.take(rank_max)
            if taken is None:
                return
            key, rank, requests = taken
            flight = Flight(self._crew, key, rank, requests)
            task = asyncio.create_task(self._fly(flight))
            self._flying[key] = flight, task
            # Not by the task itself: one that is cancelled at once never begins.
            task.add_done_callback(partial(self._over, flight))

    async def _fly(self, flight: Flight) -> None:
        """Let one copy be made; one copy's failure must not stop the others."""
        try:
            await self._drop(flight)
            if flight.requests:
                async with self._quiet.busy():
                    await flight.fly()
            if flight.settled:
                for own_id in flight.own_ids:
                    self._settle(own_id)
        except asyncio.CancelledError:
            await self._drop(flight)
            flight.abandon()
        except Exception:
            log.exception("copy_broken", digest=flight.key[1])
            message = f"{flight.key[1]} was not copied by a fault of ours"
            await flight.again(CopyFailedError(message, FailureCause.TARGET))

    def _over(self, flight: Flight, task: "asyncio.Task[None]") -> None:
        """Let go of a flight, and take up what waits."""
        if task.cancelled():  # before it began
            flight.abandon()
            dropping = asyncio.create_task(self._drop(flight))
            self._dropping.add(dropping)
            dropping.add_done_callback(self._dropping.discard)
        self._waiting.finished(flight.key)
        del self._flying[flight.key]
        for one in flight.requests:  # who came when all was over already
            if one.pull is not None and not one.pull.done():
                self._waiting.add(flight.key, FIRST, one)
        if not self._stopping:
            self._take_up()

    async def _drop(self, flight: Flight) -> None:
        """Settle with those of a flight who do not want it any more."""
        dropped = [one for one in flight.requests if self._is_dropped(one)]
        flight.requests[:] = [one for one in flight.requests if one not in dropped]
        for one in dropped:
            if one.assigned is not None:
                await one.assigned.done()

    def _is_dropped(self, request: Request) -> bool:
        """Return whether a request was called off, or ran out of time, as it waited."""
        copy = request.copy
        if copy is None:
            return request.pull is None or request.pull.done()
        return not self._is_due(copy)

    async def _stop(self) -> None:
        self._stopping = True
        tasks = [task for _, task in self._flying.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
