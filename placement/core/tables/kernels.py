"""Finding and placing many keys in slots, compiled by numba.

An accelerator, never needed: it does what ``finding`` does, slot by slot. Memory that
is far apart is read in a pass of its own, so that no read has to wait for another one.

Importing this module imports numba. What it compiles is kept in a file beside it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from placement.core.tables.finding import LINE, NOWHERE, TAG_BITS, TAGS, Arrays, Rows
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
def place(hashes: Hashes, slots: Arrays, new: Rows, lines: Rows) -> tuple[int, int]:
    """Give each of the *new* rows a slot, and store in *lines* in which line that is.

    Returns how many slots had been used before, and of how many lines the longest
    probe was.
    """
    tags, rows, shift = slots
    mask = len(tags) // LINE - 1
    again, probes_max = 0, 1
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
    return again, probes_max


def warm_up() -> None:
    """Compile everything, or read what was compiled."""
    hashes, found = np.zeros(1, np.uint64), np.full(1, NOWHERE)
    slots = (np.zeros(2 * LINE, np.uint8), np.zeros(2 * LINE, np.int32), 63)
    hashed(np.zeros((1, 1), np.uint32), hashes)
    for dtype in (np.uint32, np.uint64):
        words = np.zeros((1, 1), dtype)
        search(hashes, slots, words, words, found)
    place(hashes, slots, np.zeros(1, np.int64), found)
