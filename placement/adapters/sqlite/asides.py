"""What an agent's spool set aside, for people: looked at, sent again, or dropped.

For who owns the agent's directory: nobody else writes to the file meanwhile.
"""

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from placement.adapters.sqlite.inspection import reading
from placement.inspections import AsideSeen
from placement.spooling import SpoolFullError, SpoolLimits, SpoolUnwritableError

_LIST: Final = (
    "SELECT number, feed, headers, received_ns, body, reason, detail FROM aside"
    " WHERE number > ? ORDER BY number LIMIT ?"
)
_ONE: Final = "SELECT feed, headers, received_ns, body FROM aside WHERE number = ?"
_PUT: Final = (
    "INSERT INTO entry (feed, headers, received_ns, body, checksum)"
    " VALUES (?, ?, ?, ?, ?)"
)
_GONE: Final = "DELETE FROM aside WHERE number = ?"


def list_asides(path: Path, after: int, count_max: int) -> Sequence[AsideSeen]:
    """Return what is set aside in the spool at *path*, by number, of those *after* one.

    Beside a running agent, too. Raises SpoolUnwritableError when it cannot be read.
    """
    try:
        with reading(path) as connection:
            rows = connection.execute(_LIST, (after, count_max)).fetchall()
    except (sqlite3.Error, OSError) as error:
        message = f"spool {path} cannot be read: {error}"
        raise SpoolUnwritableError(message) from error
    return [
        AsideSeen(number, feed, json.loads(headers), received_ns, body, reason, detail)
        for number, feed, headers, received_ns, body, reason, detail in rows
    ]


def resend_asides(path: Path, numbers: Collection[int], limits: SpoolLimits) -> int:
    """Let these wait to be sent again, all or none; return how many that were.

    Raises SpoolFullError where they would not fit, and SpoolUnwritableError.
    """
    with _writing(path) as connection:
        rows = [connection.execute(_ONE, (number,)).fetchone() for number in numbers]
        found = [row for row in rows if row is not None]
        total = connection.execute("SELECT waiting_bytes FROM total").fetchone()[0]
        added = sum(len(body) for *_, body in found)
        if total + added > limits.waiting_bytes_max:
            raise SpoolFullError(total, limits.waiting_bytes_max)
        connection.executemany(_PUT, [(*row, zlib.crc32(row[-1])) for row in found])
        connection.executemany(_GONE, [(number,) for number in numbers])
    return len(found)


def drop_asides(path: Path, numbers: Collection[int]) -> int:
    """Forget these, all or none; return how many that were.

    Raises SpoolUnwritableError.
    """
    with _writing(path) as connection:
        gone = connection.executemany(_GONE, [(number,) for number in numbers])
    return gone.rowcount


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection within a transaction, flushed to the disk at the end."""
    try:
        address = f"{path.resolve().as_uri()}?mode=rw"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        with closing(connection):
            connection.executescript("PRAGMA synchronous = FULL; BEGIN IMMEDIATE;")
            yield connection
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        message = f"spool {path} could not be changed: {error}"
        raise SpoolUnwritableError(message) from error
