"""Consecutive messages of the log to a block: columns, and objects for the rest.

What a block says is what ``decode_message`` says of each message, event by event.
"""

from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import accumulate
from typing import Final

import numpy as np

from placement.core.block import Block, Frame
from placement.core.event import Recorded, SetAside
from placement.ports import Message
from placement.wire.events import message_hash
from placement.wire.machine_columns import MachineRows
from placement.wire.opened import Opened, Reading, Skipped, decoded_whole
from placement.wire.pull_columns import Stored, pulls_of
from placement.wire.pull_reading import found_in, read_messages

COLUMN_BYTES_MIN: Final = 8_192
"""Messages of less, all together, are quicker made into objects."""
_FEW_REGIONS: Final = 8
"""So many texts are sooner looked for than all of a block's are put into a dict."""
Read = Callable[[Sequence[Message], Skipped], Reading]


def decode_block(
    messages: Sequence[Message],
    skipped: Skipped | None = None,
    read: Read = read_messages,
) -> Block:
    """Return what *messages*, at least one, hold; never fails.

    Events whose places are *skipped* are left out, unread.
    """
    steps = decode_steps(messages, skipped, read)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            block: Block = end.value
            return block


def decode_steps(
    messages: Sequence[Message],
    skipped: Skipped | None = None,
    read: Read = read_messages,
) -> Generator[None, None, Block]:
    """Return what ``decode_block`` does, and yield after each event made an object."""
    if sum([len(message.body) for message in messages]) < COLUMN_BYTES_MIN:
        read = _read_whole
    reading = read(messages, skipped or _nothing)
    opened = reading.messages
    firsts = list(accumulate((each.count for each in opened), initial=0))
    pulls = pulls_of(reading.found, _stored(opened, reading.found.texts))
    starts, stops = reading.machines.starts(), reading.machines.stops()
    items: list[Recorded | SetAside | None] = [None] * firsts.pop()
    event_ids = reading.event_ids
    alone = np.ones(len(items), np.bool_)
    for part in (pulls, starts, stops):
        alone[part.index] = False
    for place in np.flatnonzero(alone).tolist():
        item = _item(opened, firsts, place)
        items[place] = item
        event_ids[place] = item.event.event_id if isinstance(item, Recorded) else ""
        yield
    frames = tuple(map(_frame, opened, firsts))
    recorded = partial(_recorded, opened, firsts)
    return Block(frames, event_ids, items, pulls, starts, stops, recorded)


def fastest() -> Read:
    """Return the quickest way to read messages that there is here.

    That is the compiled one if the extra ``fast`` is installed. The first call then
    takes about a second, and several where numba has not kept what it compiled.
    """
    try:
        from placement.wire.pull_finding import find_messages, warm_up  # noqa: PLC0415 - it may be missing, and takes so long
    except ImportError:
        return read_messages
    warm_up()
    return find_messages


def _read_whole(messages: Sequence[Message], skipped: Skipped) -> Reading:
    opened = [decoded_whole(each, skipped(each.sequence)) for each in messages]
    count = sum(each.count for each in opened)
    return Reading(opened, found_in([]), [""] * count, MachineRows())


def _nothing(_sequence: int) -> tuple[()]:
    return ()


def _stored(opened: list[Opened], texts: list[str]) -> Stored:
    """Return what the messages say of each event; new regions are added to *texts*."""
    places = _places(texts, {each.region for each in opened})
    for each in opened:
        if each.region not in places:
            places[each.region] = len(texts)
            texts.append(each.region)
    counts = [each.count for each in opened]
    times = np.array([each.message.store_time_ns for each in opened], np.int64)
    regions = np.array([places[each.region] for each in opened], np.int32)
    firsts = np.cumsum(counts) - counts
    batch_index = np.arange(sum(counts)) - np.repeat(firsts, counts)
    return Stored(np.repeat(times, counts), batch_index, np.repeat(regions, counts))


def _places(texts: list[str], wanted: set[str]) -> dict[str, int]:
    """Return where in *texts* each of those *wanted* is that is there."""
    if len(wanted) > _FEW_REGIONS:
        return dict(zip(texts, range(len(texts)), strict=True))
    return {text: texts.index(text) for text in wanted if text in texts}


def _frame(opened: Opened, first: int) -> Frame:
    message = opened.message
    hashed = partial(message_hash, message)
    return Frame(message.sequence, message.store_time_ns, hashed, first, opened.count)


def _item(opened: list[Opened], firsts: list[int], place: int) -> Recorded | SetAside:
    number = bisect_right(firsts, place) - 1
    return opened[number].item(place - firsts[number])


def _recorded(opened: list[Opened], firsts: list[int], place: int) -> Recorded:
    item = _item(opened, firsts, place)
    assert isinstance(item, Recorded), (
        "it stands in columns, where nothing is set aside"
    )
    return item
