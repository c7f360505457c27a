"""A CheckpointStore on a simulated disk, which proves itself as the real one does.

Each save writes a whole new file beside the old one, syncs it, and renames it into
place. The hashes are those of ``placement.adapters.sqlite.proof``.
"""

import asyncio
import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from placement.adapters.sqlite.proof import (
    DamageError,
    Key,
    Saved,
    checked_chunk,
    chunk_hash,
    planned,
    stated,
)
from placement.ports import (
    Begin,
    CheckpointDamagedError,
    CheckpointFsyncError,
    CheckpointHeader,
    CheckpointUnwritableError,
    Chunk,
)
from tests.simulator.disk import Disk

CHECKPOINT: Final = "checkpoint"
NEW: Final = "checkpoint.new"
_LENGTH: Final = struct.Struct("<cq")

Rows = dict[Key, tuple[str, int, bytes, bytes]]


class DiskCheckpointStore:
    """A CheckpointStore in one file of *disk*."""

    def __init__(self, disk: Disk) -> None:
        """Remember the disk; the first use reads it."""
        self._disk = disk
        self._turn = asyncio.Lock()
        self._rows: Rows = {}
        self._saved: Saved | None = None
        self._lost = ""
        """Why nothing may be saved any more by this process."""
        self.discarded: list[str] = []

    async def load(self, begin: Begin) -> CheckpointHeader | None:
        """Read the last saved checkpoint; raises CheckpointDamagedError."""
        async with self._turn:
            header = await self._read()
            if header is not None:
                take = begin(header)
                for key in sorted(self._rows):
                    take(Chunk(*self._rows[key][:3]))
            return header

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Write *header* and *chunks* as the port says."""
        given = {(chunk.table, chunk.number): chunk.body for chunk in chunks}
        async with self._turn:
            if self._lost:
                raise CheckpointFsyncError(self._lost)
            if self._saved is None:
                await self._read()
            before, self._saved = self._saved or Saved(), None
            put = {key: chunk_hash(*key, body) for key, body in given.items() if body}
            change = planned(before, header, put, given.keys() - put.keys())
            rows = dict(self._rows)
            for key, own_hash in put.items():
                rows[key] = (*key, given[key], own_hash)
            for key in change.deleted:
                rows.pop(key, None)
            try:
                await self._write(encoded([change.header_row, *rows.values()]))
            except OSError as error:
                message = f"the checkpoint could not be written: {error}"
                if error.errno == errno.EIO:
                    self._lost = message
                    raise CheckpointFsyncError(message) from error
                raise CheckpointUnwritableError(message) from error
            self._rows, self._saved = rows, change.after

    async def discard(self, reason: str) -> None:
        """Put the file aside."""
        async with self._turn:
            if await self._disk.read(CHECKPOINT) is not None:
                self.discarded.append(reason)
                aside = f"{CHECKPOINT}.aside-{len(self.discarded)}"
                await self._disk.rename(CHECKPOINT, aside)
                await self._disk.sync_names()
            self._rows, self._saved = {}, None

    async def close(self) -> None:
        """Forget what was read; a later call reads again."""
        self._rows, self._saved = {}, None

    async def _write(self, body: bytes) -> None:
        await self._disk.write(NEW, body)
        await self._disk.sync(NEW)
        await self._disk.rename(NEW, CHECKPOINT)
        await self._disk.sync_names()

    async def _read(self) -> CheckpointHeader | None:
        self._rows, self._saved = {}, None
        body = await self._disk.read(CHECKPOINT)
        if body is None:
            return None
        rows: Rows = {}
        try:
            first, *rest = decoded(body)
            for chunk, own_hash in map(checked_chunk, rest):
                key = (chunk.table, chunk.number)
                rows[key] = (*key, chunk.body, own_hash)
            found = stated([first])
            hashes = {key: row[3] for key, row in rows.items()}
            self._saved = found.proven(hashes)
        except (DamageError, ValueError, struct.error) as error:
            message = f"the simulated checkpoint is not as it was saved: {error}"
            raise CheckpointDamagedError(message) from error
        self._rows = rows
        return found.header


def encoded(rows: Iterable[Sequence[object]]) -> bytes:
    """Return *rows* of texts, integers and bytes as bytes."""
    parts: list[bytes] = []
    for row in rows:
        parts.append(_LENGTH.pack(b"r", len(row)))
        for value in row:
            match value:
                case int():
                    parts.append(_LENGTH.pack(b"i", value))
                case str():
                    text = value.encode()
                    parts += [_LENGTH.pack(b"s", len(text)), text]
                case bytes():
                    parts += [_LENGTH.pack(b"b", len(value)), value]
                case _:
                    message = f"{value!r} is neither text, integer nor bytes"
                    raise TypeError(message)
    return b"".join(parts)


def decoded(body: bytes) -> Iterator[tuple[object, ...]]:
    """Yield the rows of ``encoded``; raises ValueError and struct.error."""
    place = 0
    while place < len(body):
        kind, count = _LENGTH.unpack_from(body, place)
        place += _LENGTH.size
        if kind != b"r" or not 0 <= count <= 16:
            message = f"no row begins at byte {place}"
            raise ValueError(message)
        row: list[object] = []
        for _ in range(count):
            kind, value = _LENGTH.unpack_from(body, place)
            place += _LENGTH.size
            if kind == b"i":
                row.append(value)
                continue
            part = body[place : place + value]
            if kind not in {b"s", b"b"} or value < 0 or len(part) != value:
                message = f"no value is at byte {place}"
                raise ValueError(message)
            row.append(part.decode() if kind == b"s" else part)
            place += value
        yield tuple(row)
