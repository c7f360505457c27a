"""Where the fields of ContentPulled events lie in the log's bytes, compiled by numba.

An accelerator, never needed: it finds bytes and judges none of them. It knows only the
plainest way to write such an event, each field at most once; whatever else it meets it
leaves to protobuf. So it is a part of that, and no second opinion.

Each function is one loop without helpers: numba counts references to an array at every
call that takes one, which cost more than the work. The annotations are for people, too.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from numba import njit
from numpy.typing import NDArray

from placement.core.block import Bytes, Codes, Numbers
from placement.v1 import events_pb2 as pb
from placement.wire.events import BATCH_EVENTS_MAX
from placement.wire.fields import IDENTIFIER_LENGTH_MAX
from placement.wire.pull_columns import DIGEST_CHARACTERS, NIBBLES, PREFIX

Flags = NDArray[np.bool_]

NAMES: Final = ("region", "publisher", "repository", "client", "source", "media")
NUMBERS: Final = (
    *("seconds", "nanos", "duration_seconds", "duration_nanos"),
    *("transferred_bytes", "size_bytes", "client_kind"),
    "dated",  # 1 where an event tells a time
)
ID, DIGEST = len(NAMES), len(NAMES) + 1
PARTS: Final = DIGEST + 1
"""Each name, and then these two, lies somewhere in an event."""

ODD: Final = -1
SINGLE, BATCHED = 0, 1
"""A message holds an event, or a batch of them."""
FRAME_BYTES_MIN: Final = 2
"""What an event takes in a batch, however empty it is."""
LENGTH_BITS_MAX: Final = 21
"""A length that takes more is beyond any message of the log."""
NUMBER_BITS_MAX: Final = 63
"""A number that takes more is negative."""
PROBES_MAX: Final = 32
"""A name that is not found by then makes its event odd: somebody chose it so."""

_EVENT, _PULLED, _TIME, _DURATION, _MESSAGES = range(5)
"""The messages that make up an event."""
_EMPTY: Final = PARTS
"""A part that columns have no room for: it must be empty."""
_INNER: Final = PARTS + 1
"""From here on, a part is one of the messages."""
_NUMBER: Final = _INNER + _MESSAGES
"""From here on, a field is one of NUMBERS."""
_FNV: Final = np.uint64(0x100000001B3)
_SHIFT: Final = np.uint64(29)

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return *function* compiled; what is compiled is kept in a file beside it."""
    return cast("Function", njit(cache=True, nogil=True)(function))


def _fields() -> NDArray[np.int8]:
    """Return by message and by the first byte of a field what that is, or ODD."""
    roles = np.full((_MESSAGES, 256), ODD, np.int8)
    parts = {
        (_EVENT, "event_id"): ID,
        (_EVENT, "occur_time"): _INNER + _TIME,
        (_EVENT, "region"): NAMES.index("region"),
        (_EVENT, "publisher"): NAMES.index("publisher"),
        (_EVENT, "organization"): _EMPTY,
        (_EVENT, "app"): _EMPTY,
        (_EVENT, "content_pulled"): _INNER + _PULLED,
        (_PULLED, "digest"): DIGEST,
        (_PULLED, "repository"): NAMES.index("repository"),
        (_PULLED, "tag"): _EMPTY,
        (_PULLED, "client_region"): NAMES.index("client"),
        (_PULLED, "source_region"): NAMES.index("source"),
        (_PULLED, "media_type"): NAMES.index("media"),
        (_PULLED, "pull_duration"): _INNER + _DURATION,
    }
    numbers = {
        (_TIME, "seconds"): "seconds",
        (_TIME, "nanos"): "nanos",
        (_DURATION, "seconds"): "duration_seconds",
        (_DURATION, "nanos"): "duration_nanos",
        (_PULLED, "transferred_bytes"): "transferred_bytes",
        (_PULLED, "size_bytes"): "size_bytes",
        (_PULLED, "client_kind"): "client_kind",
    }
    messages = (
        *(pb.Event.DESCRIPTOR, pb.ContentPulled.DESCRIPTOR),
        *(Timestamp.DESCRIPTOR, Duration.DESCRIPTOR),
    )
    for (message, name), role in parts.items():
        number = messages[message].fields_by_name[name].number
        roles[message, number << 3 | 2] = role
    for (message, name), column in numbers.items():
        number = messages[message].fields_by_name[name].number
        roles[message, number << 3] = _NUMBER + NUMBERS.index(column)
    return roles


_FIELDS: Final = _fields()
_DATED: Final = NUMBERS.index("dated")
_DEPTH: Final = 3
"""An event, its pull, and how long that took."""
_NEEDED: Final = (
    1 << pb.Event.EVENT_ID_FIELD_NUMBER | 1 << pb.Event.CONTENT_PULLED_FIELD_NUMBER
)


@compiled
def split(
    data: Bytes, parts: Numbers, kinds: NDArray[np.int8], events: Numbers
) -> Numbers:
    """Note where the events of messages lie; return how many each has, or ODD.

    *parts* says where the messages lie. Of what is ODD nothing is noted.
    """
    counts = np.empty(len(parts), np.int64)
    filled = 0
    for row in range(len(parts)):
        at, end = parts[row]
        count = 0
        if kinds[row] == SINGLE:
            events[filled, 0], events[filled, 1] = at, end
            at, count = end, 1
        while at < end and kinds[row] == BATCHED:
            length, shift = np.int64(0), 0
            right = data[at] == 0x0A and count < BATCH_EVENTS_MAX  # noqa: PLR2004 - field 1, a part
            at += 1
            while right:
                right = at < end and shift < LENGTH_BITS_MAX
                if right:
                    length |= np.int64(data[at] & 0x7F) << shift
                    shift += 7
                    at += 1
                    if data[at - 1] < 0x80:  # noqa: PLR2004 - nothing follows
                        break
            if not right or at + length > end:
                count = 0
                break
            events[filled + count, 0], events[filled + count, 1] = at, at + length
            at += length
            count += 1
        counts[row] = count or ODD
        filled += count
    return counts


@compiled
def walk(  # noqa: PLR0915 - one loop without helpers, as said above
    data: Bytes, events: Numbers, parts: Numbers, numbers: Numbers, plain: Flags
) -> None:
    """Note where the parts of each event lie, its numbers, and whether it is plain.

    *parts* and *numbers* are all 0. What is not plain is no pull, or odd.
    """
    seen = np.zeros(_MESSAGES, np.int64)
    ends = np.zeros(_DEPTH, np.int64)
    inside = np.full(_DEPTH, _EVENT, np.int64)
    for row in range(len(events)):
        at, ends[0] = events[row]
        depth = 0
        seen[:] = 0
        right = True
        while right and (depth or at < ends[0]):
            if at == ends[depth]:
                depth -= 1
                continue
            field, bit = _FIELDS[inside[depth], data[at]], 1 << (data[at] >> 3)
            right = field != ODD and not seen[inside[depth]] & bit
            seen[inside[depth]] |= bit
            bits_max = NUMBER_BITS_MAX if field >= _NUMBER else LENGTH_BITS_MAX
            value, shift = np.int64(0), 0
            more = right
            while more:
                at += 1
                right = at < ends[depth] and shift < bits_max
                more = right and data[at] >= 0x80  # noqa: PLR2004 - more follows
                if right:
                    value |= np.int64(data[at] & 0x7F) << shift
                    shift += 7
            at += 1
            if not right:
                break
            if field >= _NUMBER:
                numbers[row, field - _NUMBER] = value
                continue
            right = at + value <= ends[depth]
            if field >= _INNER:
                depth += 1
                inside[depth], ends[depth] = field - _INNER, at + value
                numbers[row, _DATED] |= field == _INNER + _TIME
            elif field == _EMPTY:
                right &= not value
            else:
                parts[row, field, 0], parts[row, field, 1] = at, at + value
                at += value
        plain[row] = right and not _NEEDED & ~seen[_EVENT]


@compiled
def decode(data: Bytes, parts: Numbers, digests: Bytes, plain: Flags) -> None:
    """Note what the digests of plain events stand for, and say which ids will do.

    Where one is no sha256 digest, or an id no identifier, the event is not plain.
    """
    for row in range(len(parts)):
        at, end = parts[row, ID]
        right = plain[row] and 0 < end - at <= IDENTIFIER_LENGTH_MAX
        while right and at < end:
            right = 0x21 <= data[at] <= 0x7E  # noqa: PLR2004 - printable, and no space
            at += 1
        at, end = parts[row, DIGEST]
        right = right and end - at == DIGEST_CHARACTERS
        for place in range(len(PREFIX)):
            right = right and data[at + place] == PREFIX[place]
        at += len(PREFIX)
        for place in range(len(digests[row]) if right else 0):
            high, low = NIBBLES[data[at]], NIBBLES[data[at + 1]]
            right = right and high <= 0xF and low <= 0xF  # noqa: PLR2004 - digits
            digests[row, place] = high << 4 | low
            at += 2
        plain[row] = right


@compiled
def intern(  # noqa: PLR0913, PLR0917 - a class would be one more thing to count
    data: Bytes,
    parts: Numbers,
    names: Codes,
    texts: Numbers,
    slots: Codes,
    seed: int,
    plain: Flags,
) -> int:
    """Note which name lies where, by its place in *texts*; return how many there are.

    *texts* says where each distinct name lies, *slots*, all ODD, at which place its
    text stands. An event whose name meets too many others is not plain.
    """
    known = 0
    mask = len(slots) - 1
    last = np.zeros(len(NAMES), np.int64)
    for row in range(len(parts)):
        for role in range(len(NAMES) if plain[row] else 0):
            begin, end = parts[row, role]
            place = last[role] if known else ODD  # most are what they were before
            other = texts[place, 0] if known else 0
            same = known > 0 and texts[place, 1] - other == end - begin
            for at in range(end - begin if same else 0):
                same = same and data[begin + at] == data[other + at]
            if not same:
                mixed = np.uint64(seed)
                for at in range(begin, end):
                    mixed = (mixed ^ np.uint64(data[at])) * _FNV
                slot = np.int64(mixed ^ mixed >> _SHIFT) & mask
            for _ in range(0 if same else PROBES_MAX):
                place = slots[slot]
                if place == ODD:
                    slots[slot] = place = known
                    texts[known, 0], texts[known, 1] = begin, end
                    known += 1
                other = texts[place, 0]
                same = texts[place, 1] - other == end - begin
                for at in range(end - begin if same else 0):
                    same = same and data[begin + at] == data[other + at]
                if same:
                    break
                slot = slot + 1 & mask
            last[role] = place
            names[row, role] = place
            plain[row] = plain[row] and same
    return known
