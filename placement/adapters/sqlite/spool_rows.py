"""The rows of a spool, read and written by one connection within its transactions."""

import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

import aiosqlite

from placement.spooling import (
    DETAIL_LENGTH_MAX,
    ROUND_BYTES_MAX,
    Aside,
    Entry,
    Note,
    Position,
    Settled,
    SpoolFigures,
    SpoolLimits,
)

FORGOTTEN_AT_ONCE_MAX: Final = 2_048
"""More than a settling can add, so what is too much is forgotten in the end."""

_PUT: Final = (
    "INSERT INTO entry (feed, headers, received_ns, body, checksum)"
    " VALUES (?, ?, ?, ?, ?)"
)
_SIZES: Final = (
    "SELECT number, length(body) FROM entry WHERE epoch IS NULL AND number > ?"
    " ORDER BY number LIMIT ?"
)
_WAITING: Final = (
    "SELECT number, feed, headers, received_ns, body, checksum FROM entry"
    " WHERE epoch IS NULL AND number > ? AND number <= ? ORDER BY number"
)
_SENT: Final = (
    "UPDATE entry SET epoch = ?, sequence = ? WHERE number = ? AND epoch IS NULL"
)
_ASIDE: Final = (
    "INSERT INTO aside (feed, headers, received_ns, body, reason, detail)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_FORGET_ASIDES: Final = (
    "DELETE FROM aside WHERE number <= (SELECT max(number) FROM aside) - ?"
)
_KEPT: Final = (
    "SELECT number, length(body), received_ns FROM entry WHERE epoch IS NOT NULL"
    " ORDER BY number LIMIT ?"
)
_KEPT_BYTES: Final = "SELECT kept_bytes FROM total"
_RESEND: Final = (
    "UPDATE entry SET epoch = NULL, sequence = 0"
    " WHERE epoch IS NOT NULL AND (epoch != ? OR sequence >= ?)"
)
_FIGURES: Final = (
    "SELECT waiting_count, waiting_bytes, (SELECT received_ns FROM entry"
    " WHERE epoch IS NULL ORDER BY number LIMIT 1), kept_count, kept_bytes,"
    " sent_count, set_aside_count, epoch, sequence, mark FROM total"
)


async def put_notes(connection: aiosqlite.Connection, notes: Iterable[Note]) -> None:
    """Add *notes* after all that is there."""
    await connection.executemany(
        _PUT, [(*_columns(note), zlib.crc32(note.body)) for note in notes]
    )


async def read_waiting(
    connection: aiosqlite.Connection, count_max: int, after: int
) -> Sequence[Entry]:
    """Return the oldest that wait *after* one: as many as may be returned at once."""
    last, size = 0, 0
    for number, length in await connection.execute_fetchall(_SIZES, (after, count_max)):
        size += length
        if last and size > ROUND_BYTES_MAX:
            break
        last = number
    if not last:
        return []
    rows = await connection.execute_fetchall(_WAITING, (after, last))
    return [_entry(*row) for row in rows]


def _entry(  # noqa: PLR0913, PLR0917 - the columns
    number: int, feed: str, headers: str, received_ns: int, body: bytes, checksum: int
) -> Entry:
    """Return an entry; what the disk made of it may be anything."""
    try:
        told = json.loads(headers)
        intact = isinstance(told, dict) and zlib.crc32(body) == checksum
    except (TypeError, ValueError, RecursionError):
        intact = False
    note = Note(feed, body, received_ns, told if intact else {})
    return Entry(number, note, intact=intact)


async def settle(connection: aiosqlite.Connection, settled: Settled) -> None:
    """Write down what became of entries."""
    if settled.position is not None:
        where = (settled.position.epoch, settled.position.sequence)
        await connection.executemany(
            _SENT, [(*where, number) for number in settled.sent]
        )
        await keep_position(connection, settled.position)
    await connection.executemany(
        "DELETE FROM entry WHERE number = ?", [(number,) for number in settled.dropped]
    )
    await connection.executemany(_ASIDE, [_aside(each) for each in settled.asides])


async def forget(
    connection: aiosqlite.Connection, limits: SpoolLimits, now_ns: int
) -> None:
    """Forget what was sent and is kept too long or is too much, and old asides."""
    gone: list[tuple[int]] = []
    [(kept_bytes,)] = await connection.execute_fetchall(_KEPT_BYTES)
    excess = kept_bytes - limits.kept_bytes_max
    for number, length, received_ns in await connection.execute_fetchall(
        _KEPT, (FORGOTTEN_AT_ONCE_MAX,)
    ):
        if excess > 0 or received_ns < now_ns - limits.kept_ns_max:
            gone.append((number,))
            excess -= length
    if gone:
        await connection.executemany("DELETE FROM entry WHERE number = ?", gone)
    await connection.execute(_FORGET_ASIDES, (limits.aside_count_max,))


async def resend(connection: aiosqlite.Connection, position: Position) -> int:
    """Let wait again what the log does not hold before *position*."""
    cursor = await connection.execute(_RESEND, (position.epoch, position.sequence))
    before = max(0, position.sequence - 1)
    await keep_position(connection, Position(position.epoch, before))
    return cursor.rowcount


async def keep_position(connection: aiosqlite.Connection, position: Position) -> None:
    """Remember where our last message is."""
    await connection.execute(
        "UPDATE total SET epoch = ?, sequence = ?, mark = ?",
        (position.epoch, position.sequence, position.mark),
    )


async def add_mark(connection: aiosqlite.Connection) -> None:
    """Let a file of an earlier version remember what its last message says."""
    columns = await connection.execute_fetchall("PRAGMA table_info(total)")
    if "mark" not in {row[1] for row in columns}:
        await connection.execute(
            "ALTER TABLE total ADD COLUMN mark TEXT NOT NULL DEFAULT ''"
        )


async def read_figures(connection: aiosqlite.Connection) -> SpoolFigures:
    """Return how the spool is."""
    [row] = await connection.execute_fetchall(_FIGURES)
    waiting, waiting_bytes, oldest_ns, kept, kept_bytes, sent, aside, *where = row
    epoch, sequence, mark = where
    return SpoolFigures(
        waiting_count=waiting,
        waiting_bytes=waiting_bytes,
        oldest_waiting_ns=oldest_ns,
        kept_count=kept,
        kept_bytes=kept_bytes,
        sent_count=sent,
        set_aside_count=aside,
        position=Position(epoch, sequence, mark) if epoch else None,
    )


def _columns(note: Note) -> tuple[str, str, int, bytes]:
    return note.feed, json.dumps(dict(note.headers)), note.received_ns, note.body


def _aside(aside: Aside) -> tuple[str | int | bytes, ...]:
    return *_columns(aside.note), aside.reason, aside.detail[:DETAIL_LENGTH_MAX]
