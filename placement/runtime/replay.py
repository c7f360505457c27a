"""Folding a log from its start, beside any service, to compare fingerprints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from placement.core.block import Frame
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.fold_block import fold_block_steps
from placement.core.state import State
from placement.ports import EventLog, Message
from placement.runtime.garbage import seldom_looked_at
from placement.runtime.quarantine import (
    FoldFailedError,
    Quarantine,
    read_quarantine,
)
from placement.runtime.reader import compiled
from placement.runtime.runs import RUN_MESSAGES_MAX, WHOLE_BYTES, Runs
from placement.wire.columns import Read, decode_block
from placement.wire.events import decode_message
from placement.wire.pull_reading import read_messages

COMPILED_FROM_BYTES: Final = 1 << 23
"""A log of so much more is worth the seconds that compiled code takes to be ready."""
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
    """Fold *log* as ``fold_log`` does, and say the result."""
    epoch, state = await fold_log(log, to_sequence, on_progress)
    names = ("folded", "duplicate", "set_aside", "late")
    return Replayed(
        epoch,
        state.sequence,
        FOLD_VERSION,
        fingerprint(state),
        {name: state.count(name) for name in names},
    )


async def fold_log(
    log: EventLog,
    to_sequence: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[str, State]:
    """Fold *log* up to *to_sequence*, or to where it ends now; return epoch and state.

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
        target = _Target(state, quarantine, last)
        with seldom_looked_at():
            await _fold_to(log, target, status.first_sequence - 1, on_progress)
    return status.epoch, state


@dataclass(slots=True)
class _Target:
    """What is folded, without what, how, and how far."""

    state: State
    quarantine: Quarantine
    last_sequence: int
    read: Read = read_messages
    bytes_read: int = 0
    runs: Runs = field(default_factory=lambda: Runs(None))
    folding: int = 0
    """The message that is being folded, or the first of several."""

    def fold(self, batch: Sequence[Message]) -> None:
        """Fold the messages of *batch*, many at a time; raises FoldFailedError."""
        before = self.bytes_read
        self.bytes_read += sum([len(message.body) for message in batch])
        if before < COMPILED_FROM_BYTES <= self.bytes_read:
            self.read = compiled()
        for run in self.runs.cut(batch):
            if not self.runs.together(run):
                for message in run:
                    self._fold_alone(message)
                continue
            self.folding = run[0].sequence
            try:
                block = decode_block(run, self.quarantine.skipped, self.read)
                in_turn = sum(
                    1 for _ in fold_block_steps(self.state, block, self._note)
                )
            except Exception as error:
                raise FoldFailedError(self.folding, error) from error
            self.runs.took(0.0, len(block.items), in_turn)

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
    last, read = target.last_sequence, after
    gathered: list[Message] = []
    size = 0
    async for batch in log.read(after):
        gathered += batch
        size += sum([len(message.body) for message in batch])
        read = batch[-1].sequence if batch else last
        if read < last and size < WHOLE_BYTES and len(gathered) < RUN_MESSAGES_MAX:
            continue
        if read > last:
            gathered = [message for message in gathered if message.sequence <= last]
        target.fold(gathered)
        gathered, size = [], 0
        if on_progress is not None:
            on_progress(target.state.sequence, last)
        if read >= last:
            return
