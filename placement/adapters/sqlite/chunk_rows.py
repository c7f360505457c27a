"""The chunk rows of the checkpoint's file, hashed beside reading and writing them.

Hashing takes as long as the disk does, and hashlib lets other threads run: so while
SQLite reads or writes one batch of rows, others are hashed. A batch is a few megabytes,
and few are held at once, whatever the size of the file.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import aclosing
from time import perf_counter
from typing import Any, Final, TypeVar

import aiosqlite

from placement.adapters.sqlite.proof import (
    DamageError,
    Key,
    checked_chunk,
    chunk_hash,
)
from placement.core.errors import clipped
from placement.ports import Chunk, Rest

_Batch = TypeVar("_Batch")
_Done = TypeVar("_Done")
Rows = list[tuple[str, int, bytes, bytes]]
"""Of chunks: table, number, body and hash."""

_BATCH_BYTES: Final = 4 * 1024**2
_BATCH_ROWS_MAX: Final = 64
_RESTED_BYTES: Final = 512 * 1024  # written between two rests
_HASHED_AT_ONCE_BYTES: Final = 256 * 1024  # sooner done than given to a thread
_AHEAD: Final = 2  # batches hashed meanwhile, each by a thread

# In order, so that a reader knows the rows that a change is of before the change.
_READ: Final = (
    "SELECT table_name, number, body, hash FROM chunk ORDER BY table_name, number"
)
_PUT: Final = (
    "INSERT INTO chunk (table_name, number, body, hash) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET body = excluded.body, hash = excluded.hash"
)
_DELETE: Final = "DELETE FROM chunk WHERE table_name = ? AND number = ?"


async def read_chunks(
    connection: aiosqlite.Connection, take: Callable[[Chunk], None] | None
) -> dict[Key, bytes]:
    """Give each chunk that is as it was saved to *take*; return the hashes of all.

    *take* is called in a thread. Raises DamageError for the first chunk that is not as
    it was saved, or comes again.
    """
    hashes: dict[Key, bytes] = {}
    async with aclosing(_in_threads(_checked, _batches_of(connection))) as checked:
        async for batch in checked:
            for chunk, own_hash in batch:
                key = (chunk.table, chunk.number)
                if key in hashes:
                    message = (
                        f"chunk {chunk.number} of {clipped(key[0])} is there twice"
                    )
                    raise DamageError(message)
                hashes[key] = own_hash
            if take is not None:
                await asyncio.to_thread(_each, take, [chunk for chunk, _ in batch])
    return hashes


def _each(take: Callable[[Chunk], None], chunks: list[Chunk]) -> None:
    for chunk in chunks:
        take(chunk)


async def write_chunks(
    connection: aiosqlite.Connection, bodies: Mapping[Key, bytes], rest: Rest | None
) -> dict[Key, bytes]:
    """Put *bodies* in the place of what had the same keys; return their hashes.

    With *rest* it works little at once, and by one thread, and rests in between.
    """
    if rest is not None:
        return await _write_resting(connection, bodies, rest)
    hashes: dict[Key, bytes] = {}
    if sum(map(len, bodies.values())) <= _HASHED_AT_ONCE_BYTES:
        return await _put(connection, _hashed(list(bodies.items())))
    batches = _batched(bodies.items(), _BATCH_BYTES)
    async with aclosing(_in_threads(_hashed, batches)) as hashed:
        async for rows in hashed:
            hashes.update(await _put(connection, rows))
    return hashes


async def _write_resting(
    connection: aiosqlite.Connection, bodies: Mapping[Key, bytes], rest: Rest
) -> dict[Key, bytes]:
    hashes: dict[Key, bytes] = {}
    worked_seconds = 0.0
    async for batch in _batched(bodies.items(), _RESTED_BYTES):
        if hashes:
            await rest(worked_seconds)
        began = perf_counter()
        rows = await asyncio.to_thread(_hashed, batch)
        hashes.update(await _put(connection, rows))
        worked_seconds = perf_counter() - began
    return hashes


async def _put(connection: aiosqlite.Connection, rows: Rows) -> dict[Key, bytes]:
    await connection.executemany(_PUT, rows)
    return {(table, number): own for table, number, _, own in rows}


async def delete_chunks(connection: aiosqlite.Connection, keys: Iterable[Key]) -> None:
    """Delete the chunks of *keys*, as far as they are there."""
    await connection.executemany(_DELETE, keys)


async def _batches_of(connection: aiosqlite.Connection) -> AsyncIterator[list[Any]]:
    count = 1
    async with connection.execute(_READ) as cursor:
        while rows := list(await cursor.fetchmany(count)):
            yield rows
            size = sum(len(row[2]) for row in rows if isinstance(row[2], bytes))
            fitting = _BATCH_BYTES * len(rows) // max(size, 1)
            count = max(1, min(2 * count, fitting, _BATCH_ROWS_MAX))


async def _batched(
    items: Iterable[tuple[Key, bytes]], batch_bytes: int
) -> AsyncIterator[list[tuple[Key, bytes]]]:
    batch: list[tuple[Key, bytes]] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item[1])
        if size >= batch_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _checked(rows: list[Any]) -> list[tuple[Chunk, bytes]]:
    return [checked_chunk(row) for row in rows]


def _hashed(batch: list[tuple[Key, bytes]]) -> Rows:
    return [(*key, body, chunk_hash(*key, body)) for key, body in batch]


async def _in_threads(
    work: Callable[[_Batch], _Done], batches: AsyncIterator[_Batch]
) -> AsyncGenerator[_Done, None]:
    """Yield what *work* makes of each batch, in order, and begin the next meanwhile."""
    ahead: deque[asyncio.Task[_Done]] = deque()
    try:
        async for batch in batches:
            ahead.append(asyncio.create_task(asyncio.to_thread(work, batch)))
            if len(ahead) > _AHEAD:
                yield await ahead.popleft()
        while ahead:
            yield await ahead.popleft()
    finally:
        for task in ahead:
            task.cancel()
