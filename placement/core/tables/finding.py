"""Many keys found and placed, and many cells written, by numpy: few calls for all."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from placement.core.tables.hashing import HALF, MIX, Hashes

Rows = NDArray[np.int64]
Tags = NDArray[np.uint8]
Words = NDArray[Any]
Arrays = tuple[Tags, NDArray[np.int32], int]
"""Tags and rows of slots, and by how many bits a hash is shifted to be a line."""
Room = tuple[int, int]
"""The least and the greatest integer that a cell has room for."""

LINE: Final = 16
"""Slots a line."""
LINE_BITS: Final = 4
NOWHERE: Final = -1
EMPTY: Final = 0
DROPPED: Final = 1
TAGS: Final = 2
"""The least tag of a slot that is in use."""
TAG_BITS: Final = 24
FAR: Final = 2**61
"""Amounts that are more than this, all together, are not looked at any closer."""

_HALF_WORD: Final = np.uint64(HALF)
_MIX_WORD: Final = np.uint64(MIX)
_TAG_SHIFT: Final = np.uint64(TAG_BITS)
_LOW_BYTE: Final = np.uint64(0xFF)


def hashed(words: Words, by: Hashes) -> Hashes:
    """Return the hashes of keys, a row of 32-bit *words* each, with a factor for each.

    They are those of ``hash_of_one``.
    """
    total: Hashes = words.astype(np.uint64) @ by
    total ^= total >> _HALF_WORD
    total *= _MIX_WORD
    return total


def begin(hashes: Hashes, shift: int) -> tuple[Rows, Tags]:
    """Return in which lines to begin, and the tags to look for."""
    line = (hashes >> np.uint64(shift)).astype(np.int64)
    tag = (hashes >> _TAG_SHIFT & _LOW_BYTE).astype(np.uint8)
    return line, np.maximum(tag, TAGS, dtype=np.uint8)


def search(
    hashes: Hashes, slots: Arrays, keys: Words, wanted: Words, found: Rows
) -> None:
    """Store in *found*, where NOWHERE is, the rows whose *keys* are those *wanted*."""
    all_tags, all_rows, shift = slots
    lines = all_tags.reshape(-1, LINE)
    line, tag = begin(hashes, shift)
    left: Rows | None = None
    while True:
        tags = lines.take(line, axis=0)
        hits = np.flatnonzero(tags == tag[:, None])
        who = hits >> LINE_BITS
        rows = all_rows.take((line[who] << LINE_BITS) + (hits & LINE - 1))
        about = who if left is None else left[who]
        same = equal(keys.take(rows, axis=0), wanted.take(about, axis=0))
        found[about[same]] = rows[same]
        on = tags[:, LINE - 1] != EMPTY
        on &= (found if left is None else found[left]) == NOWHERE
        if not on.any():
            return
        left = np.flatnonzero(on) if left is None else left[on]
        line, tag = (line[on] + 1) & (len(lines) - 1), tag[on]


def place(hashes: Hashes, slots: Arrays, new: Rows, lines: Rows) -> tuple[int, int]:
    """Give each of the *new* rows a slot, and store in *lines* in which line that is.

    Returns how many slots had been used before, and of how many lines the longest
    probe was.
    """
    all_tags, all_rows, shift = slots
    line, tag = begin(hashes, shift)
    left, again, probes = np.arange(len(new)), 0, 1
    while True:
        order = np.argsort(line, kind="stable")
        line, tag, left = line[order], tag[order], left[order]
        first = np.flatnonzero(np.diff(line, prepend=NOWHERE))
        counts = np.diff(first, append=len(line))
        rank = np.arange(len(line)) - np.repeat(first, counts)
        vacant = all_tags.reshape(-1, LINE).take(line, axis=0) < TAGS
        nth = np.cumsum(vacant, axis=1, dtype=np.uint8)
        fits = rank < nth[:, -1]
        at = (line << LINE_BITS) + (nth > rank[:, None]).argmax(axis=1)
        at = at[fits]
        again += int(np.count_nonzero(all_tags.take(at) == DROPPED))
        all_tags[at], all_rows[at] = tag[fits], new[left[fits]]
        lines[left[fits]] = line[fits]
        if fits.all():
            return again, probes
        late = ~fits
        line = (line[late] + 1) & (len(all_tags) // LINE - 1)
        tag, left = tag[late], left[late]
        probes += 1


def drop(hashes: Hashes, slots: Arrays, gone: Rows, lines: Rows) -> tuple[int]:
    """Take rows that are *gone* out of slots, and store in *lines* where each was.

    NOWHERE for one that has none. Returns how many slots are empty again: those of
    lines beyond which nobody searches.
    """
    all_tags, all_rows, shift = slots
    line, _ = begin(hashes, shift)
    left, at = np.arange(len(gone)), np.empty(len(gone), np.int64)
    lines[:] = NOWHERE
    while left.size:
        here = all_rows.reshape(-1, LINE).take(line, axis=0)
        tags = all_tags.reshape(-1, LINE).take(line, axis=0)
        hits = (here == gone[left, None]) & (tags >= TAGS)
        at[left] = (line << LINE_BITS) + hits.argmax(axis=1)
        found = hits.any(axis=1)
        lines[left[found]] = line[found]
        on = ~found & (tags[:, LINE - 1] != EMPTY)
        left, line = left[on], (line[on] + 1) & (len(all_tags) // LINE - 1)
    at, dropped_from = at[lines != NOWHERE], lines[lines != NOWHERE]
    all_tags[at] = DROPPED
    return (_close_gaps(all_tags, all_rows, np.unique(dropped_from)),)


def _close_gaps(all_tags: Tags, all_rows: Words, line: Rows) -> int:
    """Empty the dropped slots of those lines that no search goes beyond; count them."""
    tags_by_line, rows_by_line = all_tags.reshape(-1, LINE), all_rows.reshape(-1, LINE)
    line = line[tags_by_line[line, LINE - 1] == EMPTY]
    tags, rows = tags_by_line[line], rows_by_line[line]
    gone = tags < TAGS
    order = np.argsort(gone, axis=1, kind="stable")
    closed = int(np.count_nonzero(tags == DROPPED))
    tags[gone] = EMPTY
    tags_by_line[line] = np.take_along_axis(tags, order, axis=1)
    rows_by_line[line] = np.take_along_axis(rows, order, axis=1)
    return closed


def add_at(cells: Words, rows: Rows, amounts: Rows, room: Room) -> bool:
    """Add an amount to each of *rows*, as often as it is named.

    Or say False, and change nothing, where a sum might be out of *room*.
    """
    before = cells[rows]  # else each sum would wait for its cell to be read
    if rows.size:
        most = int(np.abs(amounts.astype(np.float64)).sum())
        least, greatest = int(before.min()), int(before.max())
        if most > FAR or least < room[0] + most or greatest > room[1] - most:
            return False
    np.add.at(cells, rows, amounts.astype(cells.dtype, copy=False))
    return True


def raise_at(cells: Words, rows: Rows, values: Words) -> None:
    """Store a value in each of *rows* where it is greater than what is there."""
    greater = values > cells[rows]
    if not greater.all():
        rows, values = rows[greater], values[greater]
    np.maximum.at(cells, rows, values)


def equal(left: Words, right: Words) -> NDArray[np.bool_]:
    """Return which rows of words are the same in both."""
    same: NDArray[np.bool_] = left[:, 0] == right[:, 0]
    for word in range(1, left.shape[1]):
        same &= left[:, word] == right[:, word]
    return same
