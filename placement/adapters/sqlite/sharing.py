"""A copy of the checkpoint's file that other services may read, proven and unchanging.

It is read without a lock and in small pieces, so that neither saves nor answers wait.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event

from placement.adapters.sqlite.copying import CopyError, copied
from placement.adapters.sqlite.file import removed
from placement.adapters.sqlite.proof import DamageError, Key, chunk_hash
from placement.adapters.sqlite.unchanging import (
    batches,
    checked_rows,
    opened,
    stated_in,
    whole,
)
from placement.offers import (
    CheckpointUnsharedError,
    HashedChunk,
    Offer,
    offer,
)
from placement.ports import CheckpointHeader, Chunk


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
            return await whole(asyncio.to_thread(self._make, header, seal), self._stop)
        except (CopyError, DamageError, OSError, sqlite3.Error) as error:
            await self.drop()
            message = f"no copy can be made: {error}"
            raise CheckpointUnsharedError(message) from error

    def _make(self, header: CheckpointHeader, seal: str) -> Offer:
        copied(self._source, self._stop, removed(self._copy))
        hashes: dict[Key, bytes] = {}
        said: list[bytes] = []
        body_bytes = 0
        with closing(opened(self._copy)) as reader:
            found = stated_in(reader)
            for chunk, own_hash in checked_rows(reader):
                hashes[chunk.table, chunk.number] = own_hash
                said.append(chunk_hash(chunk.table, chunk.number, chunk.body))
                body_bytes += len(chunk.body)
        found.proven(hashes)
        if found.header != header:
            message = f"it is of message {found.header.sequence}, not {header.sequence}"
            raise CopyError(message)
        return offer(header, seal, (len(said), body_bytes), said)

    async def read(
        self, offered: Offer, held_count: int
    ) -> AsyncGenerator[Sequence[HashedChunk], None]:
        """Yield its chunks after the first *held_count*, some at a time."""
        del offered  # there is one copy, and who asks knows which
        try:
            reader = opened(self._copy)
            try:
                read = batches(checked_rows(reader, held_count))
                while batch := await whole(asyncio.to_thread(next, read, None)):
                    yield [hashed(chunk) for chunk, _ in batch]
            finally:
                reader.close()
        except (DamageError, OSError, sqlite3.Error) as error:
            message = f"the copy is damaged: {error}"
            raise CheckpointUnsharedError(message) from error

    async def drop(self) -> None:
        """Delete the copy; who reads it reads on."""
        await asyncio.to_thread(removed, self._copy)


def hashed(chunk: Chunk) -> HashedChunk:
    """Return *chunk* with its hash, by which a peer knows it."""
    own_hash = chunk_hash(chunk.table, chunk.number, chunk.body)
    return HashedChunk(chunk, own_hash)
