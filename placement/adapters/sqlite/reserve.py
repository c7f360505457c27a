"""Room on the disk: held by a file, to be let go when there is no other; given back.

A spool that filled its disk could not even write down that it was emptied.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

import aiosqlite
import structlog

from placement.adapters.sqlite.failures import is_flush_failure

VACUUMED_PAGES: Final = 512
"""Given back to the system whenever the WAL is moved."""

log = structlog.get_logger(__name__)


class Reserve:
    """A file of *size_bytes* at *path*, which is there or not."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Hold nothing yet."""
        self._path = path
        self._size_bytes = size_bytes
        self.held = False
        """Whether there is that much room, and we have it."""

    def take(self) -> bool:
        """Take the room, if there is so much; return whether we have it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if self._size_bytes:
                    os.posix_fallocate(descriptor, 0, self._size_bytes)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            if self.held:
                log.warning("spool_reserve_missing", reason=str(error))
            self.held = False
        else:
            self.held = True
        return self.held

    def release(self) -> bool:
        """Let the room go; return whether there was any."""
        there = self._path.exists()
        self._path.unlink(missing_ok=True)
        self.held = False
        if there:
            log.warning("spool_reserve_released", size_bytes=self._size_bytes)
        return there


async def move_wal(connection: aiosqlite.Connection) -> bool:
    """Move the WAL into the file; return whether that was done, wholly or in part.

    SQLite would do so by itself, but keep a failed flush to itself: it is raised here.
    """
    vacuum = f"PRAGMA incremental_vacuum({VACUUMED_PAGES})"
    return await _done(connection, "PRAGMA wal_checkpoint(PASSIVE)", vacuum)


async def give_back(connection: aiosqlite.Connection) -> bool:
    """Give all room back that is not used; return whether that was done."""
    truncate = "PRAGMA wal_checkpoint(TRUNCATE)"
    return await _done(connection, truncate, "PRAGMA incremental_vacuum", truncate)


async def _done(connection: aiosqlite.Connection, *statements: str) -> bool:
    try:
        for statement in statements:
            await connection.executescript(statement)  # all of it: a step is a page
    except sqlite3.OperationalError as error:
        if is_flush_failure(error):
            raise
        log.warning("spool_wal_kept", reason=str(error))
        return False
    return True
