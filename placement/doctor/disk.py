"""Looks at a directory of ours: whose it is, who has it, its room, its file system."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from placement import stores
from placement.core.fold import FOLD_VERSION
from placement.doctor.finding import Finding, fail, ok, skipped, warn
from placement.doctor.site import Site

FULL_BYTES: Final = 1 << 20
"""With less, the next save may fail."""
FREE_BYTES_MIN: Final = 1 << 30
FREE_SHARE_MIN: Final = 0.05
MOUNTS: Final = Path("/proc/self/mountinfo")
FORGETFUL: Final = frozenset({"tmpfs", "ramfs"})
REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs"})


async def data_directory(site: Site) -> Sequence[Finding]:
    """Look at ``data_dir``."""
    directory = site.config.data_dir
    return await asyncio.to_thread(_directory, directory, "data_dir", "service")


async def agent_directory(site: Site) -> Sequence[Finding]:
    """Look at ``agent.state_dir``."""
    directory = site.config.agent.state_dir
    return await asyncio.to_thread(_directory, directory, "agent.state_dir", "agent")


async def checkpoint(site: Site) -> Sequence[Finding]:
    """Look at what the checkpoint says of itself."""
    path = stores.checkpoint_path(site.config)
    header = await asyncio.to_thread(stores.read_header, path)
    if header is None:
        return [skipped(f"there is no checkpoint at {path}: the first save makes one")]
    where = f"{path}: sequence {header.sequence}, epoch {header.epoch}"
    if header.fold_version != FOLD_VERSION:
        return [
            warn(
                f"{where}, fold version {header.fold_version}; this program folds by"
                f" {FOLD_VERSION}",
                "nothing: the log is folded again beside it at the next start",
            )
        ]
    return [ok(f"{where}, fold version {header.fold_version}")]


def _directory(directory: Path, key: str, who: str) -> list[Finding]:
    if not directory.exists():
        remedy = f"start the {who}, which makes it, or correct {key}"
        return [warn(f"{key}: {directory} does not exist", remedy)]
    return [
        *_owner(directory, key, who),
        _held(directory, who),
        _room(directory, key),
        _file_system(directory, key),
    ]


def _owner(directory: Path, key: str, who: str) -> list[Finding]:
    stat = directory.stat()
    found = []
    if stat.st_uid != os.geteuid():
        found.append(
            fail(
                f"{directory} belongs to user {stat.st_uid}, and we are {os.geteuid()}",
                f"run this and the {who} as the directory's owner, or give the"
                " directory to that user",
            )
        )
    if stat.st_mode & 0o077:
        found.append(
            warn(
                f"{directory} is open to others (mode {stat.st_mode & 0o777:o})",
                f"chmod 700 {directory}",
            )
        )
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"placement doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        found.append(
            fail(
                f"{directory} cannot be written: {error.strerror}",
                f"give our user the right and the disk room, or set {key} elsewhere",
            )
        )
    return found or [ok(f"{directory} is ours, and can be written and flushed")]


def _held(directory: Path, who: str) -> Finding:
    holder = stores.lock_holder(directory / "lock")
    if holder is None:
        return warn(f"no {who} runs on {directory}", f"start it: {_START[who]}")
    return ok(f"locked by process {holder or 'of another container'}")


_START: Final = {"service": "placement serve", "agent": "placement agent"}


def _room(directory: Path, key: str) -> Finding:
    usage = shutil.disk_usage(directory)
    inodes = os.statvfs(directory)
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB are free"
    if inodes.f_files and not inodes.f_favail:
        return fail("the file system has no inodes left", f"remove files beside {key}")
    if usage.free < FULL_BYTES:
        return fail(free, f"make room, or set {key} to a larger disk")
    if usage.free < max(FREE_BYTES_MIN, FREE_SHARE_MIN * usage.total):
        return warn(free, f"make room before it is full, or set {key} elsewhere")
    return ok(free)


def _file_system(directory: Path, key: str) -> Finding:
    """Say whether what is flushed there is kept, as far as its kind tells."""
    kind, options = _mounted(directory.resolve())
    if kind in FORGETFUL:
        return warn(
            f"it is on {kind}, which forgets all at a restart of the machine",
            f"set {key} to a directory on a disk",
        )
    if kind == "overlay":
        return warn(
            "it is on overlay, a container's own layer, which goes with the container",
            f"mount a volume at {key}",
        )
    if kind in REMOTE:
        return warn(
            f"it is on {kind}: locks and flushes are as good as its server's",
            f"set {key} to a local disk",
        )
    lying = {"nobarrier", "barrier=0"} & options
    if lying:
        return fail(
            f"it is mounted with {', '.join(sorted(lying))}: what is flushed may be"
            " lost with the power",
            "mount it without that option",
        )
    if not kind:
        return skipped("the file system's kind is not known on this machine")
    return ok(f"on {kind}, with nothing that makes its flushes lie")


def _mounted(directory: Path) -> tuple[str, set[str]]:
    """Return the kind of the file system that holds *directory*, and its options."""
    best, kind, options = Path(), "", set[str]()
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return "", set()
    for line in lines:
        own, _, rest = line.partition(" - ")
        point = Path(own.split()[4].replace("\\040", " "))
        if directory.is_relative_to(point) and len(point.parts) >= len(best.parts):
            fields = rest.split()
            best, kind = point, fields[0]
            options = {*own.split()[5].split(","), *fields[-1].split(",")}
    return kind, options
