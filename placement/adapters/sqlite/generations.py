"""The checkpoint with older ones behind it: what is damaged is not the end of it.

Beside the file that is saved to lie up to two copies of it, the newest first:

    checkpoint.sqlite      saved to, as often as the projector says
    checkpoint.1.sqlite    as it was when the last interval ended
    checkpoint.2.sqlite    and the interval before

A copy is made after a save once the newest is an interval old, beside the saves, and is
kept only if it proves itself. So the disk writes the checkpoint once more an interval,
whatever the number of saves. Where the file is damaged, ``load`` puts it aside and goes
on from the newest copy that proves itself; the log brings the rest. A copy never
outlives what it may be used for: another epoch's and a discarded checkpoint's go.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import structlog

from placement.adapters.sqlite.copying import (
    CopyError,
    copied,
    generation_path,
    rotate,
)
from placement.adapters.sqlite.failures import unwritable
from placement.adapters.sqlite.file import move_into_place, removed
from placement.adapters.sqlite.older import OlderCheckpointFiles
from placement.adapters.sqlite.store import (
    Resting,
    SqliteCheckpointStore,
    at_once,
)
from placement.core.errors import PlacementError
from placement.faults import FaultPoint, reach
from placement.ports import (
    Begin,
    CheckpointDamagedError,
    CheckpointHeader,
    Chunk,
)

COPIES_MAX: Final = 2
RETRY_SECONDS: Final = 60.0
"""A copy that failed is tried again after so long, or after an interval."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How many older checkpoints to keep, and how far apart."""

    copies: int = COPIES_MAX
    """0 to COPIES_MAX; 0: none but the one that is saved to."""
    interval_seconds: float = 900.0
    older_bytes_max: int = 0
    """Bytes of copies that are kept beyond those, for ``older``; 0: none are."""


class CheckpointGenerations:
    """A CheckpointStore in the file at *path*, and its copies beside it.

    ``counts`` tells how often copies were made, failed, and were fallen back to.
    """

    def __init__(
        self,
        path: Path,
        settings: GenerationSettings | None = None,
        resting: Resting = at_once,
    ) -> None:
        """Remember *path*, whose directory exists; the first use opens the file.

        Saves rest by *resting*.
        """
        self._path = path
        self._settings = settings or GenerationSettings()
        self._current = SqliteCheckpointStore(path, resting)
        chosen = self._settings
        self.older = OlderCheckpointFiles(
            path, chosen.copies, chosen.interval_seconds, chosen.older_bytes_max
        )
        """Where copies go that are not fallen back to any more."""
        self._epoch: str | None = None
        self._found_damaged = False
        self._stop = Event()
        self._copying: asyncio.Task[None] | None = None
        self._next_copy_s: float | None = None
        self.counts = Counter(made=0, failed=0, fallen_back_to=0)

    async def load(self, begin: Begin) -> CheckpointHeader | None:
        """Read the newest checkpoint that proves itself; None where there is none.

        What is newer than it and damaged is put aside. Raises CheckpointDamagedError
        when there are some and all are damaged, and CheckpointUnwritableError.
        """
        await self._end_copying()
        header, damage = None, None
        reason = "the file is gone, and copies of it are there"
        try:
            header = await self._current.load(begin)
        except CheckpointDamagedError as error:
            reason, damage = str(error), error
        for copy in self._copies() if header is None else ():
            await self._current.discard(reason)
            reach(FaultPoint.BEFORE_FALL_BACK)
            await asyncio.to_thread(move_into_place, copy, self._path)
            try:
                header = await self._current.load(begin)
            except CheckpointDamagedError as error:
                reason, damage = str(error), error
                continue
            self.counts["fallen_back_to"] += 1
            _log.error("checkpoint_fell_back", reason=reason, used=str(copy))
            break
        if header is None and damage is not None:
            raise damage
        self._epoch = None if header is None else header.epoch
        return header

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Write *chunks* and *header* in one transaction, and see whether to copy.

        Raises what the port says. Never waits for a copy, except for one of another
        epoch to end.
        """
        try:
            await self._current.save(header, chunks)
        except CheckpointDamagedError:
            self._found_damaged = True
            raise
        self._found_damaged = False
        if self._epoch not in {None, header.epoch}:
            await self._forget_copies()
        self._epoch = header.epoch
        if self._is_copy_due():
            self._copying = asyncio.create_task(self._copy())

    async def discard(self, reason: str) -> None:
        """Put the file aside, and delete its copies.

        They stay where a save has just found the file damaged: the state that was to be
        saved is whole, so they still are its older generations.
        """
        await self._end_copying()
        await self._current.discard(reason)
        if not self._found_damaged:
            await self._forget_copies()
        self._found_damaged = False

    async def adopt(self, new: Path, header: CheckpointHeader) -> None:
        """Let the checkpoint in the file *new*, flushed and closed, be this one.

        What was here goes aside first, and its copies last: a process that is killed
        meanwhile leaves either of both whole, or none but them.
        """
        await self._end_copying()
        await self._current.discard(f"taken over from elsewhere: {header.sequence}")
        reach(FaultPoint.AMID_ADOPTED)
        try:
            await asyncio.to_thread(move_into_place, new, self._path)
        except OSError as error:
            raise unwritable(self._path, error) from error
        await self._forget_copies()
        self._epoch, self._found_damaged = header.epoch, False

    async def close(self) -> None:
        """Let go of the files; a copy that is being made is given up."""
        await self._end_copying()
        await self._current.close()

    def _copies(self) -> Iterator[Path]:
        """Yield the copies that are there, the newest first."""
        for number in range(1, COPIES_MAX + 1):
            path = generation_path(self._path, number)
            if path.exists():
                yield path

    async def _forget_copies(self) -> None:
        await self._end_copying()
        for copy in list(self._copies()):
            await asyncio.to_thread(removed, copy)
        self._next_copy_s = None

    def _is_copy_due(self) -> bool:
        if not self._settings.copies or self._copying is not None:
            return False
        now_s = time.monotonic()
        if self._next_copy_s is None:
            self._next_copy_s = now_s + self._wait_seconds()
        return now_s >= self._next_copy_s

    def _wait_seconds(self) -> float:
        """Return for how long the newest copy, of whatever run, is young enough."""
        newest = next(self._copies(), None)
        if newest is None:
            return 0.0
        age_s = time.time() - newest.stat().st_mtime
        interval_s = self._settings.interval_seconds
        return min(interval_s, max(0.0, interval_s - age_s))

    async def _copy(self) -> None:
        """Make a copy, let it prove itself, and keep it; tell why if that fails."""
        began_s = time.monotonic()
        wait_s = min(RETRY_SECONDS, self._settings.interval_seconds)
        try:
            place = removed(self._path.with_name(f"{self._path.name}.copy"))
            new = await asyncio.to_thread(copied, self._path, self._stop, place)
            await self._prove(new)
            reach(FaultPoint.BEFORE_COPY_KEPT)
            copies, retire = self._settings.copies, self.older.retire
            await asyncio.to_thread(rotate, self._path, new, copies, retire)
            reach(FaultPoint.AFTER_COPY_KEPT)
        except (CopyError, OSError, PlacementError, sqlite3.Error) as error:
            if not self._stop.is_set():
                self.counts["failed"] += 1
                _log.warning("checkpoint_copy_failed", reason=str(error))
            with suppress(OSError):
                removed(self._path.with_name(f"{self._path.name}.copy"))
        else:
            wait_s = self._settings.interval_seconds
            self.counts["made"] += 1
            took_ms = round(1_000 * (time.monotonic() - began_s))
            _log.info("checkpoint_copied", duration_ms=took_ms)
        finally:
            self._next_copy_s = began_s + wait_s
            self._copying = None

    async def _prove(self, new: Path) -> None:
        """Verify the copy; one that is damaged says that the file may be, too.

        The file is let go of then, so that the next save verifies it first.
        """
        store = SqliteCheckpointStore(new)
        try:
            await store.load()
        except CheckpointDamagedError:
            await self._current.close()
            raise
        finally:
            await store.close()

    async def _end_copying(self) -> None:
        """Return once no copy is being made."""
        if self._copying is not None:
            self._stop.set()
            await asyncio.wait([self._copying])
            self._stop.clear()
