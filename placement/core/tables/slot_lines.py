"""Chunks of a checkpoint that hold slots: lines as they are, in pages and deltas.

They say of how many lines in all they are and what seed the hash had. Slots that are
not whole or do not fit are no damage: they are made again from the keys.
"""

from struct import Struct
from typing import Final, NamedTuple

from placement.core.tables import packing
from placement.core.tables.finding import LINE
from placement.core.tables.pages import Taken
from placement.core.tables.restored_pages import (
    DELTAS,
    Counting,
    RestoredPages,
    RowNumbers,
    size_of,
)
from placement.core.tables.slots import Slots

_HEAD: Final = Struct("<qqQIIIII")


class _Head(NamedTuple):
    layout: int
    stamp: int
    seed: int
    lines: int
    line_slots: int
    page_lines: int
    probes_max: int
    size: int


def pack_lines(slots: Slots, taken: Taken, seed: int) -> bytes:
    """Return the chunk of what was *taken* of the lines of *slots*."""
    lines = taken.rows
    count = size_of(lines)
    head = _Head(
        packing.LAYOUT,
        taken.stamp,
        seed,
        slots.lines,
        LINE,
        slots.pages.page_rows,
        slots.probes_max,
        count,
    )
    numbers = b"" if isinstance(lines, slice) else packing.pack_numbers(lines)
    return b"".join((_HEAD.pack(*head), numbers, *slots.pack(lines)))


class RestoredSlots:
    """Slots that are made of a checkpoint's chunks, as they are read."""

    def __init__(self) -> None:
        """Begin without any."""
        self.seed = 0
        self._slots: Slots | None = None
        self._restored = RestoredPages(1)
        self._fits = True

    def take(self, number: int, body: bytes) -> None:
        """Take the next chunk; those of other slots than ours are passed over."""
        try:
            self._take(number, body)
        except ValueError:
            self._fits = False

    def _take(self, number: int, body: bytes) -> None:
        head = _Head(*_HEAD.unpack_from(body))
        if head.layout != packing.LAYOUT or head.line_slots != LINE or not self._fits:
            self._fits = False
            return
        if self._slots is None:
            self._slots, self.seed = Slots(head.lines), head.seed
            self._restored = RestoredPages(head.page_lines)
        if (head.lines, head.seed) != (self._slots.lines, self.seed):
            self._fits = False
            return
        counts: Counting = None
        at = _HEAD.size
        lines: RowNumbers | slice
        if number < DELTAS:
            lines = self._restored.page(number, head.stamp, head.size)
        else:
            lines, at = packing.unpack_numbers(body, at, head.size)
            counts = self._restored.delta(number, head.stamp, lines)
        self._slots.restore(body, at, lines, counts)
        self._slots.probes_max = max(self._slots.probes_max, head.probes_max)

    def slots(self) -> Slots | None:
        """Return the slots if they are whole and as ours would be, unchanged."""
        slots = self._slots
        if slots is None or not self._fits or self._restored.rows != slots.lines:
            return None
        try:
            self._restored.require_whole()
        except ValueError:
            return None
        if self._restored.page_rows == slots.pages.page_rows:
            slots.pages.restore(self._restored)
        return slots
