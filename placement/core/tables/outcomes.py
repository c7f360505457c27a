"""How outcomes are kept: a bounded ring of bits a key, and the lags of the newest hits.

The fold appends; questions weigh what they read. Nothing is decayed here, so a policy
may weigh the same outcomes in another way without a replay.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

from placement.core.tables.table import Row, Table

WORD_BITS: Final = 32
APP_OUTCOMES: Final = 64
"""Outcomes kept for a key of one app."""
POOLED_OUTCOMES: Final = 1024
"""Outcomes kept for a key of an organization, or of all of them."""
LAGS_KEPT: Final = 15
LAG_CODE_MAX: Final = 15
_LAG_BITS: Final = 4

OUTCOME_KEY: Final = Struct("<IIIIB")
"""Scope, start region plus one (0 is any), trigger, tag shape, class."""


class Trigger(IntEnum):
    """What made somebody ask; a first start in a region is BY_REGION plus its row."""

    PUSH = 0
    ANY_START = 1
    BY_REGION = 2


class Kept(IntEnum):
    """Columns of ``app_outcomes`` and ``pooled_outcomes`` before the words of bits."""

    TOTAL, LAGS, WORDS = range(3)


# Each outcome is appended to four keys: plain numbers are several times as fast here.
_TOTAL, _LAGS, _WORDS = map(int, Kept)
_LAGS_MASK: Final = (1 << (_LAG_BITS * LAGS_KEPT)) - 1


def outcome_columns(capacity: int) -> tuple[str, ...]:
    """Return the columns of a table that keeps *capacity* outcomes a key."""
    words = (f"outcomes_{number}" for number in range(capacity // WORD_BITS))
    return ("total", "lags", *words)


def append_outcome(table: Table, key: bytes, *, hit: bool, lag_code: int) -> None:
    """Keep one more outcome of *key*; *lag_code* (1 to LAG_CODE_MAX) is of a hit."""
    row = table.find_or_add(key)
    capacity = (len(table.columns) - _WORDS) * WORD_BITS
    total = table.get(row, _TOTAL)
    word, bit = divmod(total % capacity, WORD_BITS)
    before = table.get(row, _WORDS + word)
    if bool(before >> bit & 1) is not hit:
        table.set(row, _WORDS + word, before ^ 1 << bit)
    table.set(row, _TOTAL, total + 1)
    if hit:
        lags = (table.get(row, _LAGS) << _LAG_BITS | lag_code) & _LAGS_MASK
        table.set(row, _LAGS, lags)


def newest_first(table: Table, row: Row) -> tuple[int, int]:
    """Return (bits, count): bit i of *bits* is the outcome i before the newest."""
    words = table.values(row)[Kept.WORDS :]
    capacity = len(words) * WORD_BITS
    total = table.get(row, Kept.TOTAL)
    ring = 0
    for number, word in enumerate(words):
        ring |= word << (number * WORD_BITS)
    count, head = min(total, capacity), total % capacity
    oldest_first = (
        ring
        if total <= capacity
        else (ring >> head | (ring & ((1 << head) - 1)) << (capacity - head))
    )
    return _reversed(oldest_first, count), count


def _reversed(bits: int, count: int) -> int:
    return int(f"{bits:0{count}b}"[::-1], 2) if count else 0


def lag_codes(table: Table, row: Row) -> tuple[int, ...]:
    """Return the lag codes of the newest hits, newest first."""
    lags, found = table.get(row, Kept.LAGS), []
    while lags:
        found.append(lags & LAG_CODE_MAX)
        lags >>= _LAG_BITS
    return tuple(found)


def lag_code(lag_seconds: int) -> int:
    """Return the code of a lag of at least one second: its power of two, at most 15.

    Code c stands for at least 2^(c-1) and less than 2^c seconds; 15 for all longer.
    """
    return min(LAG_CODE_MAX, lag_seconds.bit_length())
