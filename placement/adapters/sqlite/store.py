"""The checkpoint in one SQLite file, which proves itself at load or is refused.

SQLite promises that a transaction is whole; it does not promise that the bytes are
those that were written: its ``integrity_check`` misses most flipped bits, so the rows
carry hashes of our own (``proof``), and the file is treated with suspicion
(``file``). There is one connection, the only one that writes and checkpoints the
WAL (https://www.sqlite.org/wal.html#walresetbug). After any failure it is dropped, and
the next use verifies the whole file before it trusts it again. After a failure to
flush nothing is saved any more: that is for another process.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite
import structlog

from placement.adapters.sqlite.chunk_rows import (
    delete_chunks,
    read_chunks,
    write_chunks,
)
from placement.adapters.sqlite.failures import explained, is_flush_failure, unwritable
from placement.adapters.sqlite.file import (
    APPLICATION_ID,
    is_ours,
    move_into_place,
    put_aside,
    removed,
    schema,
    sync,
)
from placement.adapters.sqlite.proof import (
    FORMAT,
    DamageError,
    Key,
    Saved,
    planned,
    stated,
)
from placement.adapters.sqlite.structure import check_structure
from placement.faults import FaultPoint, reach
from placement.ports import (
    Begin,
    CheckpointFsyncError,
    CheckpointHeader,
    Chunk,
    Rest,
)

_PAGE_BYTES: Final = 16_384  # loads 64 KiB chunks 3 times faster than 4096
_WAL_BYTES_MAX: Final = 16 * 1024**2  # about as much is saved before the WAL is moved

_PRAGMAS: Final = (
    "PRAGMA synchronous = FULL;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA secure_delete = OFF;"  # some builds write zeros over what is replaced
    f"PRAGMA journal_size_limit = {64 * 1024**2};"  # bytes of WAL after a large save
    "PRAGMA wal_autocheckpoint = 0;"  # it would not tell of a failure: see _move_wal
)
_FIRST_PRAGMAS: Final = (
    f"PRAGMA page_size = {_PAGE_BYTES};"
    "PRAGMA journal_mode = MEMORY;"  # a file half made is thrown away, not repaired
    "BEGIN IMMEDIATE;"  # committed with the first save
    f"PRAGMA application_id = {APPLICATION_ID};"
    f"PRAGMA user_version = {FORMAT};"
)
_SETTLE: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
READ_HEADER: Final = (
    "SELECT format, generation, epoch, sequence, store_time_ns, fold_version,"
    " message_hash, root_hash FROM checkpoint"
)
_PUT_HEADER: Final = (
    "INSERT OR REPLACE INTO checkpoint (id, format, generation, epoch, sequence,"
    " store_time_ns, fold_version, message_hash, root_hash)"
    " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"
)

Resting = Callable[[], Rest | None]
"""Says by what a save that begins now is to rest; None: nobody minds it."""

_log = structlog.get_logger()


def at_once() -> None:
    """Let nothing rest."""


class SqliteCheckpointStore:
    """A CheckpointStore in the file at *path*, whose directory exists."""

    def __init__(self, path: Path, resting: Resting = at_once) -> None:
        """Remember *path*; the first use opens the file. A save rests by *resting*."""
        self._path = path
        self._resting = resting
        self._turn = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None
        self._closing: asyncio.Future[Any] | None = None
        self._saved: Saved | None = None
        self._seen = False
        self._unmoved_bytes = 0
        self._flush_failure = ""

    async def load(self, begin: Begin | None = None) -> CheckpointHeader | None:
        """Read the last saved checkpoint; None where there is no file.

        Without *begin* it is only verified. Raises CheckpointDamagedError, and
        CheckpointUnwritableError when the file cannot be used now but nothing says that
        it is damaged.
        """
        async with self._trusted():
            connection = await self._connected()
            if connection is None:
                return None
            return await self._verified(connection, begin)

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Write *chunks* and *header* in one transaction; an empty body deletes.

        Takes all of *chunks* before it first waits. Raises CheckpointUnwritableError,
        CheckpointFsyncError now and ever after, and CheckpointDamagedError when it
        meets a file that is damaged or not ours.
        """
        given = {(chunk.table, chunk.number): chunk.body for chunk in chunks}
        if self._flush_failure:
            raise CheckpointFsyncError(self._flush_failure)
        async with self._trusted():
            connection = await self._connected()
            if connection is not None and self._saved is None:
                await self._verified(connection)
            before = self._saved or Saved()
            try:
                if connection is None:
                    self._saved = await self._make(header, given)
                else:
                    rest = self._resting()
                    self._saved = await _write(connection, before, header, given, rest)
                    await self._move_wal(connection, given.values())
            except (sqlite3.Error, OSError) as error:
                raise unwritable(self._path, error) from error

    async def discard(self, reason: str) -> None:
        """Put the file aside as ``<name>.damaged-<n>``, with *reason* in a text."""
        async with self._trusted():
            await self._release()
            aside = await asyncio.to_thread(put_aside, self._path, reason)
            self._seen = False
        if aside is not None:
            _log.warning("checkpoint_discarded", moved_to=str(aside), reason=reason)

    @property
    def hashes(self) -> Mapping[Key, bytes]:
        """The hash of each chunk, as it was last saved or verified."""
        return {} if self._saved is None else self._saved.hashes

    async def settle(self) -> None:
        """Move the whole WAL into the file, flush both, and let go of it."""
        async with self._trusted():
            connection = await self._connected()
            if connection is not None:
                found = await connection.execute_fetchall(_SETTLE)
                if [row[0] for row in found] != [0]:
                    message = "database is locked: its WAL was not moved"
                    raise sqlite3.OperationalError(message)
            await self._release()
            await asyncio.to_thread(sync, self._path)

    async def close(self) -> None:
        """Let go of the file; a later call opens and verifies it again."""
        async with self._turn:
            await self._release()

    @asynccontextmanager
    async def _trusted(self) -> AsyncIterator[None]:
        """Use the file alone; after any failure drop all that was believed of it."""
        async with self._turn:
            try:
                yield
            except BaseException as error:
                self._drop()
                told = explained(self._path, error) or error
                if isinstance(told, CheckpointFsyncError):
                    self._flush_failure = str(told)
                if told is error:
                    raise
                raise told from error

    async def _connected(self) -> aiosqlite.Connection | None:
        """Return the one connection; None where there is no file yet."""
        if self._connection is None:
            await self._release()
            if await asyncio.to_thread(is_ours, self._path):
                self._seen = True
                return await self._open(self._path)
            if self._seen:
                message = "the file is gone"
                raise DamageError(message)
        return self._connection

    async def _verified(
        self, connection: aiosqlite.Connection, begin: Begin | None = None
    ) -> CheckpointHeader:
        """Check every byte that counts, giving chunks to what *begin* returns."""
        await check_structure(connection)
        found = stated(await connection.execute_fetchall(READ_HEADER))
        take = None if begin is None else begin(found.header)
        self._saved = found.proven(await read_chunks(connection, take))
        return found.header

    async def _open(self, path: Path) -> aiosqlite.Connection:
        """Open *path* as the one connection; none was open."""
        connection = aiosqlite.connect(path, isolation_level="IMMEDIATE")
        # Else the process could not exit without close() (omnilib/aiosqlite#371). Such
        # an end is as safe as a kill: what is not committed never was.
        connection._thread.daemon = True  # noqa: SLF001  # there is no public way
        self._connection = await connection
        await connection.executescript(_PRAGMAS)
        return connection

    async def _make(
        self, header: CheckpointHeader, given: Mapping[Key, bytes]
    ) -> Saved:
        """Write the first save to a file of its own, and move that into place."""
        new = self._path.with_name(f"{self._path.name}.new")
        connection = await self._open(await asyncio.to_thread(removed, new))
        await connection.executescript(_FIRST_PRAGMAS + schema())
        saved = await _write(connection, Saved(), header, given, self._resting())
        mode = await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        if list(mode) != [("wal",)]:
            message = f"no WAL on this file system, but {mode}"
            raise sqlite3.OperationalError(message)
        await self._release()
        reach(FaultPoint.BEFORE_RENAME)
        await asyncio.to_thread(move_into_place, new, self._path)
        self._seen = True
        await self._open(self._path)
        return saved

    async def _move_wal(
        self, connection: aiosqlite.Connection, bodies: Iterable[bytes]
    ) -> None:
        """Move the WAL into the file when it has grown long; *bodies* were added.

        SQLite would do so by itself, but keep a failed flush to itself, and flush the
        same pages again. Any other failure leaves the WAL to the next save.
        """
        self._unmoved_bytes += sum(_PAGE_BYTES + len(body) for body in bodies)
        if self._unmoved_bytes < _WAL_BYTES_MAX:
            return
        try:
            await connection.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.OperationalError as error:
            if is_flush_failure(error):
                raise
            _log.warning("checkpoint_wal_kept", reason=str(error))
        else:
            self._unmoved_bytes = 0

    def _drop(self) -> None:
        """Let the connection finish what it was given, roll back and close."""
        self._saved = None
        if self._connection is not None:
            self._closing = self._connection.stop()
            self._connection = None

    async def _release(self) -> None:
        """Close the connection, and wait for it and any that was dropped before."""
        self._drop()
        if self._closing is not None:
            await asyncio.wait([self._closing])  # unlike await, safe to be cancelled
            self._closing = None


async def _write(
    connection: aiosqlite.Connection,
    before: Saved,
    header: CheckpointHeader,
    given: Mapping[Key, bytes],
    rest: Rest | None,
) -> Saved:
    """Commit *given* and *header*; return what the file holds now.

    The first statement begins the transaction.
    """
    bodies = {key: body for key, body in given.items() if body}
    hashes = await write_chunks(connection, bodies, rest)
    change = planned(before, header, hashes, given.keys() - bodies.keys())
    if change.deleted:
        await delete_chunks(connection, change.deleted)
    await connection.execute(_PUT_HEADER, change.header_row)
    if before.format != FORMAT:
        await connection.execute(f"PRAGMA user_version = {FORMAT}")
    reach(FaultPoint.BEFORE_COMMIT)
    await connection.commit()
    return change.after
