"""When the shown state is saved, and what becomes of a save that fails."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from placement.ports import (
    CheckpointDamagedError,
    CheckpointFsyncError,
    CheckpointHeader,
    CheckpointStore,
    CheckpointUnwritableError,
)
from placement.runtime.checkpoint import Restored, Saver
from placement.runtime.line import Line
from placement.runtime.view import View

RETRY_SECONDS: Final = 2.0
"""A save that failed is tried again so soon: it may be a full disk that has room again.
"""

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often a state is saved: after either, whichever comes first."""

    interval_seconds: float
    message_count: int


class Keeper:
    """Saves whichever line is shown, and says on the view when that fails."""

    def __init__(
        self, store: CheckpointStore, view: View, cadence: Cadence, fold_version: int
    ) -> None:
        """Save into *store* as often as *cadence* says."""
        self._saver = Saver(store, fold_version)
        self._view = view
        self._cadence = cadence
        self._saved: tuple[Line | None, int] = (None, 0)
        self._due = asyncio.Event()
        self._due_sequence = cadence.message_count
        self._aside = ""
        self._ended = False
        self._fatal: CheckpointFsyncError | None = None
        self.turn = asyncio.Lock()
        """Held while the checkpoint is written, or must stay as it is."""

    async def load(self) -> tuple[CheckpointHeader, Restored] | None:
        """Return the checkpoint, or None; a damaged one is put aside."""
        try:
            return await self._saver.load()
        except CheckpointDamagedError as error:
            await self.discard(str(error))
        return None

    async def discard(self, reason: str) -> None:
        """Put the checkpoint aside, and say so."""
        log_events.error("checkpoint_refused", reason=reason, remedy="folding anew")
        await self._saver.discard(reason)

    def loaded(self, line: Line) -> None:
        """Note that *line* is as it was saved."""
        self._saved = (line, line.state.sequence)
        self._due_sequence = line.state.sequence + self._cadence.message_count

    def put_aside(self, reason: str) -> None:
        """Put the checkpoint aside before the next save."""
        self._aside = reason
        self._due.set()

    def want(self) -> None:
        """Save as soon as can be."""
        self._due.set()

    def moved(self, line: Line) -> None:
        """Note how far the shown line is; many messages are saved before their time."""
        if line.state.sequence >= self._due_sequence:
            self._due.set()

    def end(self) -> None:
        """Save nothing more: the state in memory is not whole."""
        self._ended = True
        self._saver.end()

    async def save_regularly(self, to_save: Callable[[], Line | None]) -> None:
        """Save for ever what *to_save* returns; raises CheckpointFsyncError."""
        wait_seconds = self._cadence.interval_seconds
        while True:
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            if self._fatal is not None:
                raise self._fatal
            wait_seconds = self._cadence.interval_seconds
            line = to_save()
            if line is not None and not await self.save(line):
                wait_seconds = min(wait_seconds, RETRY_SECONDS)

    def adopted(self, restored: Restored) -> None:
        """Note that the store has what *restored* was made of, and nothing else."""
        self._saver.note(restored)
        self._aside = ""

    def lost(self, line: Line) -> None:
        """Note that the store has nothing any more: *line* is saved whole next time."""
        self._saver.note(Restored(0))
        self._saved = (None, 0)
        for table in line.state.tables().values():
            table.mark_all_dirty()

    async def save(self, line: Line) -> bool:
        """Save *line* unless it is saved as it is; say whether it is now.

        Raises CheckpointFsyncError, after which nothing may be saved by this process.
        """
        async with self.turn:
            return await self.save_in_turn(line)

    def is_saved(self, line: Line) -> bool:
        """Say whether the store has *line* just as it is now."""
        return not self._ended and self._saved == (line, line.state.sequence)

    async def save_in_turn(self, line: Line) -> bool:
        """Do what ``save`` does, for who holds ``turn``."""
        if self._ended or self._saved == (line, line.state.sequence):
            return True
        self._due_sequence = line.state.sequence + self._cadence.message_count
        try:
            if self._aside:
                await self.discard(self._aside)
                self._aside = ""
            sequence = await self._saver.save(line.state, line.epoch)
        except CheckpointFsyncError as error:
            self._ended, self._fatal = True, error
            self._due.set()  # whoever asked for this save, the process ends
            raise
        except (CheckpointUnwritableError, CheckpointDamagedError) as error:
            log_events.warning("checkpoint_failed", reason=str(error))
            self._view.degraded(str(error))
            return False
        self._saved = (line, sequence)
        self._view.degraded("")
        log_events.debug("checkpoint_saved", sequence=sequence)
        return True
