"""Older checkpoints, kept so that the past can be asked about without a long fold.

They are the copies that ``generations`` has no use for any more: each is moved into the
directory ``past`` beside the checkpoint instead of being replaced. There they are
thinned: of those whose ages, by the log's time, are between 2^k and 2^(k+1) intervals,
the oldest stays. So what of the log comes after the nearest one is never longer than
twice the time back to it, and a year takes fifteen files. Where all are more bytes than
allowed, the oldest go. What ``generations`` still has is read, too.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Final

import structlog

from placement.adapters.sqlite.copying import generation_path
from placement.adapters.sqlite.file import is_ours, move_into_place, removed
from placement.adapters.sqlite.proof import DamageError, Key
from placement.adapters.sqlite.unchanging import (
    batches,
    checked_rows,
    opened,
    stated_in,
    whole,
)
from placement.ports import CheckpointDamagedError, CheckpointHeader, Chunk
from placement.runtime.epochs import identity
from placement.runtime.past_bases import CheckpointAwayError

LOOKS_MAX: Final = 2
"""A rotation moves each file once, and the next one is an interval away."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Aged:
    """How old one of them is, by the log's time, and how large."""

    age_s: float
    size_bytes: int


class OlderCheckpointFiles:
    """The older checkpoints of the one at *path*, in at most *bytes_max* bytes.

    *copies* of it are kept by ``generations``, each an interval older than the one
    before.
    """

    def __init__(
        self, path: Path, copies: int, interval_s: float, bytes_max: int
    ) -> None:
        """Touch nothing yet."""
        self._path = path
        self._directory = path.with_name("past")
        self._copies = copies
        self._interval_s = interval_s
        self._bytes_max = bytes_max
        self._useless: set[CheckpointHeader] = set()

    async def headers(self) -> Sequence[CheckpointHeader]:
        """Return those that say what they are; nothing of it is proven yet."""
        found = await asyncio.to_thread(lambda: [each for each, _ in self._all()])
        return [each for each in found if each not in self._useless]

    async def read(
        self, header: CheckpointHeader
    ) -> AsyncGenerator[Sequence[Chunk], None]:
        """Yield the chunks of one; raises CheckpointDamagedError unless it is whole.

        Raises CheckpointAwayError where it cannot be read at all.
        """
        try:
            reader = await whole(asyncio.to_thread(self._opened, header))
            with closing(reader):
                hashes: dict[Key, bytes] = {}
                found, read = stated_in(reader), batches(checked_rows(reader))
                while batch := await whole(asyncio.to_thread(next, read, None)):
                    hashes |= {(c.table, c.number): own for c, own in batch}
                    yield [chunk for chunk, _ in batch]
                found.proven(hashes)
        except (OSError, sqlite3.OperationalError) as error:
            raise CheckpointAwayError(str(error)) from error
        except (DamageError, sqlite3.Error) as error:
            message = f"the checkpoint of message {header.sequence}: {error}"
            raise CheckpointDamagedError(message) from error

    async def drop(self, header: CheckpointHeader, reason: str) -> None:
        """Forget one; a copy of ``generations`` stays there."""
        self._useless.add(header)
        _log.warning(
            "older_checkpoint_dropped", sequence=header.sequence, reason=reason
        )
        with suppress(OSError):
            await asyncio.to_thread(self._remove, header)

    def retire(self, path: Path) -> None:
        """Keep the copy at *path*, which others need no more; it is gone from there.

        Blocking, for a thread. Others of another log or version go, and those that are
        damaged; what cannot be read just now stays, and so does everything where the
        new one says nothing. Raises nothing: without older ones the past takes longer.
        """
        try:
            self._retire(path)
        except (DamageError, OSError, sqlite3.Error) as error:
            _log.warning("older_checkpoint_not_kept", reason=str(error))

    def _retire(self, path: Path) -> None:
        new = _stated(path)
        if new is None:
            return
        if new.sequence and self._bytes_max:
            self._directory.mkdir(exist_ok=True)
            move_into_place(path, self._directory / f"{new.sequence:020d}.sqlite")
        found: list[tuple[Path, CheckpointHeader]] = []
        for file in self._files():
            try:
                header = _stated(file)
            except DamageError:
                removed(file)
                continue
            except (OSError, sqlite3.OperationalError):
                continue
            if header is not None and _alike(header, new):
                found.append((file, header))
            else:
                removed(file)
        found.sort(key=lambda each: -each[1].sequence)
        now_ns = max((each.store_time_ns for each, _ in self._all()), default=0)
        aged = [
            Aged((now_ns - header.store_time_ns) / 1e9, file.stat().st_size)
            for file, header in found
        ]
        stay = kept(aged, self._interval_s, self._bytes_max)
        for number, (file, _) in enumerate(found):
            if number not in stay:
                removed(file)

    def _files(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        return sorted(self._directory.glob("*.sqlite"))

    def _all(self) -> Iterator[tuple[CheckpointHeader, Path]]:
        """Yield the header and file of each that says what it is."""
        numbers = range(1, self._copies + 1)
        copies = [generation_path(self._path, number) for number in numbers]
        for path in (*copies, *self._files()):
            header = _header(path)
            if header is not None:
                yield header, path

    def _opened(self, wanted: CheckpointHeader) -> sqlite3.Connection:
        """Return what reads the checkpoint of that header, wherever it is by now.

        One that is moved on while we look may be missed at both of its places: then it
        is looked for once more.
        """
        for _ in range(LOOKS_MAX):
            for path in [each for header, each in self._all() if header == wanted]:
                with suppress(sqlite3.OperationalError), ExitStack() as stack:
                    reader = stack.enter_context(closing(opened(path)))
                    if stated_in(reader).header == wanted:
                        stack.pop_all()
                        return reader
        message = f"the checkpoint of message {wanted.sequence} is gone"
        raise CheckpointAwayError(message)

    def _remove(self, unwanted: CheckpointHeader) -> None:
        for file in self._files():
            if _header(file) == unwanted:
                removed(file)


def kept(aged: Sequence[Aged], interval_s: float, bytes_max: int) -> set[int]:
    """Return which of *aged*, the newest first, stay.

    The oldest of each power of two of intervals; of those, as many of the newest as
    *bytes_max* has room for.
    """
    oldest: dict[int, int] = {}
    for number, each in enumerate(aged):
        oldest[int(log2(max(1.0, each.age_s / interval_s)))] = number
    left_bytes, stay = bytes_max, set()
    for number in sorted(oldest.values()):
        left_bytes -= aged[number].size_bytes
        if left_bytes < 0:
            break
        stay.add(number)
    return stay


def _alike(header: CheckpointHeader, new: CheckpointHeader) -> bool:
    """Say whether *header* may be of the same log as the *new* one, and its version."""
    same = identity(header.epoch) == identity(new.epoch)
    version = header.fold_version == new.fold_version
    return same and version and header.sequence <= new.sequence


def _stated(path: Path) -> CheckpointHeader | None:
    """Return what the file at *path* says it is; None: nothing is there.

    Raises DamageError, and what hinders reading just now: OSError and OperationalError.
    """
    try:
        if not is_ours(path):
            return None
        with closing(opened(path)) as reader:
            return stated_in(reader).header
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise DamageError(str(error)) from error


def _header(path: Path) -> CheckpointHeader | None:
    """Return what the file at *path* says it is; None: nothing that is ours."""
    try:
        return _stated(path)
    except (DamageError, OSError, sqlite3.Error):
        return None
