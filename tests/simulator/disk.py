"""A simulated disk: what is not synced may be lost, in part, when the machine dies."""

import asyncio
import errno
from dataclasses import dataclass, field
from random import Random

from tests.simulator.process import require_alive

PIECE_BYTES = 4_096
"""A write that a crash cuts is cut at any multiple of this, as pages are."""


@dataclass
class DiskFaults:
    """How slow a disk is, and what it does wrong."""

    seconds_max: float = 0.0
    """An operation takes up to so long."""
    full: bool = False
    """Writes fail with ENOSPC."""
    dying: bool = False
    """Syncs fail with EIO, and what was written since may be lost."""


@dataclass
class _File:
    """What readers see of a file, and what of it outlives a crash."""

    seen: bytes = b""
    synced: bytes = b""


@dataclass
class Disk:
    """Files by name, in one directory."""

    random: Random
    faults: DiskFaults = field(default_factory=DiskFaults)

    def __post_init__(self) -> None:
        """Be empty."""
        self._names: dict[str, _File] = {}
        self._synced_names: dict[str, _File] = {}
        self.write_count = 0

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None when there is no such file."""
        await self._work()
        file = self._names.get(name)
        return None if file is None else file.seen

    async def write(self, name: str, body: bytes) -> None:
        """Make a new file of *body*; raises OSError when the disk is full."""
        await self._work()
        if self.faults.full:
            raise OSError(errno.ENOSPC, "no space is left on the simulated disk")
        file = _File()
        self._names[name] = file
        half = len(body) // 2
        for piece in (body[:half], body[half:]):
            file.seen += piece
            await self._work()

    async def sync(self, name: str) -> None:
        """Make a file's bytes outlive a crash."""
        await self._work()
        file = self._names[name]
        if self.faults.dying:
            file.seen = self._torn(file)
            raise OSError(errno.EIO, "the simulated disk lost what it was given")
        file.synced = file.seen

    async def rename(self, old: str, new: str) -> None:
        """Give a file another name, in one step."""
        await self._work()
        self._names[new] = self._names.pop(old)

    async def sync_names(self) -> None:
        """Make all names outlive a crash, as a directory's fsync does."""
        await self._work()
        self._synced_names = dict(self._names)

    async def _work(self) -> None:
        require_alive()
        if self.faults.seconds_max:
            await asyncio.sleep(self.random.random() * self.faults.seconds_max)
            require_alive()
        self.write_count += 1

    def crash(self) -> None:
        """Lose what was not synced: all of it, some of it, or by luck nothing."""
        if self.random.random() < 0.5:  # a directory's changes are written in order
            self._names = dict(self._synced_names)
        for file in self._names.values():
            if file.seen != file.synced:
                file.seen = self._torn(file)
            file.synced = file.seen
        self._synced_names = dict(self._names)

    def _torn(self, file: _File) -> bytes:
        kept = self.random.randrange(0, len(file.seen) + 1, PIECE_BYTES)
        lost = len(file.seen) - kept
        filler = self.random.choice([b"", b"\0" * lost])
        return self.random.choice([file.synced, file.seen[:kept] + filler])

    def flip_a_bit(self) -> bool:
        """Change one bit of what is stored; says whether there was one."""
        files = [file for _, file in sorted(self._names.items()) if file.seen]
        if not files:
            return False
        file = self.random.choice(files)
        place = self.random.randrange(len(file.seen))
        changed = bytearray(file.seen)
        changed[place] ^= 1 << self.random.randrange(8)
        file.seen = file.synced = bytes(changed)
        return True
