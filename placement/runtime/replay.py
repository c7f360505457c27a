"""Folding a log from its start, beside any service, to compare fingerprints."""

from collections.abc import Callable
from dataclasses import dataclass

from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.state import State
from placement.ports import EventLog, Message
from placement.runtime.quarantine import (
    FoldFailedError,
    Quarantine,
    read_quarantine,
)
from placement.wire.events import decode_message

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
        target = _Target(state, quarantine, last)
        await _fold_to(log, target, status.first_sequence - 1, on_progress)
    names = ("folded", "duplicate", "set_aside", "late")
    return Replayed(
        status.epoch,
        state.sequence,
        FOLD_VERSION,
        fingerprint(state),
        {name: state.count(name) for name in names},
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """What is folded, without what, and how far."""

    state: State
    quarantine: Quarantine
    last_sequence: int

    def fold(self, message: Message) -> None:
        skipped = self.quarantine.skipped(message.sequence)
        try:
            fold(self.state, decode_message(message, skipped))
        except Exception as error:
            raise FoldFailedError(message.sequence, error) from error


async def _fold_to(
    log: EventLog, target: _Target, after: int, on_progress: Progress | None
) -> None:
    state, last = target.state, target.last_sequence
    async for batch in log.read(after):
        for message in batch:
            if message.sequence > last:
                return
            target.fold(message)
        if on_progress is not None:
            on_progress(state.sequence, last)
        if state.sequence >= last or not batch:
            return
