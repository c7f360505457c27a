"""ContentPulled events out of the log's bytes, as a compiled kernel finds them.

For whoever has the extra ``fast``: importing this module imports numba, and compiles
what is not in its cache yet, which takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.core.block import Bytes, Codes, Numbers
from placement.ports import Message
from placement.wire import pull_kernel as kernel
from placement.wire.events import BATCH_EVENTS_MAX, read_events
from placement.wire.opened import (
    Opened,
    Reading,
    Skipped,
    decoded_whole,
    subject_parts,
)
from placement.wire.pull_columns import Flags, Found

_SEED = hash("the names of a block") & (1 << 62) - 1
"""Differs from process to process: nobody can choose names that collide."""


def find_messages(messages: Sequence[Message], skipped: Skipped) -> Reading:
    """Return *messages* opened, and their pulls."""
    buffer = b"".join([message.body for message in messages])
    events, counts = _events(messages, buffer, skipped)
    columns = _columns(buffer, events)
    opened, shifts = [], []
    filled = row = 0
    for message, count in zip(messages, counts, strict=True):
        rows = slice(row, row + max(count, 0))
        each = _opened(message, count, skipped, plain=bool(columns.plain[rows].all()))
        if each.items is not None:
            columns.plain[rows] = False
        opened.append(each)
        shifts.append(filled - row)
        filled += each.count
        row = rows.stop
    index = np.arange(row) + np.repeat(shifts, np.maximum(counts, 0))
    kept = np.flatnonzero(columns.plain)
    found = _found(columns, kept, index[kept])
    event_ids = [""] * filled
    text = buffer.decode("latin-1")  # ids are ASCII, and lie where they lie in bytes
    ids = columns.parts[kept, kernel.ID].tolist()
    for place, (begin, end) in zip(found.index.tolist(), ids, strict=True):
        event_ids[place] = text[begin:end]
    return Reading(opened, found, event_ids)


def _events(
    messages: Sequence[Message], buffer: bytes, skipped: Skipped
) -> tuple[Numbers, list[int]]:
    """Return where events lie, and how many each message has; ODD: it is no plain one.

    Where the events of such a message lie is left out.
    """
    data = np.frombuffer(buffer, np.uint8)
    ends = np.cumsum([len(message.body) for message in messages])
    parts = np.column_stack((np.concatenate(([0], ends[:-1])), ends))
    kinds = np.array([_kind(message, skipped) for message in messages], np.int8)
    room = len(messages) + len(buffer) // kernel.FRAME_BYTES_MIN
    events = np.empty((min(BATCH_EVENTS_MAX * len(messages), room), 2), np.int64)
    counts = kernel.split(data, parts, kinds, events)
    return events[: np.maximum(counts, 0).sum()], counts.tolist()


def _kind(message: Message, skipped: Skipped) -> int:
    region, batch = subject_parts(message.subject)
    if not region or skipped(message.sequence):
        return kernel.ODD
    return kernel.BATCHED if batch else kernel.SINGLE


@dataclass(slots=True)
class _Columns:
    """What events say, a row for each; see the kernel."""

    parts: Numbers
    numbers: Numbers
    digests: Bytes
    names: Codes
    texts: list[str]
    plain: Flags


def _columns(buffer: bytes, events: Numbers) -> _Columns:
    data, count = np.frombuffer(buffer, np.uint8), len(events)
    parts = np.zeros((count, kernel.PARTS, 2), np.int64)
    numbers = np.zeros((count, len(kernel.NUMBERS)), np.int64)
    digests = np.empty((count, 32), np.uint8)
    names = np.zeros((count, len(kernel.NAMES)), np.int32)
    lying = np.empty((names.size, 2), np.int64)
    slots = np.full(1 << (2 * names.size).bit_length(), kernel.ODD, np.int32)
    plain = np.empty(count, np.bool_)
    kernel.walk(data, events, parts, numbers, plain)
    kernel.decode(data, parts, digests, plain)
    known = kernel.intern(data, parts, names, lying, slots, _SEED, plain)
    texts: list[str] = []
    for begin, end in lying[:known].tolist():
        try:
            texts.append(buffer[begin:end].decode())
        except UnicodeDecodeError:  # and protobuf will say so, of the whole message
            plain &= (names != len(texts)).all(axis=1)
            texts.append("")
    return _Columns(parts, numbers, digests, names, texts, plain)


def _opened(message: Message, count: int, skipped: Skipped, *, plain: bool) -> Opened:
    """Return *message*, its events read if not all are *plain* pulls."""
    region, _ = subject_parts(message.subject)
    if count == kernel.ODD:
        return decoded_whole(message, skipped(message.sequence))
    if plain:
        return Opened(message, region, count)
    _, events, reason = read_events(message)
    return decoded_whole(message) if reason else Opened(message, region, count, events)


def _found(columns: _Columns, kept: Numbers, index: Numbers) -> Found:
    named = dict(zip(kernel.NAMES, columns.names[kept].T, strict=True))
    numbers = dict(zip(kernel.NUMBERS, columns.numbers[kept].T, strict=True))
    return Found(
        index=index,
        digests=columns.digests[kept],
        dated=numbers.pop("dated") == 1,
        texts=columns.texts,
        **named,
        **numbers,
    )
