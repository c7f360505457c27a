"""A table to a checkpoint: what changed of it is packed, chunk by chunk.

A checkpoint holds pages of rows, the deltas that rest on them (``pages``), and of large
tables also the slots by which keys are found, a line of slots being a row to save.
"""

from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

from placement.core.tables import packing
from placement.core.tables.keyed import Keyed
from placement.core.tables.pages import Pages, Taken
from placement.core.tables.restored_pages import size_of
from placement.core.tables.saved_keys import SavedKeys
from placement.core.tables.slot_lines import pack_lines
from placement.core.tables.slots import Slots

SLOTS: Final = 2**41
"""Chunks of slots are numbered from here on, as those of rows are from 0."""
_SAVED_LINES: Final = 1024
"""Fewer lines of slots are made again at a load."""


class Packed(NamedTuple):
    """A chunk to save, and what it is of."""

    number: int
    body: bytes
    pages: Pages
    taken: Taken

    @property
    def size(self) -> int:
        """How many rows it holds."""
        return size_of(self.taken.rows)

    def give_back(self) -> None:
        """Let it be packed again: it was not saved."""
        self.pages.give_back(self.taken)


class SavedTable(Keyed):
    """Rows by key that can be saved."""

    __slots__ = ()

    def take(self) -> Generator[Packed | None]:
        """Yield what changed since it was taken, in chunks; None between two looks.

        Rows may change between two steps. Later chunks take the place of earlier ones
        of the same number. Who ends early closes it, so that the rest is kept.
        """
        if self._pages.are_changed:
            yield from self._pack_each(self._pages.take())
        slots = self._saved_slots
        if slots is not None and slots.pages.are_changed:
            yield from self._pack_each(slots.pages.take(), slots)

    def roll(self) -> Generator[Packed | None]:
        """Yield pages that are to be saved again, so that deltas may end."""
        if self._pages.are_rolling:
            yield from self._pack_each(self._pages.roll())
        slots = self._saved_slots
        if slots is not None and slots.pages.are_rolling:
            yield from self._pack_each(slots.pages.roll(), slots)

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to take."""
        slots = self._saved_slots
        return self._pages.are_changed or (
            slots is not None and slots.pages.are_changed
        )

    def take_dirty(self) -> list[tuple[int, bytes]]:
        """Return what changed since it was taken, as numbers and bodies."""
        return [(each.number, each.body) for each in self.take() if each is not None]

    def chunk_numbers(self) -> Iterator[int]:
        """Yield the numbers of the chunks that a checkpoint of the table has now."""
        yield from self._pages.numbers()
        slots = self._saved_slots
        if slots is not None:
            yield from (SLOTS + number for number in slots.pages.numbers())

    def packed_pages(self) -> Iterator[bytes]:
        """Yield every row as a chunk would hold it, page by page; nothing is taken."""
        for page in range(self._pages.count):
            yield self._pack_rows(Taken(page, 0, self._pages.rows_of(page)))

    def mark_all_dirty(self) -> None:
        """Let everything be taken again: the checkpoint is gone."""
        self._pages.mark_all()
        if isinstance(self._keys, SavedKeys):
            self._keys.slots.pages.mark_all()

    @property
    def _saved_slots(self) -> Slots | None:
        if isinstance(self._keys, SavedKeys):
            slots = self._keys.slots
            return slots if slots.lines >= _SAVED_LINES else None
        return None

    def _pack_each(
        self, steps: Iterator[Taken | None], slots: Slots | None = None
    ) -> Generator[Packed | None]:
        for taken in steps:
            if taken is None:
                yield None
            elif slots is None:
                body = self._pack_rows(taken)
                yield Packed(taken.number, body, self._pages, taken)
            else:
                assert isinstance(self._keys, SavedKeys), "others have no slots"
                body = pack_lines(slots, taken, self._keys.seed)
                yield Packed(SLOTS + taken.number, body, slots.pages, taken)

    def _pack_rows(self, taken: Taken) -> bytes:
        known, rows = len(self.columns), taken.rows
        links = len(self._columns) - known
        count = size_of(rows)
        page_rows = self._pages.page_rows
        head = packing.Head(taken.stamp, self._added, count, page_rows, known, links)
        return b"".join(
            (
                packing.pack_head(head),
                b"" if isinstance(rows, slice) else packing.pack_numbers(rows),
                *self._keys.pack(rows),
                *packing.pack_columns(column.array[rows] for column in self._columns),
            )
        )
