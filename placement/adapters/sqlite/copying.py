"""A consistent copy of a checkpoint's file, made while the file is in use.

Blocking: for a thread. It reads one state of the database by a connection of its own,
which neither writes nor moves the WAL, so saves go on meanwhile.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Final
from urllib.parse import quote

from placement.adapters.sqlite.file import move_into_place, sync

_STEP_PAGES: Final = 1_024  # 16 MiB between two looks at whether to stop


class CopyError(Exception):
    """Why no copy was made; the file itself is as good as before."""


def generation_path(path: Path, number: int) -> Path:
    """Return where copy *number* of *path* is kept; 1 is the newest."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def copied(path: Path, stop: Event, new: Path) -> Path:
    """Copy *path* to *new*, where nothing is, flushed; it proves nothing yet.

    Raises CopyError when *stop* is set meanwhile or the disk has no room to spare, and
    sqlite3.Error and OSError as they come.
    """
    _check_room(path)

    def look(_status: int, _remaining: int, _total: int) -> None:
        if stop.is_set():
            message = "it was told to stop"
            raise CopyError(message)

    source = f"file:{quote(str(path.absolute()))}?mode=ro"
    with (
        closing(sqlite3.connect(source, uri=True)) as reader,
        closing(sqlite3.connect(new)) as writer,
    ):
        reader.execute("BEGIN")  # one state from the first page to the last
        reader.execute("SELECT sequence FROM checkpoint").fetchone()
        writer.execute("PRAGMA synchronous = FULL")
        reader.backup(writer, pages=_STEP_PAGES, progress=look)
    sync(new)
    return new


def rotate(path: Path, new: Path, copies: int, retire: Callable[[Path], None]) -> None:
    """Keep *new* as the newest of *copies* copies; each older one moves on by one.

    The oldest, if there are as many, is given to *retire* first, which may move it.
    """
    oldest = generation_path(path, copies)
    if oldest.exists():
        retire(oldest)
    for number in range(copies, 1, -1):
        younger = generation_path(path, number - 1)
        if younger.exists():
            move_into_place(younger, generation_path(path, number))
    move_into_place(new, generation_path(path, 1))


def _check_room(path: Path) -> None:
    """Raise CopyError unless after the copy so much is free as the copy takes."""
    wal = path.with_name(f"{path.name}-wal")
    size_bytes = sum(each.stat().st_size for each in (path, wal) if each.exists())
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < 2 * size_bytes:
        message = f"{free_bytes} bytes are free, and it takes {size_bytes}"
        raise CopyError(message)
