"""A copy of the checkpoint's file that other services may read, proven and unchanging.

It is read without a lock and in small pieces, so that neither saves nor answers wait.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Final, TypeVar
from urllib.parse import quote

from placement.adapters.sqlite.copying import CopyError, copied
from placement.adapters.sqlite.file import removed
from placement.adapters.sqlite.proof import (
    DamageError,
    Key,
    checked_chunk,
    chunk_hash,
    stated,
)
from placement.adapters.sqlite.store import READ_HEADER
from placement.offers import (
    CheckpointUnsharedError,
    HashedChunk,
    Offer,
    offer,
)
from placement.ports import CheckpointHeader

Step = TypeVar("Step")

BATCH_BYTES: Final = 1024**2
"""So much of it is in memory at once, or one chunk."""
_READ: Final = (
    "SELECT table_name, number, body, hash FROM chunk"
    " ORDER BY table_name, number LIMIT -1 OFFSET ?"
)


class CheckpointCopies:
    """The copy of the checkpoint at *path* that is given away, one at a time."""

    def __init__(self, path: Path) -> None:
        """Delete what an earlier run left."""
        self._source = path
        self._copy = removed(path.with_name(f"{path.stem}.shared{path.suffix}"))
        self._stop = Event()

    async def make(self, header: CheckpointHeader, seal: str) -> Offer:
        """Copy the file, and prove the copy; raises CheckpointUnsharedError."""
        self._stop.clear()
        try:
            return await _whole(asyncio.to_thread(self._make, header, seal), self._stop)
        except (CopyError, DamageError, OSError, sqlite3.Error) as error:
            await self.drop()
            message = f"no copy can be made: {error}"
            raise CheckpointUnsharedError(message) from error

    def _make(self, header: CheckpointHeader, seal: str) -> Offer:
        copied(self._source, self._stop, removed(self._copy))
        hashes: dict[Key, bytes] = {}
        said: list[bytes] = []
        body_bytes = 0
        with closing(self._opened()) as reader:
            found = stated(reader.execute(READ_HEADER).fetchall())
            for row in reader.execute(_READ, (0,)):
                chunk, own_hash = checked_chunk(row)
                hashes[chunk.table, chunk.number] = own_hash
                said.append(chunk_hash(chunk.table, chunk.number, chunk.body))
                body_bytes += len(chunk.body)
        found.proven(hashes)
        if found.header != header:
            message = f"it is of message {found.header.sequence}, not {header.sequence}"
            raise CopyError(message)
        return offer(header, seal, (len(said), body_bytes), said)

    def _opened(self) -> sqlite3.Connection:
        target = f"file:{quote(str(self._copy.absolute()))}?mode=ro&immutable=1"
        return sqlite3.connect(target, uri=True, check_same_thread=False)

    async def read(
        self, offered: Offer, held_count: int
    ) -> AsyncGenerator[Sequence[HashedChunk], None]:
        """Yield its chunks after the first *held_count*, some at a time."""
        del offered  # there is one copy, and who asks knows which
        try:
            reader = self._opened()
            try:
                batches = _batches(reader, held_count)
                while batch := await _whole(asyncio.to_thread(next, batches, None)):
                    yield batch
            finally:
                reader.close()
        except (DamageError, OSError, sqlite3.Error) as error:
            message = f"the copy is damaged: {error}"
            raise CheckpointUnsharedError(message) from error

    async def drop(self) -> None:
        """Delete the copy; who reads it reads on."""
        await asyncio.to_thread(removed, self._copy)


async def _whole(step: Coroutine[None, None, Step], stop: Event | None = None) -> Step:
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


def _batches(reader: sqlite3.Connection, skipped: int) -> Iterator[list[HashedChunk]]:
    batch: list[HashedChunk] = []
    size = 0
    for row in reader.execute(_READ, (skipped,)):
        chunk, _ = checked_chunk(row)
        own_hash = chunk_hash(chunk.table, chunk.number, chunk.body)
        batch.append(HashedChunk(chunk, own_hash))
        size += len(chunk.body)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
