"""States of earlier messages, folded beside the live one for those who ask about then.

One is folded at a time, and who asks for the same point waits for the same fold. A fold
goes on when nobody waits for it any more: asking again finds it further, or done.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import structlog

from placement.ports import Clock, EventLog, LogReplacedError
from placement.runtime.epochs import identity
from placement.runtime.past_bases import Bases, OlderCheckpoints
from placement.runtime.past_errors import (
    AsOfBusyError,
    AsOfFoldingError,
    AsOfGoneError,
    AsOfUnsupportedError,
)
from placement.runtime.past_folding import PastFold, Sources, look
from placement.runtime.past_points import sequence_at
from placement.runtime.past_states import Entry, Held, PastStates, PastView, Point
from placement.runtime.view import View
from placement.wire.as_of import AsOf

FOLDS_MAX: Final = 16
"""So many may be under way or wait for their turn, of all callers."""

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PastSettings:
    """How much the past may cost."""

    states_max: int = 2
    """States in memory, each as large as the live one; 0: none, no question."""
    messages_max: int = 1_000_000
    """Messages that are folded for one state."""
    caller_folds_max: int = 4
    """Of FOLDS_MAX, so many may one caller have begun."""
    idle_seconds: float = 600.0
    """A state that nobody read for so long goes; 0: it stays until others come."""
    seed: int = 0
    """Of the tables' hash."""


class Past:
    """The past states of one service.

    ``counts`` tells how often folds were begun, ended whole and failed, how many
    messages were folded, checkpoints loaded and found damaged, and how many questions
    found their state there or on its way; ``seconds`` how long the whole folds took.
    """

    def __init__(
        self,
        log: EventLog,
        view: View,
        checkpoints: OlderCheckpoints,
        clock: Clock,
        settings: PastSettings,
    ) -> None:
        """Fold *log*, which *view* shows as it is now, beside it."""
        self.settings = settings
        self.counts = Counter(
            begun=0, whole=0, failed=0, found=0, messages=0, loaded=0, damaged=0
        )
        self.seconds = 0.0
        self.states = PastStates(settings.states_max, settings.idle_seconds)
        self._view = view
        self._clock = clock
        self._sources = Sources(log, checkpoints, self.counts, settings.seed)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def view_at(
        self, as_of: AsOf, timeout_s: float, caller: str = ""
    ) -> AsyncIterator[PastView]:
        """Give the state of a point within the block; raises what ``take`` does."""
        held = await self.take(as_of, timeout_s, caller)
        try:
            yield held.view
        finally:
            held.release()

    async def take(self, as_of: AsOf, timeout_s: float, caller: str = "") -> Held:
        """Return the state of a point, to be released, within *timeout_s* seconds.

        *caller* tells those apart who share what may be asked for; empty: nobody who
        is limited. Raises AsOfUnsupportedError where none is kept, AsOfAheadError,
        AsOfGoneError and AsOfLimitError for points that cannot be had, AsOfBusyError
        and AsOfFoldingError where asking again helps, LogUnavailableError,
        LogReplacedError, and FoldFailedError.
        """
        if not self.settings.states_max:
            why = "past states are switched off here: past.states_max is 0"
            raise AsOfUnsupportedError(why)
        ends_s = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(ends_s):
                entry = await self._entry(as_of, caller)
        except TimeoutError:
            raise AsOfFoldingError(as_of, 0) from None
        entry.users += 1
        try:
            async with asyncio.timeout_at(ends_s):
                await asyncio.shield(entry.task)
        except BaseException as error:
            self.states.leave(entry)
            if isinstance(error, TimeoutError):
                folded = entry.fold.folded
                raise AsOfFoldingError(as_of, folded) from None
            raise
        return Held(entry, self.states)

    async def close(self) -> None:
        """End all folds, and let go of all states."""
        await self.states.clear()

    async def _entry(self, as_of: AsOf, caller: str) -> Entry:
        """Return the state of a point, which may have to be folded yet."""
        generation = self._view.generation
        if as_of.sequence is not None and not self._view.epoch_broken:
            entry = self._found((generation, as_of.sequence))
            if entry is not None:
                return entry
        bases = await self._look()
        sequence = await self._sequence(bases, as_of)
        point = (generation, sequence)
        entry = self._found(point)
        if entry is not None:
            return entry
        bases.nearest(sequence, self.settings.messages_max)  # raises what it must
        self._require_turn(caller)
        fold = PastFold(self._sources, self._view.epoch, sequence)
        entry = Entry(point, fold, caller)
        self.states.add(entry)
        entry.task = asyncio.create_task(self._fold(entry))
        entry.task.add_done_callback(_retrieved)
        return entry

    def _found(self, point: Point) -> Entry | None:
        entry = self.states.find(point)
        self.counts["found"] += entry is not None
        return entry

    async def _look(self) -> Bases:
        """Return what can be folded now; raises LogReplacedError, LogUnavailableError.

        The live state must be of the log as it is: of another one nobody could say what
        a sequence means.
        """
        view = self._view
        bases = await look(self._sources, view.epoch)
        broken = view.epoch_broken or identity(view.epoch) != bases.status.epoch
        if broken or bases.status.last_sequence < view.state.sequence:
            message = (
                "as_of: the log is not the one that the state was folded from: ask "
                "again when the service has folded the log as it is"
            )
            raise LogReplacedError(message, field="as_of", epoch=view.epoch)
        return bases

    async def _sequence(self, bases: Bases, as_of: AsOf) -> int:
        """Return the message that *as_of* means; raises AsOfAheadError, AsOfGoneError.

        A time before the first message of the log may still be in a checkpoint.
        """
        log, folded = self._sources.log, self._view.state.sequence
        now_ns = self._clock()
        sequence = await sequence_at(log, bases.status, as_of, folded, now_ns)
        if sequence is not None:
            return sequence
        earliest = bases.earliest
        if bases.whole:
            first = await log.message(bases.status.first_sequence)
            if first is not None:
                earliest = first.sequence, first.store_time_ns
        elif earliest[0] and earliest[1] <= (as_of.time_ns or 0):
            return earliest[0]
        raise AsOfGoneError(as_of, *earliest)

    def _require_turn(self, caller: str) -> None:
        """Raise AsOfBusyError where *caller*, or all together, wait for enough."""
        waiting, most = self.states.waiting, self.settings.caller_folds_max
        if len(waiting) >= FOLDS_MAX:
            raise AsOfBusyError("past_folds", FOLDS_MAX)
        if caller and sum(each.caller == caller for each in waiting) >= most:
            raise AsOfBusyError("past.caller_folds_max", most)

    async def _fold(self, entry: Entry) -> None:
        """Fold the state of *entry* when it is its turn and there is room for it."""
        generation, sequence = entry.point
        try:
            async with self._turn:
                await self.states.make_room()
                began_s = perf_counter()
                self.counts["begun"] += 1
                bases = await self._look()
                state = await entry.fold.run(bases, self.settings.messages_max)
                self._require_generation(generation)
                self.states.ready(entry, PastView(state, self._view.epoch))
        except BaseException as error:
            self.states.discard(entry)
            self.counts["failed"] += 1
            log_events.warning("past_failed", sequence=sequence, reason=str(error))
            raise
        seconds = perf_counter() - began_s
        self.counts["whole"] += 1
        self.seconds += seconds
        log_events.info(
            "past_folded", sequence=sequence, duration_ms=round(1_000 * seconds)
        )

    def _require_generation(self, generation: int) -> None:
        """Raise LogReplacedError if another fold of the log took over meanwhile."""
        if self._view.generation != generation:
            message = "as_of: the log was folded again meanwhile: ask again"
            raise LogReplacedError(message, field="as_of")


def _retrieved(task: asyncio.Task[None]) -> None:
    """Look at a fold's error, which nobody may wait for any more; it is logged."""
    if not task.cancelled():
        task.exception()
