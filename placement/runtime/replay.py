"""Folding a log from its start, beside any service, to compare fingerprints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from placement.core.block import Frame
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.fold_block import fold_block
from placement.core.state import State
from placement.ports import EventLog, Message
from placement.runtime.quarantine import (
    FoldFailedError,
    Quarantine,
    read_quarantine,
)
from placement.runtime.reader import compiled
from placement.runtime.runs import Runs
from placement.wire.columns import Read, decode_block
from placement.wire.events import decode_message
from placement.wire.pull_reading import read_messages

RUN_SECONDS: Final = 0.02
"""Nobody waits for answers meanwhile."""
COMPILED_FROM: Final = 20_000
"""So many messages are worth the seconds that compiled code takes to be ready."""
Progress = Callable[[int, int], None]
"""Called with (folded up to, folding to) now and then."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A state's position and hash, and how much was folded to get there."""

    epoch: str
    sequence: int
    fold_version: int
    fingerprint: str
    counts: dict[str, int]


async def replay(
    log: EventLog,
    to_sequence: int | None = None,
    on_progress: Progress | None = None,
) -> Replayed:
    """Fold *log* up to *to_sequence*, or to where it ends now, and say the result.

    What is quarantined anywhere in the log is left out, even when *to_sequence* is
    before the fact that says so: so does everybody who folds this log now. Raises
    FoldFailedError.
    """
    status = await log.status()
    last = status.last_sequence
    if to_sequence is not None:
        last = min(last, to_sequence)
    state = State()
    quarantine = await read_quarantine(log)
    if last >= status.first_sequence:
        many = last - status.first_sequence >= COMPILED_FROM
        read = compiled() if many else read_messages
        target = _Target(state, quarantine, last, read)
        await _fold_to(log, target, status.first_sequence - 1, on_progress)
    names = ("folded", "duplicate", "set_aside", "late")
    return Replayed(
        status.epoch,
        state.sequence,
        FOLD_VERSION,
        fingerprint(state),
        {name: state.count(name) for name in names},
    )


@dataclass(slots=True)
class _Target:
    """What is folded, without what, how, and how far."""

    state: State
    quarantine: Quarantine
    last_sequence: int
    read: Read
    runs: Runs = field(default_factory=lambda: Runs(RUN_SECONDS))
    folding: int = 0
    """The message that is being folded, or the first of several."""

    def fold(self, batch: Sequence[Message]) -> None:
        """Fold the messages of *batch*, many at a time; raises FoldFailedError."""
        for run in self.runs.cut(batch):
            if not self.runs.together(run):
                for message in run:
                    self._fold_alone(message)
                continue
            self.folding = run[0].sequence
            try:
                block = decode_block(run, self.quarantine.skipped, self.read)
                fold_block(self.state, block, self._note)
            except Exception as error:
                raise FoldFailedError(self.folding, error) from error

    def _fold_alone(self, message: Message) -> None:
        skipped = self.quarantine.skipped(message.sequence)
        try:
            fold(self.state, decode_message(message, skipped))
        except Exception as error:
            raise FoldFailedError(message.sequence, error) from error

    def _note(self, frame: Frame) -> None:
        self.folding = frame.sequence


async def _fold_to(
    log: EventLog, target: _Target, after: int, on_progress: Progress | None
) -> None:
    state, last = target.state, target.last_sequence
    async for batch in log.read(after):
        target.fold([message for message in batch if message.sequence <= last])
        if on_progress is not None:
            on_progress(state.sequence, last)
        if state.sequence >= last or not batch:
            return
