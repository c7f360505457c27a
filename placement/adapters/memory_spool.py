"""A spool in memory, for tests: the same promises, and controls to break them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from placement.ports import Clock
from placement.spooling import (
    ROUND_BYTES_MAX,
    Aside,
    Entry,
    Note,
    Position,
    Settled,
    SpoolFigures,
    SpoolFullError,
    SpoolLimits,
    SpoolUnwritableError,
)


@dataclass(slots=True)
class _Kept:
    """An entry; its *position* is None while it waits."""

    entry: Entry
    position: Position | None = None


@dataclass
class MemorySpool:
    """A Spool that dies with the process; set ``writable`` False: nothing is taken."""

    clock: Clock
    limits: SpoolLimits = field(default_factory=SpoolLimits)
    writable: bool = True
    asides: list[Aside] = field(default_factory=list)
    _rows: list[_Kept] = field(default_factory=list)
    _numbers: int = 0
    _sent_count: int = 0
    _aside_count: int = 0
    _position: Position | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def figures(self) -> SpoolFigures:
        """How it is now."""
        waiting = [row.entry.note for row in self._rows if row.position is None]
        kept = [row.entry.note for row in self._rows if row.position is not None]
        return SpoolFigures(
            waiting_count=len(waiting),
            waiting_bytes=sum(len(note.body) for note in waiting),
            oldest_waiting_ns=waiting[0].received_ns if waiting else None,
            kept_count=len(kept),
            kept_bytes=sum(len(note.body) for note in kept),
            sent_count=self._sent_count,
            set_aside_count=self._aside_count,
            position=self._position,
        )

    async def put(self, notes: Sequence[Note]) -> None:
        """Take *notes*, all or none."""
        self._check_writable()
        added = sum(len(note.body) for note in notes)
        held = self.figures.waiting_bytes
        if held + added > self.limits.waiting_bytes_max:
            raise SpoolFullError(held, self.limits.waiting_bytes_max)
        for note in notes:
            self._numbers += 1
            self._rows.append(_Kept(Entry(self._numbers, note)))
        self._news.set()

    async def waiting(
        self, count_max: int, patience_s: float, after: int = 0
    ) -> Sequence[Entry]:
        """Return the oldest entries that wait to be sent, of those *after* one."""
        if not self.figures.waiting_count:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._news.wait()
        self._check_writable()
        found: list[Entry] = []
        size = 0
        for row in self._rows:
            if row.entry.number <= after:
                continue
            size += len(row.entry.note.body) if row.position is None else 0
            if len(found) == count_max or (found and size > ROUND_BYTES_MAX):
                break
            if row.position is None:
                found.append(row.entry)
        return found

    async def settle(self, settled: Settled) -> None:
        """Send these entries no more, and keep what was set aside."""
        self._check_writable()
        sent, dropped = set(settled.sent), set(settled.dropped)
        self._rows = [row for row in self._rows if row.entry.number not in dropped]
        for row in self._rows:
            if row.entry.number in sent and row.position is None:
                row.position = settled.position
                self._sent_count += 1
        self._position = settled.position or self._position
        self.asides = [*self.asides, *settled.asides][-self.limits.aside_count_max :]
        self._aside_count += len(settled.asides)
        self._forget()

    async def resend(self, position: Position) -> int:
        """Let all wait again that is kept, but not in the log before *position*."""
        self._check_writable()
        found = 0
        for row in self._rows:
            if row.position is not None and (
                row.position.epoch != position.epoch
                or row.position.sequence >= position.sequence
            ):
                row.position = None
                found += 1
        before = max(0, position.sequence - 1)
        self._position = replace(position, sequence=before, mark="")
        self._news.set()
        return found

    async def close(self) -> None:
        """Keep everything: the next user of the object finds it."""

    def _forget(self) -> None:
        """Forget what is kept too long, or is too much."""
        oldest_ns = self.clock() - self.limits.kept_ns_max
        excess = self.figures.kept_bytes - self.limits.kept_bytes_max
        rows: list[_Kept] = []
        for row in self._rows:
            old = row.entry.note.received_ns < oldest_ns or excess > 0
            if row.position is not None and old:
                excess -= len(row.entry.note.body)
            else:
                rows.append(row)
        self._rows = rows

    def _check_writable(self) -> None:
        if not self.writable:
            message = "the spool in memory is not writable"
            raise SpoolUnwritableError(message)
