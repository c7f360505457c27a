"""A backup of the log as a directory: what is in it, and whether it still is that.

``stream.snapshot`` is the stream as the broker packs it, ``stream.json`` says of what,
how long it is, and its SHA-256. The latter is written last: without it there is none.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from placement.core.errors import InputError
from placement.durable import sync_directory
from placement.ports import LogStatus
from placement.private_files import write_private

FORMAT: Final = 1
SNAPSHOT: Final = "stream.snapshot"
MANIFEST: Final = "stream.json"
MANIFEST_BYTES_MAX: Final = 1 << 20
CHUNK_BYTES: Final = 128 << 10


@dataclass(frozen=True, slots=True)
class Taken:
    """A stream that was taken: its name, its epoch, and what its server says of it."""

    stream: str
    epoch: str
    description: Any


class Snapshots(Protocol):
    """Takes a stream as a file, and makes it anew from one."""

    async def take(self, file: BinaryIO) -> Taken:
        """Write the stream as it is to *file*; LogUnavailableError."""

    async def give(self, description: Any, chunks: Iterable[bytes]) -> LogStatus:  # noqa: ANN401 - as it was taken
        """Make the stream anew; LogConfigurationError where there is one."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of."""

    stream: str
    epoch: str
    first_sequence: int
    last_sequence: int
    message_count: int
    size_bytes: int
    """Of the snapshot's file."""
    sha256: str
    version: str
    """Of the program that made it."""
    description: Any
    format: int = FORMAT


async def write_backup(snapshots: Snapshots, directory: Path, version: str) -> Manifest:
    """Write the log to *directory*, which is made, and return what it is of.

    All of it is on the disk by then, and so are the names that lead there.

    Raises InputError where something is there, OSError where the disk refuses, and as
    ``Snapshots.take`` does; then there is no manifest.
    """
    with _made(directory) as file:
        taken = await snapshots.take(file)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    return await asyncio.to_thread(_sealed, directory, taken, version)


def _made(directory: Path) -> BinaryIO:
    """Return the snapshot's file, open and empty, in *directory*, which is ours."""
    directory = directory.absolute()
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in missing:
        with suppress(PermissionError):  # where names may be added, and not be read
            sync_directory(path.parent)
    if any(directory.iterdir()):
        remedy = "give a directory that is empty, or not there: nothing is overwritten"
        raise InputError("directory", str(directory), remedy)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    return os.fdopen(os.open(directory / SNAPSHOT, flags, 0o600), "wb")


def _sealed(directory: Path, taken: Taken, version: str) -> Manifest:
    """Write the manifest of what was *taken* into *directory*, and return it."""
    path, state = directory / SNAPSHOT, taken.description["state"]
    manifest = Manifest(
        stream=taken.stream,
        epoch=taken.epoch,
        first_sequence=int(state["first_seq"]),
        last_sequence=int(state["last_seq"]),
        message_count=int(state["messages"]),
        size_bytes=path.stat().st_size,
        sha256=_sha256(path),
        version=version,
        description=taken.description,
    )
    write_private(directory / MANIFEST, json.dumps(asdict(manifest), indent=2) + "\n")
    return manifest


def read_backup(directory: Path) -> Manifest:
    """Return what the backup in *directory* is of, once all of it was verified.

    Raises InputError where it is none, or not as it was written.
    """
    try:
        with (directory / MANIFEST).open("rb") as file:
            told = json.loads(file.read(MANIFEST_BYTES_MAX))
        manifest = Manifest(**told)
        size, sha256 = (directory / SNAPSHOT).stat().st_size, ""
        if size == manifest.size_bytes:
            sha256 = _sha256(directory / SNAPSHOT)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        remedy = f"give a directory that `placement backup` wrote to its end ({error})"
        raise InputError("directory", str(directory), remedy) from None
    if manifest.format != FORMAT:
        remedy = f"restore it by the version that made it, {manifest.version}"
        raise InputError("format", manifest.format, remedy)
    if sha256 != manifest.sha256:
        remedy = f"take another backup: {SNAPSHOT} is not as it was written"
        raise InputError("directory", str(directory), remedy)
    return manifest


async def give_back(
    snapshots: Snapshots, directory: Path, manifest: Manifest
) -> LogStatus:
    """Make the log anew from a backup that was verified; returns where it stands.

    Raises as ``Snapshots.give`` does.
    """
    return await snapshots.give(manifest.description, _chunks(directory / SNAPSHOT))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
