"""ContentPulled events out of protobuf's own objects, column by column."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from placement.ports import Message
from placement.wire.events import read_events
from placement.wire.fields import IDENTIFIER_LENGTH_MAX
from placement.wire.machine_columns import OF_MACHINES, MachineRows, Texts
from placement.wire.opened import Opened, Reading, Skipped, decoded_whole
from placement.wire.pull_columns import DIGEST_CHARACTERS, Found, digests_of

Row = tuple[Any, ...]
"""Place in the block, id and digest; then what ``Found`` holds, in its order."""
ROW_LENGTH: Final = 17
_FACT: Final = "content_pulled"


def read_messages(messages: Sequence[Message], skipped: Skipped) -> Reading:
    """Return *messages* opened, and their pulls."""
    opened = [_opened(message, skipped) for message in messages]
    event_ids: list[str] = []
    rows: list[Row] = []
    machines = MachineRows()
    for each in opened:
        if each.items is None:
            rows += _rows(each, event_ids, machines)
        else:
            event_ids += [""] * each.count
    return Reading(opened, found_in(rows), event_ids, machines)


def _opened(message: Message, skipped: Skipped) -> Opened:
    left_out = skipped(message.sequence)
    if left_out:
        return decoded_whole(message, left_out)
    region, events, reason = read_events(message)
    if reason:
        return decoded_whole(message)
    return Opened(message, region, len(events), events)


def _rows(opened: Opened, event_ids: list[str], machines: MachineRows) -> Iterator[Row]:
    """Yield a row for each pull that says no more than columns can; add every id.

    Starts and stops of machines are added to *machines*.

    One event is read after the other: protobuf makes an object of each message in it,
    and to keep them all for a while costs more than a loop.
    """
    for number, event in enumerate(opened.events):
        event_id = event.event_id
        event_ids.append(event_id)
        name = event.WhichOneof("fact")
        if name in OF_MACHINES:
            place = (len(event_ids) - 1, number)
            machines.add(event, name, opened.message, opened.region, *place)
        if name != _FACT or event.organization or event.app:
            continue
        fact = event.content_pulled
        if fact.tag:
            continue
        time, duration = event.occur_time, fact.pull_duration
        seconds, nanos = time.seconds, time.nanos
        yield (
            len(event_ids) - 1,
            event_id,
            fact.digest,
            bool(seconds or nanos) or event.HasField("occur_time"),
            *(seconds, nanos, duration.seconds, duration.nanos),
            *(fact.transferred_bytes, fact.size_bytes, fact.client_kind),
            *(event.region, event.publisher, fact.repository),
            *(fact.client_region, fact.source_region, fact.media_type),
        )


def found_in(rows: list[Row]) -> Found:
    """Return what *rows* of pulls hold, of those whose ids and digests will do."""
    columns = list(zip(*rows, strict=True)) or [()] * ROW_LENGTH
    if not _plain(columns[1], columns[2]):
        kept = [row for row in rows if _plain((row[1],), (row[2],))]
        columns = list(zip(*kept, strict=True)) or [()] * ROW_LENGTH
    texts = Texts()
    numbers = [np.array(column, np.int64) for column in columns[4:11]]
    names = [texts.places(column) for column in columns[11:]]
    digests = digests_of("".join(columns[2]).encode())
    assert digests is not None, "they are plain"
    index, dated = np.array(columns[0], np.int64), np.array(columns[3], np.bool_)
    found: Any = (index, digests, dated, *numbers, *names, list(texts))
    return Found(*found)


def _plain(event_ids: Sequence[str], digests: Sequence[str]) -> bool:
    """Say whether all *event_ids* are identifiers, and all *digests* sha256 ones.

    To ask of all at once is quicker than of each.
    """
    told = "".join(event_ids)
    if not told.isascii() or not told.isprintable() or " " in told:
        return False
    if not set(map(len, event_ids)) <= _ID_LENGTHS:
        return False
    told = "".join(digests)
    if not told.isascii() or not set(map(len, digests)) <= {DIGEST_CHARACTERS}:
        return False
    return digests_of(told.encode()) is not None


_ID_LENGTHS: Final = frozenset(range(1, IDENTIFIER_LENGTH_MAX + 1))
