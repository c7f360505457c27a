"""A table that is made of a checkpoint's chunks, as they are read, in order.

Of the first layout, too, and of another fold version, whose chunks may lack the last
columns: those are zero then.
"""

from collections.abc import Callable, Iterable, Sequence

from placement.core.tables import older, packing
from placement.core.tables.restored_pages import (
    DELTAS,
    Counting,
    RestoredPages,
    RowNumbers,
)
from placement.core.tables.saved import SLOTS, SavedTable
from placement.core.tables.saved_keys import SavedKeys
from placement.core.tables.slot_lines import RestoredSlots


class Restoring:
    """What is known of a table's chunks while they come."""

    def __init__(
        self, *, of_this_version: bool, renamed: Callable[[bytes], bytes]
    ) -> None:
        """Begin with none."""
        self.of_this_version = of_this_version
        self.renamed = renamed
        self.pages: RestoredPages | None = None
        self.slots = RestoredSlots()
        self.linked = True
        """Whether all rows came with their links."""
        self.is_ours = True
        """Whether all is as this version would save it."""

    def pages_of(self, page_rows: int) -> RestoredPages:
        """Return the pages so far; raises ValueError when they had another size."""
        if self.pages is None:
            self.pages = RestoredPages(page_rows)
        if self.pages.page_rows != page_rows:
            message = f"pages of {page_rows} rows follow others"
            raise ValueError(message)
        return self.pages


class RestoredTable(SavedTable):
    """A table that can be filled from chunks while it is empty."""

    __slots__ = ()

    def load(
        self,
        chunks: Iterable[tuple[int, bytes]],
        *,
        of_this_version: bool = True,
        renamed: Callable[[bytes], bytes] = bytes,
    ) -> bool:
        """Fill the table from all of its chunks, by number, in whatever order.

        Returns and raises what ``end_restoring`` and ``restore`` do.
        """
        restoring = self.begin_restoring(
            of_this_version=of_this_version, renamed=renamed
        )
        for number, body in sorted(chunks):
            self.restore(restoring, number, body)
        return self.end_restoring(restoring)

    def begin_restoring(
        self,
        *,
        of_this_version: bool = True,
        renamed: Callable[[bytes], bytes] = bytes,
    ) -> Restoring:
        """Return what ``restore`` is to be called with.

        Of another fold version than this, later columns may be missing. *renamed* turns
        a key of the first layout into one of this table.
        """
        assert not self._made, f"table {self.name} is not empty"
        return Restoring(of_this_version=of_this_version, renamed=renamed)

    def restore(self, restoring: Restoring, number: int, body: bytes) -> None:
        """Take the next chunk, by number; raises ValueError unless it is of ours."""
        try:
            if number >= SLOTS:
                restoring.slots.take(number - SLOTS, body)
            elif packing.layout_of(body) == packing.LAYOUT:
                self._restore(restoring, number, body)
            else:
                self._restore_older(restoring, number, body)
        except Exception as error:
            message = f"chunk {number} of table {self.name} is malformed: {error}"
            raise ValueError(message) from error

    def end_restoring(self, restoring: Restoring) -> bool:
        """Let what was taken be the table; say whether the links came along.

        What is not as this version saves it counts as changed. Raises ValueError when
        rows are missing.
        """
        pages, keys = restoring.pages, self._keys
        if pages is None:
            return True
        try:
            pages.require_whole()
        except ValueError as error:
            message = f"table {self.name} is malformed: {error}"
            raise ValueError(message) from error
        if isinstance(keys, SavedKeys):
            keys.index(restoring.slots.slots(), restoring.slots.seed)
        else:
            keys.index()
        self._free = keys.free() if self._capacity is None else []
        if restoring.is_ours and pages.page_rows == self._pages.page_rows:
            self._pages.restore(pages)
        else:
            self.mark_all_dirty()
        return restoring.linked

    def _restore(self, restoring: Restoring, number: int, body: bytes) -> None:
        head, at = packing.unpack_head(body)
        self._check_columns(restoring, head.columns)
        pages = restoring.pages_of(head.rows_when_full)
        counts: Counting = None
        rows: RowNumbers | slice
        if number < DELTAS:
            rows = pages.page(number, head.stamp, head.rows)
        else:
            rows, at = packing.unpack_numbers(body, at, head.rows)
            counts = pages.delta(number, head.stamp, rows)
        at = self._keys.restore(body, at, rows, counts)
        count = head.columns + head.links
        values, at = packing.unpack_columns(body, at, head.rows, count)
        if at != len(body):
            message = f"{len(body) - at} bytes too many"
            raise ValueError(message)
        if counts is not None and not isinstance(rows, slice):
            rows = rows[counts]
            values = [v if isinstance(v, int) else v[counts] for v in values]
        self._put(restoring, rows, values, head)

    def _restore_older(self, restoring: Restoring, number: int, body: bytes) -> None:
        added, keys, values = older.unpack(body)
        self._check_columns(restoring, len(values))
        rows = restoring.pages_of(older.ROWS_WHEN_FULL).page(number, 1, len(keys))
        if rows.start != self._keys.count:
            message = f"it begins with row {rows.start} after {self._keys.count}"
            raise ValueError(message)
        renamed = restoring.renamed
        self._keys.extend([None if key is None else renamed(key) for key in keys])
        page_rows = older.ROWS_WHEN_FULL
        head = packing.Head(1, added, len(keys), page_rows, len(values), 0)
        restoring.is_ours = False
        self._put(restoring, rows, values, head)

    def _check_columns(self, restoring: Restoring, count: int) -> None:
        known = len(self.columns)
        if count > known or (restoring.of_this_version and count < known):
            message = f"{count} columns in place of {known}"
            raise ValueError(message)

    def _put(
        self,
        restoring: Restoring,
        rows: RowNumbers | slice,
        values: Sequence[packing.Values],
        head: packing.Head,
    ) -> None:
        """Let *rows* have the *values* that were read."""
        known = len(self.columns)
        self._make(self._keys.count)
        self._added = max(self._added, head.added)
        columns = self._columns[: head.columns]
        if head.links == len(self._columns) - known:
            columns += self._columns[known:]
        else:
            restoring.linked = restoring.is_ours = False
        restoring.is_ours &= head.columns == known
        for column, value in zip(columns, values, strict=False):
            fresh = isinstance(rows, slice) and isinstance(value, int) and not value
            if not fresh:  # new rows hold zeros, in memory that nobody touched yet
                column.array[rows] = value
