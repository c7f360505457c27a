"""Reads what a checkpoint and a spool say of themselves, beside whoever owns them.

Both are opened to read only; nothing is created, moved or repaired.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from placement.adapters.sqlite.failures import unwritable
from placement.adapters.sqlite.file import is_ours
from placement.adapters.sqlite.proof import DamageError, stated
from placement.adapters.sqlite.store import READ_HEADER
from placement.inspections import SpoolSeen
from placement.ports import CheckpointDamagedError, CheckpointHeader
from placement.spooling import SpoolUnwritableError

BUSY_SECONDS: Final = 1.0

_SPOOL: Final = (
    "SELECT waiting_count, waiting_bytes, kept_count, kept_bytes, sent_count,"
    " set_aside_count, (SELECT min(received_ns) FROM entry WHERE epoch IS NULL),"
    " (SELECT count(*) FROM aside) FROM total"
)
_FEEDS: Final = "SELECT feed, max(received_ns) FROM entry GROUP BY feed ORDER BY feed"
_REASONS: Final = "SELECT reason, count(*) FROM aside GROUP BY reason ORDER BY reason"


def read_header(path: Path) -> CheckpointHeader | None:
    """Return what the checkpoint at *path* stands for; None where there is none.

    Its chunks are not verified: that takes as long as a start. Raises
    CheckpointDamagedError, and CheckpointUnwritableError when it cannot be opened.
    """
    try:
        if not is_ours(path):
            return None
        with reading(path) as connection:
            return stated(connection.execute(READ_HEADER).fetchall()).header
    except DamageError as error:
        message = f"checkpoint {path}: {error}"
        raise CheckpointDamagedError(message) from error
    except (sqlite3.OperationalError, OSError) as error:
        raise unwritable(path, error) from error
    except sqlite3.DatabaseError as error:
        message = f"checkpoint {path}: {error}"
        raise CheckpointDamagedError(message) from error


def read_spool(path: Path) -> SpoolSeen | None:
    """Return how the spool at *path* is; None where there is none.

    Raises SpoolUnwritableError when it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        with reading(path) as connection:
            row = connection.execute(_SPOOL).fetchone()
            asides = dict(connection.execute(_REASONS).fetchall())
            feeds = dict(connection.execute(_FEEDS).fetchall())
    except (sqlite3.Error, OSError) as error:
        message = f"spool {path} cannot be read: {error}"
        raise SpoolUnwritableError(message) from error
    return SpoolSeen(*(*row, asides, feeds))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that only reads.

    Where no WAL can be used, the file is read as it is: nobody writes to it then.
    """
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    wal = path.with_name(f"{path.name}-wal")
    if not wal.exists():
        address += "&immutable=1"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)
    with closing(connection):
        yield connection
