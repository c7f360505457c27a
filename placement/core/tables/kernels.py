"""Many keys found and placed, and many cells written, compiled by numba.

An accelerator, never needed: it does what ``finding`` does, one by one. Memory that
is far apart is read in a pass of its own, so that no read has to wait for another one.

Importing this module imports numba. What it compiles is kept in a file beside it.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from placement.core.tables.finding import (
    DROPPED,
    EMPTY,
    FAR,
    LINE,
    NOWHERE,
    TAG_BITS,
    TAGS,
    Arrays,
    Room,
    Rows,
)
from placement.core.tables.hashing import HALF, MIX, Hashes

Words = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return *function* compiled."""
    return cast("Function", njit(cache=True, nogil=True)(function))


@compiled
def hashed(words: Words, by: Hashes) -> Hashes:
    """Return the hashes of keys, a row of 32-bit *words* each, with a factor for each.

    They are those of ``hash_of_one``.
    """
    found = np.empty(len(words), np.uint64)
    for number in range(len(words)):
        total = np.uint64(0)
        for word in range(len(by)):
            total += np.uint64(words[number, word]) * by[word]
        found[number] = (total ^ (total >> np.uint64(HALF))) * np.uint64(MIX)
    return found


@compiled
def search(  # noqa: C901, PLR0912 - a helper costs more than what it does
    hashes: Hashes, slots: Arrays, keys: Words, wanted: Words, found: Rows
) -> np.int64:
    """Store in *found*, where NOWHERE is, the rows whose *keys* are those *wanted*.

    Returns a number without meaning, of what was read only to have it near: each pass
    names the memory that the next one reads, so that no read waits for another.
    """
    tags, rows, shift = slots
    mask = len(tags) // LINE - 1
    width = wanted.shape[1]
    near = np.int64(0)
    for number in range(len(hashes)):
        lying = np.int64(hashes[number] >> np.uint64(shift)) * LINE
        near += np.int64(tags[lying]) + np.int64(rows[lying])
    for number in range(len(hashes)):
        begin = np.int64(hashes[number] >> np.uint64(shift)) * LINE
        byte = (hashes[number] >> np.uint64(TAG_BITS)) & np.uint64(0xFF)
        mark = np.uint8(max(byte, TAGS))
        first = np.uint8(LINE)  # without a branch, whose way nobody could guess
        for at in range(LINE):
            here = np.uint8(at) if tags[begin + at] == mark else np.uint8(LINE)
            first = min(first, here)
        row = rows[begin + np.int64(min(first, np.uint8(LINE - 1)))]
        found[number] = row if first < LINE else NOWHERE
    for number in range(len(hashes) if len(keys) else 0):
        near += np.int64(keys[max(found[number], 0), 0] & np.uint64(1))
    for number in range(len(hashes)):
        row = found[number]
        same = row != NOWHERE
        for word in range(width):
            if same and keys[row, word] != wanted[number, word]:
                same = False
        if same:
            continue
        found[number] = NOWHERE
        line = np.int64(hashes[number] >> np.uint64(shift))
        if row == NOWHERE and tags[line * LINE + LINE - 1] == 0:
            continue
        tag = max((hashes[number] >> np.uint64(TAG_BITS)) & np.uint64(0xFF), TAGS)
        while found[number] == NOWHERE:
            begin = line * LINE
            for at in range(begin, begin + LINE):
                if tags[at] == tag:
                    row, same = rows[at], True
                    for word in range(width):
                        if keys[row, word] != wanted[number, word]:
                            same = False
                    if same:
                        found[number] = row
                        break
            if tags[begin + LINE - 1] == 0:
                break
            line = (line + 1) & mask
    return near


@compiled
def place(
    hashes: Hashes, slots: Arrays, new: Rows, lines: Rows
) -> tuple[int, int, np.int64]:
    """Give each of the *new* rows a slot, and store in *lines* in which line that is.

    Returns how many slots had been used before, of how many lines the longest probe
    was, and a number without meaning, as ``search`` does.
    """
    tags, rows, shift = slots
    mask = len(tags) // LINE - 1
    again, probes_max, near = 0, 1, np.int64(0)
    for number in range(len(hashes)):
        lying = np.int64(hashes[number] >> np.uint64(shift)) * LINE
        near += np.int64(tags[lying]) + np.int64(rows[lying])
    for number in range(len(hashes)):
        line = np.int64(hashes[number] >> np.uint64(shift))
        tag = max((hashes[number] >> np.uint64(TAG_BITS)) & np.uint64(0xFF), TAGS)
        probes, placed = 1, False
        while not placed:
            begin = line * LINE
            for at in range(begin, begin + LINE):
                if tags[at] < TAGS:
                    again += tags[at]
                    tags[at], rows[at] = tag, new[number]
                    lines[number], placed = line, True
                    break
            if not placed:
                line = (line + 1) & mask
                probes += 1
        probes_max = max(probes_max, probes)
    return again, probes_max, near


@compiled
def drop(
    hashes: Hashes, slots: Arrays, gone: Rows, lines: Rows
) -> tuple[int, np.int64]:
    """Take rows that are *gone* out of slots, and store in *lines* where each was.

    NOWHERE for one that has none. Returns how many slots are empty again, those of
    lines beyond which nobody searches; and a number without meaning, as in ``search``.
    """
    tags, rows, shift = slots
    mask, emptied = len(tags) // LINE - 1, 0
    near = np.int64(0)
    for number in range(len(hashes)):
        lying = np.int64(hashes[number] >> np.uint64(shift)) * LINE
        near += np.int64(tags[lying]) + np.int64(rows[lying])
    for number in range(len(hashes)):
        line = np.int64(hashes[number] >> np.uint64(shift))
        lines[number] = NOWHERE
        while lines[number] == NOWHERE:
            begin = line * LINE
            last = begin + LINE - 1
            for at in range(begin, begin + LINE):
                if rows[at] == gone[number] and tags[at] >= TAGS:
                    lines[number] = line
                    if tags[last] != EMPTY:
                        tags[at] = DROPPED
                        break
                    for to in range(at, last):
                        tags[to], rows[to] = tags[to + 1], rows[to + 1]
                    emptied += 1
                    break
            if tags[last] == EMPTY:
                break
            line = (line + 1) & mask
    return emptied, near


@compiled
def add_at(cells: Words, rows: Rows, amounts: Rows, room: Room) -> bool:
    """Add an amount to each of *rows*, as often as it is named.

    Or say False, and change nothing, where a sum might be out of *room*.
    """
    least, greatest, most = np.int64(0), np.int64(0), np.int64(0)
    for number in range(len(rows)):
        cell = np.int64(cells[rows[number]])
        least, greatest = min(least, cell), max(greatest, cell)
        if not -FAR <= amounts[number] <= FAR or most > FAR:
            return False
        most += abs(amounts[number])
    if least < room[0] + most or greatest > room[1] - most:
        return False
    for number in range(len(rows)):
        cells[rows[number]] += amounts[number]
    return True


@compiled
def raise_at(cells: Words, rows: Rows, values: Rows) -> np.int64:
    """Store a value in each of *rows* where it is greater than what is there.

    Returns a number without meaning, as ``search`` does.
    """
    near = np.int64(0)
    for number in range(len(rows)):
        near += np.int64(cells[rows[number]])
    for number in range(len(rows)):
        row = rows[number]
        cells[row] = max(cells[row], values[number])
    return near


def warm_up() -> None:
    """Compile everything, or read what was compiled."""
    hashes, found = np.zeros(1, np.uint64), np.full(1, NOWHERE)
    slots = (np.zeros(2 * LINE, np.uint8), np.zeros(2 * LINE, np.int32), 63)
    for dtype, writable in product((np.uint32, np.uint64), (True, False)):
        keys = np.zeros((1, 1), dtype)
        wanted = keys.copy()  # which may lie in bytes that somebody sent
        wanted.setflags(write=writable)
        hashed(wanted.view(np.uint32), hashes)
        search(hashes, slots, keys, wanted, found)
    place(hashes, slots, np.zeros(1, np.int64), found)
    drop(hashes, slots, np.zeros(1, np.int64), found)
    rows = np.zeros(1, np.int64)
    for cells in (np.zeros(1, np.int32), np.zeros(1, np.int64)):
        add_at(cells, rows, rows, (0, 0))
        raise_at(cells, rows, rows)
