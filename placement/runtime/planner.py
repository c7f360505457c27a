"""The planner: what became due is decided, and the decisions go into the log.

It keeps nothing that matters: any number of services plan at once, each from the state
that it folded, and the log stores a decision only if nothing was decided since. What a
planner loses in a restart, the regular look at everything finds again.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from placement.core.deciding.decide import Round, decide
from placement.core.deciding.desk import Desk, desk_at
from placement.core.deciding.eviction import removable
from placement.core.deciding.removals import planned_removals
from placement.core.deciding.upkeep import upkeep
from placement.core.deciding.wants import Want, wants_of
from placement.core.errors import PlacementError
from placement.core.event import Event, ReplicationTrigger
from placement.core.tables.agenda import Due
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology
from placement.ports import Clock, LogMovedError
from placement.runtime.publisher import Publisher
from placement.runtime.rounds import Rounds
from placement.runtime.slices import let_others_in
from placement.runtime.view import ServingState, View
from placement.tracing import span

SLICE_SECONDS: Final = 0.001
"""Planning lets others in after so much work."""
REST_SECONDS: Final = 0.003
"""And then rests for so long where much is due, so that a sweep over all that there is
takes a quarter of the service's time and no more."""
PRESSED_REST_SECONDS: Final = 0.05
"""While callers wait for their turn, planning rests for so long after each slice."""
PRESSED_SECONDS_MAX: Final = 5.0
"""And is put off for so long at the most, however long they wait."""
HURRIED_MAX: Final = 100
"""So much is decided without a rest: somebody may wait for it."""
GATHER_SECONDS: Final = 0.002
"""What becomes due within so long is decided together."""
FOLDED_SECONDS_MAX: Final = 5.0
"""What was stored should be folded within so long; else planning goes on without."""
TROUBLE_SECONDS: Final = 1.0
"""After an error of the log, planning goes on after so long."""
BROKEN_SECONDS: Final = 10.0
"""After a bug it does so after so long, without what was due."""
CONSIDERED_MAX: Final = 1_000
"""So much is considered in one step: it is done again if others decide meanwhile."""
PUT_OFF_MAX: Final = 10_000
RETRIED_MAX: Final = 50
"""So many of what was put off are looked at again at a time."""

BUDGET_REPLICAS_MAX: Final = 50_000
"""With more replicas in all, storage budgets are not kept: a look would take long."""

_DECIDING: Final = frozenset({ServingState.LIVE, ServingState.DEGRADED})

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How often to look; seconds. *name* is who a decision says that it is from."""

    name: str = "planner"
    tick_seconds: float = 60.0
    retry_seconds: float = 2.0
    """How often to look again at what was put off, and at what is open."""


@dataclass(slots=True)
class PlannerCounts:
    """What a planner did since it began."""

    rounds: int = 0
    considered: int = 0
    decided: int = 0
    refused: int = 0
    """Rounds in which others had decided meanwhile."""


class Planner:
    """Decides by what *view* shows, and stores by *publisher*."""

    def __init__(  # noqa: PLR0913 - what a planner depends on
        self,
        view: View,
        topology: Topology,
        publisher: Publisher,
        clock: Clock,
        settings: PlannerSettings | None = None,
        *,
        pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do nothing until ``run``; it gives way while the service is *pressed*."""
        self._pressed = pressed
        self._view = view
        self._topology = topology
        self._publisher = publisher
        self._clock = clock
        self._settings = settings or PlannerSettings()
        self._rounds = Rounds(topology, self._settings.tick_seconds)
        self._put_off: dict[tuple[Row, ReplicationTrigger], Due] = {}
        self._generation = view.generation
        self._looked_seconds = 0.0
        self.counts = PlannerCounts()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be decided that could be decided now."""
        return not len(self._view.state.indexes.agenda) and self._rounds.idle

    @property
    def put_off_count(self) -> int:
        """How much waits for a budget, or until copies may be made again."""
        return len(self._put_off)

    async def run(self) -> None:
        """Decide for ever."""
        while True:
            await self._give_way()
            before = self._view.position
            try:
                await self._step()
            except LogMovedError:
                self.counts.refused += 1
            except PlacementError as error:
                log_events.warning("planning_failed", reason=str(error))
                await asyncio.sleep(TROUBLE_SECONDS)
            except Exception:  # a bug in planning must not end the answers
                log_events.exception("planning_broke")
                self._view.state.indexes.agenda.take()
                await asyncio.sleep(BROKEN_SECONDS)
            await self._something_new(before)

    async def _give_way(self) -> None:
        """Let those be answered who wait, for PRESSED_SECONDS_MAX at the most."""
        clock = asyncio.get_running_loop().time
        ends = clock() + PRESSED_SECONDS_MAX
        while self._pressed() and clock() < ends:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(PRESSED_REST_SECONDS)

    @property
    def _blocked(self) -> bool:
        """Whether nothing may be decided before more is folded."""
        deciding = self._view.serving_state() in _DECIDING
        return not deciding or self._publisher.decisions.basis is None

    async def _something_new(self, before: tuple[int, int]) -> None:
        """Wait until more is folded, or until it is time to look again."""
        if self._blocked or self.idle:
            try:
                async with asyncio.timeout(self._settings.retry_seconds):
                    await self._view.changed(before)
            except TimeoutError:
                return
        await asyncio.sleep(GATHER_SECONDS)

    async def _step(self) -> None:
        """Decide once about what is due now."""
        view = self._view
        if view.serving_state() not in _DECIDING:
            return
        await self._tick()
        if self._generation != view.generation:  # another state: rows mean others
            self._generation = view.generation
            self._put_off.clear()
            self._rounds.begin_again()
        basis = self._publisher.decisions.basis
        if basis is None:  # somebody decided what is not folded yet
            return
        due = self._due()
        if not (due or self._rounds.looks or self._rounds.clearing):
            return
        self.counts.rounds += 1
        self.counts.considered += len(due)
        try:
            await self._decide(due, basis)
        except BaseException:
            self._note_again(due)
            raise

    async def _tick(self) -> None:
        event = self._rounds.tick(self._view.state, self._clock())
        if event is not None:
            await self._publisher.publish([event])

    def _due(self) -> list[Due]:
        """Return what is due, and now and then what was put off or has been there."""
        state = self._view.state
        found = state.indexes.agenda.take()
        if len(found) > CONSIDERED_MAX:
            self._note_again(found[CONSIDERED_MAX:])
            return found[:CONSIDERED_MAX]
        now_seconds = asyncio.get_running_loop().time()
        if now_seconds - self._looked_seconds >= self._settings.retry_seconds:
            self._looked_seconds = now_seconds
            self._rounds.looks = True
            again = list(islice(self._put_off, RETRIED_MAX))
            found += [self._put_off.pop(key) for key in again]
        return found + self._rounds.sweep(state)

    def _note_again(self, due: Iterable[Due]) -> None:
        if self._generation == self._view.generation:
            agenda = self._view.state.indexes.agenda
            for each in due:
                agenda.note_again(each)

    async def _decide(self, due: list[Due], basis: int) -> None:
        view, now_ns = self._view, self._clock()
        desk = desk_at(view.state, self._topology, view.epoch, now_ns)
        wants = await self._wants(desk, due)
        moved = self._publisher.decisions.basis != basis
        if moved or self._generation != view.generation:
            self._note_again(due)  # by rules, or with copies, that are not those now
            return
        # What else was folded while wants were found counts, too.
        desk = desk_at(view.state, self._topology, view.epoch, now_ns)
        found = decide(desk, wants, self._settings.name)
        events = found.events
        if self._rounds.looks:
            self._rounds.looks = False
            target = self._rounds.next_target(view.state)
            if target is not None:  # one region a look, so that no look takes long
                events = [*events, *upkeep(desk, target, self._settings.name)]
        if not events and self._rounds.clearing is not None:
            # By itself: what leaves must know of every copy that is decided.
            events = self._removals(desk, self._rounds.clearing)
        if events:
            await self._store(events, basis)
        self._keep(desk, found)

    def _removals(self, desk: Desk, region: Region) -> list[Event]:
        """Return what of some repositories leaves *region*; the next step goes on.

        A storage budget is of the whole region, which is looked at in one go: only
        where that is quick.
        """
        owners: list[Row] | None = self._rounds.owners(desk.state)
        if desk.guardrails.keep.budget_bytes(region) is not None:
            if len(desk.state.replicas) <= BUDGET_REPLICAS_MAX:
                owners, self._rounds.clearing = None, None
            elif self._rounds.clearing is None:
                log_events.warning("storage_budget_not_kept", region=region)
        removals = removable(desk.network, desk.guardrails, region, owners)
        return list(planned_removals(desk, removals, self._settings.name))

    async def _wants(self, desk: Desk, due: list[Due]) -> list[Want]:
        """Return what is wanted of all that is *due*, letting others in."""
        found: list[Want] = []
        clock = asyncio.get_running_loop().time
        began = clock()
        for each in due:
            found.extend(wants_of(desk, each))
            if clock() - began >= SLICE_SECONDS:
                await self._rest(REST_SECONDS if len(due) > HURRIED_MAX else 0)
                if self._generation != self._view.generation:
                    return []
                began = clock()
        return found

    async def _rest(self, seconds: float) -> None:
        """Leave others so long, or longer where calls wait."""
        if self._pressed():
            seconds = PRESSED_REST_SECONDS
        await (asyncio.sleep(seconds) if seconds else let_others_in())

    def _keep(self, desk: Desk, found: Round) -> None:
        """Remember what was put off, once for each reason; the oldest is left out."""
        for want in found.put_off:
            image = want.candidate.image
            placement = desk.state.find_placement(image.repository, image.digest)
            key = (placement, want.trigger)
            self._put_off.pop(key, None)
            self._put_off[key] = Due(placement, want.trigger, want.trigger_sequence)
            if len(self._put_off) > PUT_OFF_MAX:
                del self._put_off[next(iter(self._put_off))]

    async def _store(self, events: list[Event], basis: int) -> None:
        """Append the decisions, and wait until they are folded here."""
        triggers = (getattr(each.fact, "trigger_sequence", 0) for each in events)
        links = self._view.traces.of(triggers)
        with span("decide", links=links, attributes={"decisions": len(events)}):
            last = await self._publisher.decisions.append(events, basis)
        self.counts.decided += len(events)
        log_events.debug("decisions_stored", events=len(events), sequence=last)
        generation = self._view.generation
        try:
            async with asyncio.timeout(FOLDED_SECONDS_MAX):
                while self._view.position < (generation, last):
                    await self._view.changed(self._view.position)
        except TimeoutError:
            log_events.warning("decisions_not_folded", sequence=last)
