"""ContentPulled events out of the log's bytes, as a compiled kernel finds them.

For whoever has the extra ``fast``: importing this module imports numba, and compiles
what is not in its cache yet, which takes seconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from placement.core.block import Bytes, Codes, Numbers
from placement.ports import Message
from placement.wire import pull_kernel as kernel
from placement.wire.events import BATCH, BATCH_EVENTS_MAX, read_events, subject_of
from placement.wire.machine_columns import OF_MACHINES, MachineRows
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


@dataclass(slots=True)
class _Columns:
    """What events say, a row for each; see the kernel."""

    parts: Numbers
    numbers: Numbers
    digests: Bytes
    names: Codes
    texts: list[str]
    plain: Flags


def find_messages(messages: Sequence[Message], skipped: Skipped) -> Reading:
    """Return *messages* opened, and their pulls."""
    buffer = b"".join([message.body for message in messages])
    subjects = [subject_parts(message.subject) for message in messages]
    left_out = [skipped(message.sequence) for message in messages]
    kinds = [
        kernel.ODD if places or not region else int(batch)
        for (region, batch), places in zip(subjects, left_out, strict=True)
    ]
    events, counts = _events(messages, buffer, kinds)
    columns = _columns(buffer, events)
    known = np.maximum(counts, 0)
    firsts = np.cumsum(known) - known
    opened = [
        Opened(message, region, count)
        for message, (region, _), count in zip(
            messages, subjects, counts.tolist(), strict=True
        )
    ]
    odd = (counts == kernel.ODD) | _odd(columns, firsts, known)
    for row in np.flatnonzero(odd).tolist():
        opened[row] = _reopened(opened[row], left_out[row])
        if opened[row].items is not None:
            columns.plain[firsts[row] : firsts[row] + known[row]] = False
    places = np.array([each.count for each in opened], np.int64)
    moved = np.repeat(np.cumsum(places) - places - firsts, known)
    kept = np.flatnonzero(columns.plain)
    found = _found(columns, kept, (moved + np.arange(len(events)))[kept])
    ids = _texts(buffer, columns.parts[kept, kernel.ID])
    event_ids = _spread(ids, found.index, int(places.sum()))
    machines = _machines(opened, event_ids, columns.plain, firsts, np.flatnonzero(odd))
    return Reading(opened, found, event_ids, machines)


def warm_up() -> None:
    """Compile what is to be compiled, or load it."""
    find_messages([Message(1, 1, subject_of("a", BATCH), b"\n\x00")], lambda _: ())


def _odd(columns: _Columns, firsts: Numbers, counts: Numbers) -> Flags:
    """Return by message whether any of its events is not plain."""
    odd = np.zeros(len(columns.plain) + 1, np.int64)
    np.cumsum(~columns.plain, out=odd[1:])
    told: Flags = odd[firsts + counts] > odd[firsts]
    return told


def _machines(
    opened: list[Opened],
    event_ids: list[str],
    plain: Flags,
    firsts: Numbers,
    odd: Numbers,
) -> MachineRows:
    """Return the starts and stops of messages that are *odd*, and note their ids."""
    machines = MachineRows()
    before = list(accumulate((each.count for each in opened), initial=0))
    for row in odd.tolist():
        each, first = opened[row], firsts[row]
        if each.items is not None:
            continue
        for number in np.flatnonzero(~plain[first : first + each.count]).tolist():
            event, place = each.events[number], before[row] + number
            name = event.WhichOneof("fact")
            if name in OF_MACHINES:
                told = (each.message, each.region, place, number)
                if machines.add(event, name, *told):
                    event_ids[place] = event.event_id
    return machines


def _spread(texts: list[str], places: Numbers, count: int) -> list[str]:
    """Return so many texts: *texts* at their *places*, and else empty ones."""
    if len(texts) == count:
        return texts
    spread = [""] * count
    for place, text in zip(places.tolist(), texts, strict=True):
        spread[place] = text
    return spread


def _events(
    messages: Sequence[Message], buffer: bytes, kinds: list[int]
) -> tuple[Numbers, Numbers]:
    """Return where events lie, and how many each message has; ODD: it is no plain one.

    Where the events of such a message lie is left out.
    """
    data = np.frombuffer(buffer, np.uint8)
    lengths = np.array([len(message.body) for message in messages], np.int64)
    ends = np.cumsum(lengths)
    parts = np.column_stack((ends - lengths, ends))
    room = len(messages) + len(buffer) // kernel.FRAME_BYTES_MIN
    events = np.empty((min(BATCH_EVENTS_MAX * len(messages), room), 2), np.int64)
    counts = kernel.split(data, parts, np.array(kinds, np.int8), events)
    return events[: np.maximum(counts, 0).sum()], counts


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
    texts = _texts(buffer, lying[:known])
    for place, text in enumerate(texts):
        if not text.isascii():
            try:
                texts[place] = text.encode("latin-1").decode()
            except UnicodeDecodeError:  # protobuf will say so, of the whole message
                plain &= (names != place).all(axis=1)
    return _Columns(parts, numbers, digests, names, texts, plain)


def _texts(buffer: bytes, parts: Numbers) -> list[str]:
    """Return what lies at *parts*, a character for each byte."""
    text = buffer.decode("latin-1")
    begins, ends = parts[:, 0].tolist(), parts[:, 1].tolist()
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _reopened(opened: Opened, left_out: Collection[int]) -> Opened:
    """Return a message of which not all is plain."""
    message = opened.message
    if opened.count == kernel.ODD:
        return decoded_whole(message, left_out)
    _, events, reason = read_events(message)
    if reason:
        return decoded_whole(message)
    return replace(opened, events=events)


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
