"""A checkpoint from elsewhere, rebuilt from its chunks in a file of our own.

No foreign database is ever opened: chunks are rows that we write, each once its hash
was found right, in a file that is no checkpoint yet. Its header names the offer in
place of a log, so that a process that was killed goes on where it was. Only when all of
it makes the offer's id does it get the offer's header and move into the checkpoint's
place, in one rename.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from placement.adapters.sqlite.file import removed
from placement.adapters.sqlite.generations import CheckpointGenerations
from placement.adapters.sqlite.proof import Key, chunk_hash
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.core.errors import clipped
from placement.faults import FaultPoint, reach
from placement.offers import CheckpointRefusedError, HashedChunk, Offer
from placement.ports import (
    Begin,
    CheckpointDamagedError,
    CheckpointHeader,
    CheckpointUnwritableError,
    Chunk,
)

_BEGUN: Final = "begun:"
_TABLE_CHARACTERS_MAX: Final = 64
_ROOM: Final = 2
"""Times its size: the file's rows, and as much for the WAL and the next save."""

_log = structlog.get_logger()


class CheckpointStaging:
    """A Staging in a file beside the checkpoint of *generations*."""

    def __init__(self, path: Path, generations: CheckpointGenerations) -> None:
        """Wait beside the checkpoint at *path*; the first use opens the file."""
        self._path = path.with_name(f"{path.stem}.incoming{path.suffix}")
        self._generations = generations
        self._store = SqliteCheckpointStore(self._path)
        self._begun = ""
        self._last: Key = ("", -1)
        self._bytes = 0

    async def held(self) -> tuple[str, int, int]:
        """Return what was begun, by this process or one before."""
        if not self._begun and await asyncio.to_thread(self._path.exists):
            self._bytes = 0
            try:
                header = await self._store.load(self._count)
            except (CheckpointDamagedError, CheckpointUnwritableError) as error:
                _log.warning("bootstrap_begun_anew", reason=str(error))
                header = None
            begun = "" if header is None else header.epoch
            if not begun.startswith(_BEGUN):
                await self.clear()
                return "", 0, 0
            self._begun = begun.removeprefix(_BEGUN)
            self._last = max(self._store.hashes, default=("", -1))
        return self._begun, len(self._store.hashes), self._bytes

    def _count(self, _header: CheckpointHeader) -> Callable[[Chunk], None]:
        def take(chunk: Chunk) -> None:
            self._bytes += len(chunk.body)

        return take

    async def add(self, offered: Offer, chunks: Sequence[HashedChunk]) -> None:
        """Add the next chunks, in one transaction."""
        if self._begun != offered.checkpoint_id:
            await self.clear()
            await asyncio.to_thread(self._require_room, offered.body_bytes)
            self._begun = offered.checkpoint_id
        last = await asyncio.to_thread(_checked, chunks, self._last)
        size = sum(len(each.chunk.body) for each in chunks)
        if self._bytes + size > offered.body_bytes:
            message = f"more than the {offered.body_bytes} bytes that were offered"
            raise CheckpointRefusedError(message)
        header = CheckpointHeader(_BEGUN + self._begun, 0, 0, 0, b"")
        await self._store.save(header, [each.chunk for each in chunks])
        self._last = last
        self._bytes += size
        reach(FaultPoint.AFTER_CHUNKS_KEPT)

    def _require_room(self, body_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._path.parent).free
        if free_bytes < _ROOM * body_bytes:
            message = (
                f"{free_bytes} bytes are free beside {self._path}, and a checkpoint of "
                f"{body_bytes} bytes needs {_ROOM} times its size"
            )
            raise CheckpointUnwritableError(message)

    async def load(self, offered: Offer, begin: Begin) -> None:
        """Read the file again, prove it whole, and give its chunks to *begin*'s."""
        hashes = self._store.hashes
        in_order = [hashes[key] for key in sorted(hashes)]
        if not await asyncio.to_thread(offered.is_of, in_order):
            message = f"{len(hashes)} chunks are not the {offered.chunk_count} offered"
            raise CheckpointRefusedError(message)
        try:
            await self._store.load(lambda _: begin(offered.header))
        except CheckpointDamagedError as error:
            message = f"it is damaged here: {error}"
            raise CheckpointRefusedError(message) from error

    async def adopt(self, offered: Offer) -> None:
        """Give the file its header, flush it, and move it into the place."""
        await self._store.save(offered.header, [])
        await self._store.settle()
        reach(FaultPoint.BEFORE_ADOPTED)
        await self._generations.adopt(self._path, offered.header)
        reach(FaultPoint.AFTER_ADOPTED)
        self._forget()

    async def clear(self) -> None:
        """Delete the file."""
        await self._store.close()
        await asyncio.to_thread(removed, self._path)
        self._forget()

    async def close(self) -> None:
        """Let go of the file; it stays for the next run."""
        await self._store.close()

    def _forget(self) -> None:
        self._store = SqliteCheckpointStore(self._path)
        self._begun, self._last, self._bytes = "", ("", -1), 0


def _checked(chunks: Sequence[HashedChunk], last: Key) -> Key:
    """Return the last one's place; raises CheckpointRefusedError for a wrong one."""
    for chunk, own_hash in chunks:
        key = (chunk.table, chunk.number)
        named = f"chunk {chunk.number} of {clipped(chunk.table)}"
        if key <= last:
            message = f"{named} comes after {last}"
            raise CheckpointRefusedError(message)
        if not chunk.body or len(chunk.table) > _TABLE_CHARACTERS_MAX:
            message = f"{named} cannot be"
            raise CheckpointRefusedError(message)
        if own_hash != chunk_hash(chunk.table, chunk.number, chunk.body):
            message = f"{named} is not as it was sent"
            raise CheckpointRefusedError(message)
        last = key
    return last
