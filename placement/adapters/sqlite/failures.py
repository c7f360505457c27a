"""What SQLite's and the system's errors mean in the words of the port.

Three kinds matter: the bytes are not those that were saved; the disk failed to flush,
so nobody knows what it holds; and all else, after which the same call may succeed.
"""

import errno
import re
import sqlite3
from pathlib import Path
from typing import Final

from placement.adapters.sqlite.file import FlushError
from placement.adapters.sqlite.proof import DamageError
from placement.ports import (
    CheckpointDamagedError,
    CheckpointFsyncError,
    CheckpointUnwritableError,
)

# What SQLite answers where the file may be whole but cannot be used now.
_UNUSABLE: Final = re.compile("SQLITE_(BUSY|CANTOPEN|FULL|IOERR_SHM|PERM|READONLY)")
_FLUSH: Final = frozenset({"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"})


def is_flush_failure(error: BaseException) -> bool:
    """Return whether *error* says that the disk failed to flush what it was given."""
    name = getattr(error, "sqlite_errorname", "")
    return isinstance(error, FlushError) or name in _FLUSH


def unwritable(path: Path, error: BaseException) -> CheckpointUnwritableError:
    """Return *error*, which ended a save to *path*, in the port's words."""
    if is_flush_failure(error):
        return CheckpointFsyncError(
            f"checkpoint {path} could not be flushed to the disk: {error}. Remedy: look"
            " at the disk; a new process goes on from what is whole on it"
        )
    return CheckpointUnwritableError(f"checkpoint {path} could not be written: {error}")


def explained(path: Path, error: BaseException) -> Exception | None:
    """Return *error*, met at *path*, in the port's words; None if they say no more."""
    if is_flush_failure(error):
        return unwritable(path, error)
    match error:
        case DamageError() | UnicodeDecodeError():
            damaged = True
        case sqlite3.Error():
            damaged = not _UNUSABLE.match(getattr(error, "sqlite_errorname", ""))
        case OSError():
            damaged = error.errno == errno.EIO
        case _:
            return None
    if damaged:
        return CheckpointDamagedError(
            f"checkpoint {path} is refused: {error}. Remedy: move it away, or let the"
            " service do so; the state is then folded again from the log"
        )
    return CheckpointUnwritableError(f"checkpoint {path} cannot be used now: {error}")
