"""The checkpoint's file as a whole: whose it is, how it comes and goes.

It comes into being whole, made beside its place and moved there, so that a file without
a checkpoint is damage and never a beginning. It is never overwritten, but put aside.
"""

import os
import re
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Final

from placement.adapters.sqlite.proof import FORMAT, READABLE, DamageError

APPLICATION_ID: Final = 0x504C4D54  # "PLMT"; SQLite keeps it at byte 68 of the file
DAMAGED_FILES_MAX: Final = 3  # put aside and kept; the oldest goes first

_START_BYTES: Final = 100  # SQLite's file header
_COMPANIONS: Final = ("-wal", "-shm", "-journal")  # what SQLite keeps beside its file


class FlushError(OSError):
    """The disk failed to flush; what of it is there nobody knows."""


def schema() -> str:
    """Return schema.sql."""
    return (
        resources.files("placement.adapters.sqlite").joinpath("schema.sql").read_text()
    )


def is_ours(path: Path) -> bool:
    """Return whether there is a file; raises DamageError unless it is of our making.

    Reads its first bytes only: merely to open a foreign file in SQLite may change it.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except FileNotFoundError:
        return False
    version = int.from_bytes(start[60:64])
    if len(start) < _START_BYTES or not start.startswith(b"SQLite format 3\0"):
        message = "it is no SQLite database"
    elif int.from_bytes(start[68:72]) != APPLICATION_ID:
        message = "it is the SQLite database of another program"
    elif version not in READABLE:
        message = f"it has format {version}, and this version reads up to {FORMAT}"
    elif start[18:20] != b"\2\2":
        message = "it is not in WAL mode, as it was left"
    else:
        return True
    raise DamageError(message)


def removed(path: Path) -> Path:
    """Delete *path* and its companions, if there; return *path*."""
    for suffix in ("", *_COMPANIONS):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path


def move_into_place(new: Path, path: Path) -> None:
    """Rename *new* to *path*, where no orphaned WAL may wait for it."""
    new.rename(removed(path))
    sync(path.parent)


def put_aside(path: Path, reason: str) -> Path | None:
    """Rename what is at *path* to ``<name>.damaged-<n>``, *reason* in a text beside it.

    Keeps DAMAGED_FILES_MAX of them. Returns the new path; None where nothing was.
    """
    present = [
        each for each in _COMPANIONS if path.with_name(path.name + each).exists()
    ]
    if path.exists():
        present.append("")  # last: the rest must never be found without it
    if not present:
        return None
    numbers = _make_room(path)
    aside = path.with_name(f"{path.name}.damaged-{max(numbers, default=0) + 1}")
    for suffix in present:
        path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    with suppress(OSError):  # a full disk must not keep us from beginning anew
        aside.with_name(aside.name + ".txt").write_text(f"{reason}\n")
    sync(path.parent)
    return aside


def _make_room(path: Path) -> list[int]:
    """Delete the oldest that was put aside for *path*; return the numbers in use."""
    pattern = re.compile(rf"({re.escape(path.name)}\.damaged-(\d+))(?:[-.]\w+)?")
    found = [pattern.fullmatch(each.name) for each in path.parent.iterdir()]
    named = {int(each[2]): path.with_name(each[1]) for each in found if each}
    for number in sorted(named)[: 1 - DAMAGED_FILES_MAX]:
        removed(named[number])
        path.with_name(named[number].name + ".txt").unlink(missing_ok=True)
    return sorted(named)


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, outlast a power failure.

    Raises FlushError when the disk fails to; it is not asked again.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise FlushError(error.errno, f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
