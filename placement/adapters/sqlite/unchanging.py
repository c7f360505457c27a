"""A checkpoint's file that nobody writes any more: read in pieces, without a lock.

Each piece is read in a thread, so that neither saves nor answers wait.
"""

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from pathlib import Path
from threading import Event
from typing import Final, TypeVar
from urllib.parse import quote

from placement.adapters.sqlite.proof import Stated, checked_chunk, stated
from placement.adapters.sqlite.store import READ_HEADER
from placement.ports import Chunk

Step = TypeVar("Step")

BATCH_BYTES: Final = 1024**2
"""So much of it is in memory at once, or one chunk."""
_READ: Final = (
    "SELECT table_name, number, body, hash FROM chunk"
    " ORDER BY table_name, number LIMIT -1 OFFSET ?"
)


def opened(path: Path) -> sqlite3.Connection:
    """Return a connection that reads *path* and nothing beside it."""
    target = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    return sqlite3.connect(target, uri=True, check_same_thread=False)


def stated_in(reader: sqlite3.Connection) -> Stated:
    """Return what the header row says; raises DamageError and sqlite3.Error."""
    return stated(reader.execute(READ_HEADER).fetchall())


def checked_rows(
    reader: sqlite3.Connection, skipped: int = 0
) -> Iterator[tuple[Chunk, bytes]]:
    """Yield each chunk after the first *skipped*, in order, with the hash it has there.

    Raises DamageError for one that is not as it was saved, and sqlite3.Error.
    """
    return map(checked_chunk, reader.execute(_READ, (skipped,)))


def batches(
    rows: Iterator[tuple[Chunk, bytes]],
) -> Iterator[list[tuple[Chunk, bytes]]]:
    """Yield *rows* some at a time: about BATCH_BYTES, or one."""
    batch: list[tuple[Chunk, bytes]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row[0].body)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def whole(step: Coroutine[None, None, Step], stop: Event | None = None) -> Step:
    """Return what *step* does in a thread; cancelled, *stop* it and wait for its end.

    It uses the file meanwhile.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        await asyncio.wait({task})
        task.exception()  # which nobody waits for any more
        raise
