"""Messages of the log, folded in their order, with the rows of each.

Pulls, stops, and starts that no decision tells of change nothing that says what others
of them meant. So what each meant can be read from the state after many of them, and
runs of messages with nothing else are folded as columns. All else is folded one event
after another.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from placement.core.event import (
    ContentPulled,
    MachineStarted,
    MachineStopped,
    Recorded,
    RecordedMessage,
)
from placement.core.event_keys import KEY_BYTES, event_key
from placement.core.fold import fold_steps
from placement.core.fold_block import fold_block
from placement.core.folds.payoff import nearness
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.export.known_bad import look_at
from placement.export.meaning import DUPLICATE, FOLDED, SET_ASIDE, Meanings, Told
from placement.ports import Message
from placement.runtime.quarantine import FoldFailedError
from placement.runtime.reader import compiled
from placement.runtime.runs import RUN_BYTES_MAX, RUN_BYTES_MIN
from placement.wire.columns import Read, decode_block
from placement.wire.events import decode_message
from placement.wire.pull_reading import read_messages
from placement.wire.unread import message_region

COMPILED_FROM_BYTES: Final = 1 << 26
"""Of messages: so many are worth the seconds that compiled code takes to be ready."""
REFUSED: Final = "decision_refused"
Skipped = Callable[[int], Collection[int]]


class Of(NamedTuple):
    """A message with what it holds."""

    message: Message
    held: RecordedMessage


class Teller:
    """Folds messages into a state, and tells what they meant."""

    def __init__(self, state: State, epoch: int, skipped: Skipped) -> None:
        """Go on from *state*; events whose places are *skipped* are left out."""
        self.state = state
        self._epoch = epoch
        self._skipped = skipped
        self._meanings = Meanings(state, epoch)
        self._counts: dict[str, int] = {}
        self._note_counts()
        self._read: Read = read_messages
        self._bytes_read = 0

    def told(
        self, batch: Sequence[Message]
    ) -> Iterator[tuple[Message, int, Iterator[Told]]]:
        """Yield each message, how many events it holds, and their rows.

        The rows are to be taken before the next message is. Raises FoldFailedError.
        """
        run: list[Of] = []
        size = 0
        for message in batch:
            held = decode_message(message, self._skipped(message.sequence))
            one = Of(message, held)
            if not self._is_quiet(held):
                yield from self._run(run)
                run, size = [], 0
                yield message, len(held.items), self._one_by_one(one)
                continue
            run.append(one)
            size += len(message.body)
            if size >= RUN_BYTES_MAX:
                yield from self._run(run)
                run, size = [], 0
        yield from self._run(run)

    # Many at a time.

    def _is_quiet(self, held: RecordedMessage) -> bool:
        """Say whether nothing of a message changes what any other event meant."""
        return all(
            isinstance(item, Recorded)
            and not item.event.organization
            and not item.event.app
            and self._tells_itself(item)
            for item in held.items
        )

    def _tells_itself(self, item: Recorded) -> bool:
        match item.event.fact:
            case ContentPulled() | MachineStopped():
                return True
            case MachineStarted() as fact:
                if nearness(item.event.region, fact) is not None:
                    return True
                owner = self.state.find_repository(fact.repository)
                return owner == ABSENT or not self.state.indexes.decisions.about(owner)
            case _:
                return False

    def _run(self, run: list[Of]) -> Iterator[tuple[Message, int, Iterator[Told]]]:
        if not run:
            return
        size = sum(len(one.message.body) for one in run)
        if size < RUN_BYTES_MIN or not self._new(run):
            for one in run:
                yield one.message, len(one.held.items), self._one_by_one(one)
            return
        aside = self.state.count(SET_ASIDE)
        self._fold_together([one.message for one in run], size)
        doubted = self.state.count(SET_ASIDE) != aside
        self._note_counts()
        for message, held in run:
            yield message, len(held.items), self._rows(held, doubted=doubted)

    def _new(self, run: list[Of]) -> bool:
        """Say whether no event of *run* was folded before, or is in it twice."""
        keys = [
            event_key(item.event)
            for one in run
            for item in one.held.items
            if isinstance(item, Recorded)
        ]
        if len(set(keys)) < len(keys):
            return False
        packed = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
        return bool((self.state.event_ids.find_many(packed) == ABSENT).all())

    def _fold_together(self, messages: list[Message], size: int) -> None:
        if self._bytes_read < COMPILED_FROM_BYTES <= self._bytes_read + size:
            self._read = compiled()
        self._bytes_read += size
        try:
            block = decode_block(messages, self._skipped, self._read)
            fold_block(self.state, block, lambda _: None)
        except Exception as error:
            raise FoldFailedError(messages[0].sequence, error) from error

    def _rows(self, held: RecordedMessage, *, doubted: bool) -> Iterator[Told]:
        for item in held.items:
            assert isinstance(item, Recorded), "what cannot be read is not quiet"
            aside = doubted and self._meanings.is_set_aside(item)
            status = SET_ASIDE if aside else FOLDED
            yield from self._meanings.rows(item, status, refused=False)

    # One event after another.

    def _one_by_one(self, one: Of) -> Iterator[Told]:
        steps = self._steps(one.held)
        for item in one.held.items:
            if not isinstance(item, Recorded):
                next(steps)
                yield self._meanings.unread(item, message_region(one.message))
                continue
            look = look_at(self.state, item)
            next(steps)
            status, refused = self._status(), self._moved(REFUSED)
            yield from self._meanings.rows(item, status, refused=refused)
            if look is not None and status == FOLDED:
                missed = look.missed(self._epoch)
                if missed is not None:
                    yield "intervals", missed
        for _ in steps:
            pass

    def _steps(self, held: RecordedMessage) -> Iterator[None]:
        try:
            yield from fold_steps(self.state, held)
        except Exception as error:
            raise FoldFailedError(held.sequence, error) from error

    def _status(self) -> str:
        if self._moved(FOLDED):
            return FOLDED
        return DUPLICATE if self._moved(DUPLICATE) else SET_ASIDE

    def _moved(self, name: str) -> bool:
        """Say whether a counter of the fold has moved since it was last asked for."""
        now = self.state.count(name)
        moved = now != self._counts[name]
        self._counts[name] = now
        return moved

    def _note_counts(self) -> None:
        for name in (FOLDED, DUPLICATE, REFUSED):
            self._counts[name] = self.state.count(name)
