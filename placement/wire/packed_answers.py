"""What a watcher in columns is told, written once, as the bytes that are sent.

A chunk is nearly a megabyte of columns. Filling a message with them and serializing it
would copy each three times, so that the fields of those messages are written here as
the wire format has them: the column behind its number and its length. The bytes of a
column are its memory as it is on a little-endian machine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from google.protobuf.descriptor import Descriptor
from numpy.typing import NDArray

from placement.core.packed import (
    Packed,
    PackedContents,
    PackedNetwork,
    PackedPlacements,
    PackedTags,
)
from placement.core.watched import Bookmark, SnapshotBegan, SnapshotEnded
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import Basis
from placement.wire.watch_answers import WATCH_RESPONSE_BYTES_MAX, encode_item

PackedItem = Packed | SnapshotBegan | SnapshotEnded | Bookmark | Basis
Values = Mapping[str, NDArray[Any] | Sequence[str] | Sequence[bytes] | bool]
"""The fields of a message by name."""

_SHORT: Final = tuple(bytes((value,)) for value in range(0x80))
"""Numbers of one group of seven bits."""
_VARINT: Final = 0
_LENGTH: Final = 2
"""Wire types."""
_TYPE_BITS: Final = 3
_ITEMS: Final = pb.WatchPlacementsResponse.DESCRIPTOR.fields_by_name["items"].number
_ITEM_FIELDS: Final = pb.WatchItem.DESCRIPTOR.fields_by_name

_written: WeakKeyDictionary[Packed, bytes] = WeakKeyDictionary()
"""What was written of chunks that others may read, too."""


def encode_packed(items: Iterable[PackedItem]) -> Iterator[bytes]:
    """Yield *items* in order, as few responses as fit; a chunk is one of its own."""
    found: list[bytes] = []
    size_bytes = 0
    for item in items:
        written = _item(item)
        if found and size_bytes + len(written) > WATCH_RESPONSE_BYTES_MAX:
            yield b"".join(found)
            found, size_bytes = [], 0
        found.append(written)
        size_bytes += len(written)
    if found:
        yield b"".join(found)


def _item(item: PackedItem) -> bytes:
    """Return one item as a response holds it."""
    match item:
        case PackedPlacements():
            return _chunk(item, "packed_placements", pb.PackedPlacements.DESCRIPTOR)
        case PackedContents():
            return _chunk(item, "packed_contents", pb.PackedContents.DESCRIPTOR)
        case PackedTags():
            return _chunk(item, "packed_tags", pb.PackedTags.DESCRIPTOR)
        case PackedNetwork():
            return _chunk(item, "packed_network", pb.PackedNetwork.DESCRIPTOR)
        case SnapshotBegan():
            found = encode_item(item)
            found.snapshot_began.max_placement_count = item.item_count_max
        case _:
            found = encode_item(item)
    plain = found.SerializeToString()
    return b"".join((_head(_ITEMS, _LENGTH), _varint(len(plain)), plain))


def _chunk(item: Packed, field: str, kind: Descriptor) -> bytes:
    written = _written.get(item)
    if written is None:
        parts = _parts(kind, _values(item))
        size = sum([part.nbytes for part in parts])
        inner = _head(_ITEM_FIELDS[field].number, _LENGTH) + _varint(size)
        outer = _head(_ITEMS, _LENGTH) + _varint(len(inner) + size)
        written = _written[item] = b"".join((outer, inner, *parts))
    return written


def _parts(kind: Descriptor, values: Values) -> list[memoryview]:
    """Return a message's fields; an array is written as it is in memory."""
    found: list[memoryview] = []
    for name, value in values.items():
        number = kind.fields_by_name[name].number
        if isinstance(value, np.ndarray):
            if value.size:
                column = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
                head = _head(number, _LENGTH) + _varint(column.nbytes)
                found += [memoryview(head), column.data]
        elif isinstance(value, bool):
            if value:
                found.append(memoryview(_head(number, _VARINT) + b"\1"))
        else:
            found.append(memoryview(_texts(_head(number, _LENGTH), value)))
    return found


def _texts(head: bytes, values: Sequence[str] | Sequence[bytes]) -> bytes:
    """Return a repeated field of texts, or of messages that are written already."""
    heads, found = _heads(head), list[bytes]()
    for value in values:
        packed = value.encode() if isinstance(value, str) else value
        size = len(packed)
        found.append(heads[size] if size < len(heads) else head + _varint(size))
        found.append(packed)
    return b"".join(found)


@lru_cache
def _heads(head: bytes) -> tuple[bytes, ...]:
    """Return *head* and each short size: what stands before a text."""
    return tuple(head + size for size in _SHORT)


def _head(number: int, wire_type: int) -> bytes:
    return _varint(number << _TYPE_BITS | wire_type)


def _varint(value: int) -> bytes:
    """Return *value* >= 0 in groups of seven bits, the lowest first."""
    if value < len(_SHORT):
        return _SHORT[value]
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _values(item: Packed) -> Values:
    """Return the fields of a chunk."""
    match item:
        case PackedPlacements():
            return _placements(item)
        case PackedContents():
            return _contents(item)
        case PackedTags():
            return _tags(item)
        case PackedNetwork():
            return _network(item)


def _placements(item: PackedPlacements) -> Values:
    return {
        "fresh": item.fresh,
        "repositories": item.repositories,
        "regions": item.regions,
        "digests": item.digests,
        "repository_indexes": item.owners,
        "sizes": item.sizes,
        "kinds": item.kinds,
        "complete_regions": item.complete,
        "verified_regions": item.verified,
        "coming_indexes": item.coming,
        "coming_region_indexes": item.coming_regions,
        "coming_phases": item.coming_phases,
        "coming_held": item.coming_held,
        "other_digests": item.other_digests,
    }


def _contents(item: PackedContents) -> Values:
    platforms = [
        events_pb.Platform(
            os=one.os, architecture=one.architecture, variant=one.variant
        ).SerializeToString()
        for one in item.platforms
    ]
    return {
        "platforms": platforms,
        "digests": item.digests,
        "reference_counts": item.reference_counts,
        "reference_digests": item.reference_digests,
        "reference_sizes": item.reference_sizes,
        "reference_kinds": item.reference_kinds,
        "reference_platforms": item.reference_platforms,
        "converted_indexes": item.converted,
        "original_digests": item.originals,
        "other_digests": item.other_digests,
    }


def _tags(item: PackedTags) -> Values:
    return {
        "repositories": item.repositories,
        "regions": item.regions,
        "tags": item.tags,
        "repository_indexes": item.owners,
        "digests": item.digests,
        "set_region_indexes": item.set_regions,
        "set_times": item.set_times,
        "set_sequences": item.set_sequences,
        "other_digests": item.other_digests,
    }


def _network(item: PackedNetwork) -> Values:
    sizes, durations, times, concurrencies, outcomes = item.transfers.T
    return {
        "regions": item.regions,
        "region_states": item.states,
        "region_expire_times": item.expire_times,
        "leaving_counts": item.leaving_counts,
        "route_source_indexes": item.route_sources,
        "route_target_indexes": item.route_targets,
        "route_transfer_counts": item.transfer_counts,
        "route_told_counts": item.told_counts,
        "transfer_sizes": sizes,
        "transfer_durations": durations,
        "transfer_times": times,
        "transfer_concurrencies": concurrencies,
        "transfer_outcomes": outcomes.astype(np.uint8),
    }
