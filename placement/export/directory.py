"""The directory of an export: files under way, files that count, and the manifest."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

from placement.core.errors import InputError
from placement.durable import sync_directory
from placement.export.hidden_names import NameKey, hider_of
from placement.export.manifest import NAME, File
from placement.export.parquet import FileWriter, Written, arrow_schema
from placement.export.schema import TABLES

UNDER_WAY: Final = ".under-way"
LOCK: Final = ".lock"
_BY_NAME: Final = {table.name: table for table in TABLES}
_SCHEMAS: Final = {table.name: arrow_schema(table) for table in TABLES}


@contextmanager
def taken(directory: Path) -> Iterator[None]:
    """Let nobody else export into *directory*; InputError while somebody does."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("ab")
    except OSError as error:
        remedy = f"name a directory that can be written ({error.strerror})"
        raise InputError("DIRECTORY", str(directory), remedy) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "another export writes there: wait for it, or name another one"
            raise InputError("DIRECTORY", str(directory), remedy) from None
        yield


def check_free(directory: Path) -> None:
    """Raise InputError where tables are, and no manifest: they may be another's.

    An export writes its manifest before its first table.
    """
    for table in TABLES:
        found = next((directory / table.name).rglob("*.parquet"), None)
        if found is not None:
            remedy = (
                f"it holds {found.relative_to(directory)}, and no {NAME} says that an "
                "export made it: name another directory, or move that away"
            )
            raise InputError("DIRECTORY", str(directory), remedy)


def clear_strays(directory: Path, files: tuple[File, ...]) -> None:
    """Remove what an export that was killed left behind: it is made again."""
    rmtree(directory / UNDER_WAY, ignore_errors=True)
    known = {file.path for file in files}
    for table in TABLES:
        for path in sorted((directory / table.name).rglob("*.parquet")):
            if str(path.relative_to(directory)) not in known:
                path.unlink()


class Segment:
    """The files of the messages between two writings of the manifest."""

    def __init__(self, directory: Path, epoch: int, key: NameKey | None) -> None:
        """Begin with no file."""
        self._directory = directory
        self._draft = directory / UNDER_WAY
        self._draft.mkdir(exist_ok=True)
        self._epoch = epoch
        self._hide: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        if key is not None:
            hidden = key.hider()
            self._hide = {each.name: hider_of(each, hidden) for each in TABLES}
        self._open: dict[str, tuple[FileWriter, Path]] = {}
        self._made: list[tuple[str, Written, Path]] = []
        self._day, self._part, self._first = -1, "", 0

    def begin(self, sequence: int, day: int) -> None:
        """Let what follows be of that day since 1970, from message *sequence* on."""
        if day != self._day:
            self._close()
            told = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
            self._day, self._part = day, f"day={told}"
        self._first = sequence

    def begin_version(self, version: int, sequence: int) -> None:
        """Let what follows be of a version of the outcomes."""
        self._close()
        self._part, self._first = f"version={version}", sequence

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Take a row into the table's file of the day."""
        found = self._open.get(table)
        if found is None:
            name = f"{self._epoch:03d}-{self._first:016d}.parquet"
            path = Path(table) / self._part / name
            draft = self._draft / f"{table}-{self._part}-{name}"
            found = FileWriter(draft, _SCHEMAS[table]), path
            self._open[table] = found
        hide = self._hide.get(table)
        found[0].add(row if hide is None else hide(row))

    def _close(self) -> None:
        for table, (writer, path) in self._open.items():
            self._made.append((table, writer.close(), path))
        self._open.clear()

    def committed(self) -> tuple[File, ...]:
        """Write all of it, give the files their names, and return them.

        They are part of the export once the manifest names them.
        """
        self._close()
        files = []
        folders = set()
        for table, written, path in self._made:
            whole = self._directory / path
            whole.parent.mkdir(parents=True, exist_ok=True)
            written.path.replace(whole)
            folders.add(whole.parent)
            file = File(str(path), table, written.rows, written.bytes, written.sha256)
            files.append(file)
        for folder in sorted(folders):
            sync_directory(folder)
        self._made.clear()
        return tuple(files)

    def abandon(self) -> None:
        """Let go of what is not written yet."""
        for writer, _ in self._open.values():
            writer.abandon()
        self._open.clear()
        self._made.clear()
        rmtree(self._draft, ignore_errors=True)
