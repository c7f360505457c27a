"""Folding a log from its start, beside any service, to compare fingerprints."""

from collections.abc import Callable
from dataclasses import dataclass

from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.state import State
from placement.ports import EventLog
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
    """Fold *log* up to *to_sequence*, or to where it ends now, and say the result."""
    status = await log.status()
    last = status.last_sequence
    if to_sequence is not None:
        last = min(last, to_sequence)
    state = State()
    if last >= status.first_sequence:
        await _fold_to(log, state, last, status.first_sequence - 1, on_progress)
    names = ("folded", "duplicate", "set_aside", "late")
    return Replayed(
        status.epoch,
        state.sequence,
        FOLD_VERSION,
        fingerprint(state),
        {name: state.count(name) for name in names},
    )


async def _fold_to(
    log: EventLog,
    state: State,
    last: int,
    after: int,
    on_progress: Progress | None,
) -> None:
    async for batch in log.read(after):
        for message in batch:
            if message.sequence > last:
                return
            fold(state, decode_message(message))
        if on_progress is not None:
            on_progress(state.sequence, last)
        if state.sequence >= last or not batch:
            return
