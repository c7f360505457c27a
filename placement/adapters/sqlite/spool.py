"""An agent's spool in one SQLite file, with one connection and many to one flush.

While one transaction is flushed, what comes meanwhile waits, and then goes together in
the next one: under load a flush serves many callers, and who is alone waits for nobody.
A file that cannot be read is put aside whole, and the spool begins anew; the next scan
of the registry heals what was in it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final, Self

import aiosqlite
import structlog

from placement.adapters.sqlite import spool_rows
from placement.adapters.sqlite.failures import is_flush_failure
from placement.adapters.sqlite.file import put_aside, sync
from placement.adapters.sqlite.reserve import Reserve, give_back, move_wal
from placement.faults import FaultPoint, reach
from placement.ports import Clock
from placement.spooling import (
    NOTE_BYTES_MAX,
    Entry,
    Note,
    Position,
    Settled,
    SpoolFigures,
    SpoolFsyncError,
    SpoolFullError,
    SpoolLimits,
    SpoolUnwritableError,
)

FORMAT: Final = 1
APPLICATION_ID: Final = 0x504C5350  # "PLSP"
FLUSH_BYTES_MAX: Final = 8 << 20
"""So much is written by one transaction; of more, the rest waits for the next."""
_WAL_BYTES_MAX: Final = 8 << 20  # about as much is written before the WAL is moved
_PAGE_BYTES: Final = 4_096  # a row that changes costs about as much in the WAL
_RESERVE_SECONDS: Final = 1.0  # between looks whether there is room for the reserve

_PRAGMAS: Final = (
    "PRAGMA auto_vacuum = INCREMENTAL;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA secure_delete = OFF;"
    f"PRAGMA journal_size_limit = {2 * _WAL_BYTES_MAX};"
    "PRAGMA wal_autocheckpoint = 0;"  # it would not tell of a failed flush
)

log = structlog.get_logger(__name__)


class SqliteSpool:
    """A Spool; see ``placement.spooling`` for its promises."""

    def __init__(self, path: Path, limits: SpoolLimits, clock: Clock) -> None:
        """Remember *path*, whose directory exists; ``open`` opens it."""
        self._path = path
        self._limits = limits
        self._clock = clock
        self._turn = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None
        self._figures = SpoolFigures()
        self._queue: list[tuple[Sequence[Note], asyncio.Future[None]]] = []
        self._queued_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._unmoved_bytes = 0
        self._checked = False
        self._flush_failure = ""
        self._reserve = Reserve(path.with_suffix(".reserve"), limits.reserve_bytes)
        self._looked_s = float("-inf")

    @classmethod
    async def open(cls, path: Path, limits: SpoolLimits, clock: Clock) -> Self:
        """Return the spool at *path*, made if there is none.

        Raises SpoolUnwritableError.
        """
        spool = cls(path, limits, clock)
        try:
            await spool._connect()
        except sqlite3.OperationalError as error:
            await spool.close()
            if not spool._reserve.release():
                raise spool._unwritable(error) from error
            return await cls.open(path, limits, clock)
        # Of damaged texts Python's own module says so in other words.
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:
            await spool.close()
            aside = await asyncio.to_thread(put_aside, path, str(error))
            log.exception("spool_damaged", moved_to=str(aside))
            await spool._connect()
        await asyncio.to_thread(spool._reserve.take)
        return spool

    @property
    def figures(self) -> SpoolFigures:
        """How it is now, from memory."""
        return self._figures

    async def put(self, notes: Sequence[Note]) -> None:
        """Take *notes*, all or none; they are on the disk once this returns."""
        assert all(len(note.body) <= NOTE_BYTES_MAX for note in notes), "a note's limit"
        if self._flush_failure:
            raise SpoolFsyncError(self._flush_failure)
        if not self._reserve.held and not await self._regained():
            raise self._unwritable(OSError("there is no room on the disk"))
        added = _size(notes)
        held = self._figures.waiting_bytes + self._queued_bytes
        if held + added > self._limits.waiting_bytes_max:
            raise SpoolFullError(held, self._limits.waiting_bytes_max)
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((notes, flushed))
        self._queued_bytes += added
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await flushed

    async def waiting(
        self, count_max: int, patience_s: float, after: int = 0
    ) -> Sequence[Entry]:
        """Return the oldest entries that wait to be sent, of those *after* one."""
        if not self._figures.waiting_count:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._news.wait()
        async with self._transaction() as connection:
            return await spool_rows.read_waiting(connection, count_max, after)

    async def settle(self, settled: Settled) -> None:
        """Send these entries no more, and keep what was set aside."""
        limits = self._limits
        if not self._reserve.held:  # what was sent gives way to what was not
            limits = replace(limits, kept_bytes_max=0)
        async with self._transaction() as connection:
            await spool_rows.settle(connection, settled)
            await spool_rows.forget(connection, limits, self._clock())
            rows = len(settled.sent) + len(settled.dropped)
            self._unmoved_bytes += 2 * rows * _PAGE_BYTES
            self._unmoved_bytes += _size(aside.note for aside in settled.asides)
        if not self._reserve.held and not self._figures.waiting_count:
            async with self._turn:
                if self._connection is not None and await give_back(self._connection):
                    await asyncio.to_thread(self._reserve.take)

    async def resend(self, position: Position) -> int:
        """Let all wait again that is kept, but not in the log before *position*."""
        async with self._transaction() as connection:
            found = await spool_rows.resend(connection, position)
        self._news.set()
        return found

    async def close(self) -> None:
        """Let go of the file; what is under way is finished."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        async with self._turn:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

    async def _write(self) -> None:
        """Write what is queued, all that fits one transaction together, to its end."""
        while self._queue:
            count, size = 0, 0
            for notes, _ in self._queue:
                size += _size(notes)
                if count and size > FLUSH_BYTES_MAX:
                    break
                count += 1
            batch = self._queue[:count]
            del self._queue[:count]
            failure = await self._written(
                [note for notes, _ in batch for note in notes]
            )
            self._queued_bytes -= sum(_size(notes) for notes, _ in batch)
            for _, flushed in batch:
                if flushed.done():  # whoever waited was cancelled
                    continue
                if failure is None:
                    flushed.set_result(None)
                else:
                    flushed.set_exception(failure)
            self._news.set()

    async def _written(self, notes: Sequence[Note]) -> SpoolUnwritableError | None:
        """Write *notes* in one transaction; return why that failed, if it did."""
        try:
            async with self._transaction(adds=True) as connection:
                await spool_rows.put_notes(connection, notes)
                self._unmoved_bytes += _size(notes) + len(notes) * _PAGE_BYTES
        except SpoolUnwritableError as error:
            return error
        return None

    async def _regained(self) -> bool:
        """Return whether there is room again for the reserve; look now and then."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._looked_s < _RESERVE_SECONDS:
            return False
        self._looked_s = now_s
        return await asyncio.to_thread(self._reserve.take)

    @asynccontextmanager
    async def _transaction(
        self, *, adds: bool = False
    ) -> AsyncIterator[aiosqlite.Connection]:
        """Do all within the block or nothing of it; it is on the disk afterwards.

        After any failure the connection is dropped, and made anew for the next. Unless
        it *adds* to the spool, a full disk is given the reserve: then that can succeed.
        """
        if self._flush_failure:
            raise SpoolFsyncError(self._flush_failure)
        async with self._turn:
            try:
                connection = self._connection or await self._connect()
                await connection.execute("BEGIN IMMEDIATE")
                yield connection
                figures = await spool_rows.read_figures(connection)
                reach(FaultPoint.BEFORE_SPOOLED)
                await connection.commit()
                self._figures = figures
                if self._unmoved_bytes >= _WAL_BYTES_MAX and await move_wal(connection):
                    self._unmoved_bytes = 0
            except BaseException as error:
                self._drop()
                if not adds and getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                    self._reserve.release()
                if isinstance(error, (sqlite3.Error, OSError)):
                    raise self._unwritable(error) from error
                raise

    async def _connect(self) -> aiosqlite.Connection:
        """Open the file, made if there is none, and learn how it is."""
        connection = aiosqlite.connect(self._path, isolation_level=None)
        connection._thread.daemon = True  # noqa: SLF001  # as in ``store``
        self._connection = await connection
        await connection.executescript(_PRAGMAS)
        [(version,)] = await connection.execute_fetchall("PRAGMA user_version")
        if version == 0:
            await connection.executescript(
                f"BEGIN IMMEDIATE; {_schema()}"
                f"PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        elif version != FORMAT:
            message = f"it has format {version}, and this version reads {FORMAT}"
            raise sqlite3.DatabaseError(message)
        if not self._checked:
            [(found,)] = await connection.execute_fetchall("PRAGMA quick_check(1)")
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            self._checked = True
        await spool_rows.add_mark(connection)
        await asyncio.to_thread(sync, self._path.parent)  # the WAL's name, too
        self._figures = await spool_rows.read_figures(connection)
        return connection

    def _drop(self) -> None:
        """Let the connection finish what it was given, roll back and close."""
        if self._connection is not None:
            self._connection.stop()
            self._connection = None

    def _unwritable(self, error: BaseException) -> SpoolUnwritableError:
        """Return *error* in the port's words."""
        if is_flush_failure(error):
            self._flush_failure = (
                f"spool {self._path} could not be flushed to the disk: {error}. Remedy:"
                " look at the disk; a new process goes on from what is whole on it"
            )
            return SpoolFsyncError(self._flush_failure)
        message = (
            f"spool {self._path} could not be written: {error}: give the disk room, or "
            "set agent.state_dir elsewhere"
        )
        return SpoolUnwritableError(message)


def _schema() -> str:
    """Return spool.sql."""
    files = resources.files("placement.adapters.sqlite")
    return files.joinpath("spool.sql").read_text()


def _size(notes: Iterable[Note]) -> int:
    return sum(len(note.body) for note in notes)
