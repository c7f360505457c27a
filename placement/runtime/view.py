"""The read side: the state, what its answers rest on, and waiting for a sequence."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from placement.core.state import State
from placement.ports import Clock
from placement.runtime.refused import Refused
from placement.runtime.tokens import (
    Recent,
    Token,
    make_token,
    message_mark,
    parse_token,
)
from placement.tracing import Traces

if TYPE_CHECKING:  # it logs: a local replica would wait 0.1 s for what it never says
    from placement.runtime.witness import Witness

SILENCE_NS_MAX: Final = 4_000_000_000
"""A log that can be reached is heard every two seconds; twice that is out of reach."""
WAITERS_MAX: Final = 10_000
"""Calls that may wait for a sequence at once; further ones are answered as it is."""


class Hold(Protocol):
    """Lets nothing be folded into a state for as long as anybody wants it held."""

    def __call__(self, who: str, *, held: bool) -> None:
        """Note whether *who* wants it held."""


class ServingState(IntEnum):
    """How far the service may be trusted to be up to date."""

    REBUILDING = 1
    LIVE = 2
    STALE = 3
    EPOCH_BROKEN = 4
    DEGRADED = 5
    PAST = 6


class Basis(NamedTuple):
    """What an answer rests on; times in nanoseconds."""

    epoch: str
    sequence: int
    store_time_ns: int
    state: ServingState
    staleness_ns: int
    answer_time_ns: int
    mark: str = ""
    """Tells the message at *sequence* from any other there; see ``tokens``."""

    @property
    def token(self) -> str:
        """Return what stands for epoch and sequence in requests."""
        return make_token(self.epoch, self.sequence, self.mark)


class View:
    """One state, written by the projector and read by answers between its folds."""

    def __init__(self, clock: Clock) -> None:
        """Begin with an empty state that nobody may trust yet."""
        self.state = State()
        self.epoch = ""
        self.generation = 0
        """How often another state was put in place of the one before."""
        self.revision = 0
        """How often anything was noted that a basis tells."""
        self.last_sequence: int | None = None
        self.successor = ""
        """While the epoch is broken: the name of what is stored in the log now."""
        self.rebuilding = ""
        """Why, and how far, the log is being folded again beside this state."""
        self.rebuilt_sequence = 0
        """While it is: up to which message it is folded."""
        self.outdated = ""
        """Why this state is no fold of its log as this version would make it."""
        self.refused = Refused()
        """What was refused of the log while this state was folded from it."""
        self.hold: Hold = nothing_to_hold
        """Keeps from folding into this state, while anybody wants that."""
        self.witness: Witness | None = None
        """Who compares this state with other services'; none: nobody does."""
        self.traces = Traces()
        """Contexts of messages that were folded lately, for what follows from them."""
        self._recent = Recent()
        self._clock = clock
        self._started_ns = clock()
        self._current_ns = 0
        """All that was stored before this time is folded."""
        self._mark: tuple[int, int] | None = None
        self._restored = False
        self._broken = ""
        self._degraded = ""
        self._waiters: dict[asyncio.Future[None], int] = {}
        self._moved = asyncio.Event()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nothing be folded into the state within the block; one at a time."""
        hold = self.hold
        hold("still", held=True)
        try:
            yield
        finally:
            hold("still", held=False)

    # Written by the projector.

    def replace(
        self, state: State, epoch: str, *, restored: bool, recent: Recent | None = None
    ) -> None:
        """Answer from another state; *restored* says that it is from a checkpoint.

        *recent* remembers what was folded into it last. Whatever was broken is whole
        again: the state is one of the log as it is.
        """
        self.generation += 1
        self._broken = self.successor = ""
        self.state, self.epoch, self._restored = state, epoch, restored
        self._recent = recent or Recent()
        self._current_ns, self._mark = 0, None
        self.advanced()

    def advanced(self) -> None:
        """Take note of what is folded now, and wake the calls that waited for it."""
        sequence = self.state.sequence
        if self._mark is not None and self._mark[1] <= sequence:
            known_ns = min(self._current_ns, self._clock())  # which was set back, maybe
            self._current_ns = max(known_ns, self._mark[0])
            self._mark = None
        self.revision += 1
        self._moved.set()
        self._moved = asyncio.Event()
        for waiter, wanted in list(self._waiters.items()):
            if wanted <= sequence and not waiter.done():
                waiter.set_result(None)

    def caught_up(self) -> None:
        """Note that the log was reached just now and holds nothing newer."""
        self.reached(self._clock(), self.state.sequence)

    def reached(self, time_ns: int, last_sequence: int) -> None:
        """Note that at *time_ns* the log ended at *last_sequence*."""
        self.last_sequence = max(last_sequence, self.state.sequence)
        if self._mark is None or last_sequence <= self.state.sequence:
            self._mark = (time_ns, last_sequence)
        self.advanced()

    def broken(self, why: str, successor: str = "") -> None:
        """Note that the log is not the one that the state was folded from.

        *successor* is the epoch of what is in the log now, if that will be folded.
        """
        self._broken, self.successor = why, successor
        self.revision += 1

    def degraded(self, why: str) -> None:
        """Note that the checkpoint cannot be written; empty: it can again."""
        self._degraded = why
        self.revision += 1

    # Read by answers.

    def now_ns(self) -> int:
        """Return the time that an answer given now is of."""
        return self._clock()

    @property
    def ready(self) -> bool:
        """Whether the log was folded up to its end at least once."""
        return self._current_ns > 0

    @property
    def trouble(self) -> str:
        """Return why the state is EPOCH_BROKEN or DEGRADED, for people."""
        return self._broken or self._degraded

    @property
    def epoch_broken(self) -> bool:
        """Whether the log is another one: nothing more may be folded into the state."""
        return bool(self._broken)

    def staleness_ns(self) -> int:
        """Return for how long the state may lack what was stored in the log."""
        return self._staleness_ns(self._clock())

    def _staleness_ns(self, now_ns: int) -> int:
        current_ns = self._current_ns or self.state.store_time_ns or self._started_ns
        return max(0, now_ns - current_ns)

    def lag_ns(self) -> int:
        """Return how old what was folded last is, while the log is known to have more.

        0: nothing waits to be folded, as far as is known.
        """
        if self.state.sequence >= (self.last_sequence or 0):
            return 0
        store_time_ns = self.state.store_time_ns or self._started_ns
        return max(0, self._clock() - store_time_ns)

    def serving_state(self) -> ServingState:
        """Return how far the state may be trusted now."""
        return self._serving_state(self.staleness_ns())

    def _serving_state(self, staleness_ns: int) -> ServingState:
        if self._broken:
            return ServingState.EPOCH_BROKEN
        if not self.ready:
            return ServingState.STALE if self._restored else ServingState.REBUILDING
        if staleness_ns > SILENCE_NS_MAX:
            return ServingState.STALE
        return ServingState.DEGRADED if self._degraded else ServingState.LIVE

    def basis(self, *, behind: bool = False) -> Basis:
        """Return what an answer given now rests on; *behind* marks it STALE."""
        now_ns = self._clock()
        staleness_ns = self._staleness_ns(now_ns)
        state = self._serving_state(staleness_ns)
        if behind and state in {ServingState.LIVE, ServingState.DEGRADED}:
            state = ServingState.STALE
        return Basis(
            self.epoch,
            self.state.sequence,
            self.state.store_time_ns,
            state,
            staleness_ns,
            now_ns,
            message_mark(self.state.message_hash),
        )

    @property
    def position(self) -> tuple[int, int]:
        """Return the generation of the state and its sequence: it only ever grows."""
        return self.generation, self.state.sequence

    @property
    def decided_sequence(self) -> int:
        """Return where the last decision or order is that was folded; 0: not known."""
        return self._recent.decided_sequence

    async def changed(self, after: tuple[int, int]) -> None:
        """Wait until the state is at another ``position`` than *after*."""
        while self.position == after:
            await self._moved.wait()

    async def wait_for(self, token: str, timeout_s: float) -> bool:
        """Wait until what *token* stands for is folded; say whether it is.

        A token of another log is never reached. Raises TokenInvalidError.
        """
        wanted = parse_token(token)
        if self.state.sequence >= wanted.sequence:
            return self.holds(wanted)
        if not wanted.same_log(self.epoch) or len(self._waiters) >= WAITERS_MAX:
            return False
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = wanted.sequence
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        finally:
            del self._waiters[waiter]
        return self.holds(wanted)  # the log may have been replaced meanwhile

    def holds(self, token: Token) -> bool:
        """Say whether the state is a fold of what *token* stands for, as far as known.

        Where the message is not remembered, the whole name of the epoch must do.
        """
        sequence, state = token.sequence, self.state
        if sequence > state.sequence or not token.same_log(self.epoch):
            return False
        known = self._recent.marks(sequence)
        if not known and 0 < sequence == state.sequence:  # as the checkpoint has it
            known = (message_mark(state.message_hash),)
        alike = [mark for mark in known if mark[:1] == token.mark[:1]]
        return token.mark in alike if alike else token.epoch == self.epoch


def nothing_to_hold(who: str, *, held: bool) -> None:
    """Do nothing: nobody folds into the state."""
    del who, held
