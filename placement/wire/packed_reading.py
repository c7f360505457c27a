"""What a packed watch tells, read by the client: columns as views of the message."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.packed import (
    KEY_BYTES,
    Packed,
    PackedContents,
    PackedNetwork,
    PackedPlacements,
    PackedTags,
    word_count,
)
from placement.core.topology import Region
from placement.v1 import placement_service_pb2 as pb

Number = TypeVar("Number", bound=np.generic)


def decode_packed(item: pb.WatchItem) -> Packed | None:
    """Return what *item* tells in columns; None where it is something else.

    Raises ValueError where columns do not fit together.
    """
    match item.WhichOneof("item"):
        case "packed_placements":
            return _read_placements(item.packed_placements)
        case "packed_contents":
            return _read_contents(item.packed_contents)
        case "packed_tags":
            return _read_tags(item.packed_tags)
        case "packed_network":
            return _read_network(item.packed_network)
        case _:
            return None


def _read_placements(proto: pb.PackedPlacements) -> PackedPlacements:
    words = word_count(len(proto.regions))
    found = PackedPlacements(
        proto.fresh,
        tuple(map(Repository, proto.repositories)),
        tuple(map(Region, proto.regions)),
        _keys(proto.digests),
        _column(proto.repository_indexes, np.uint32),
        _column(proto.sizes, np.int64),
        _column(proto.kinds, np.uint8),
        _column(proto.complete_regions, np.uint64).reshape(-1, words),
        _column(proto.verified_regions, np.uint64).reshape(-1, words),
        _column(proto.coming_indexes, np.uint32),
        _column(proto.coming_region_indexes, np.uint32),
        _column(proto.coming_phases, np.uint8),
        _column(proto.coming_held, np.int64),
        tuple(map(Digest, proto.other_digests)),
    )
    count, coming = len(found.digests), len(found.coming)
    _fits(count, found.owners, found.sizes, found.kinds, found.complete)
    _fits(coming, found.coming_regions, found.coming_phases, found.coming_held)
    if len(found.verified):
        _fits(count, found.verified)
    _inside(found.owners, len(found.repositories))
    _inside(found.coming, count)
    _inside(found.coming_regions, len(found.regions))
    return found


def _read_contents(proto: pb.PackedContents) -> PackedContents:
    found = PackedContents(
        tuple(Platform(p.os, p.architecture, p.variant) for p in proto.platforms),
        _keys(proto.digests),
        _column(proto.reference_counts, np.uint32),
        _keys(proto.reference_digests),
        _column(proto.reference_sizes, np.int64),
        _column(proto.reference_kinds, np.uint8),
        _column(proto.reference_platforms, np.uint32),
        _column(proto.converted_indexes, np.uint32),
        _keys(proto.original_digests),
        tuple(map(Digest, proto.other_digests)),
    )
    _fits(len(found.digests), found.reference_counts)
    references = int(found.reference_counts.sum(dtype=np.int64))
    _fits(references, found.reference_digests, found.reference_sizes)
    _fits(references, found.reference_kinds, found.reference_platforms)
    _fits(len(found.converted), found.originals)
    _inside(found.reference_platforms, len(found.platforms) + 1)
    _inside(found.converted, len(found.digests))
    return found


def _read_tags(proto: pb.PackedTags) -> PackedTags:
    found = PackedTags(
        tuple(map(Repository, proto.repositories)),
        tuple(map(Region, proto.regions)),
        tuple(map(Tag, proto.tags)),
        _column(proto.repository_indexes, np.uint32),
        _keys(proto.digests),
        _column(proto.set_region_indexes, np.uint32),
        _column(proto.set_times, np.int64),
        _column(proto.set_sequences, np.int64),
        tuple(map(Digest, proto.other_digests)),
    )
    count = len(found.tags)
    _fits(count, found.owners, found.digests, found.set_regions)
    _fits(count, found.set_times, found.set_sequences)
    _inside(found.owners, len(found.repositories))
    _inside(found.set_regions, len(found.regions))
    return found


def _read_network(proto: pb.PackedNetwork) -> PackedNetwork:
    columns = [
        _column(proto.transfer_sizes, np.int64),
        _column(proto.transfer_durations, np.int64),
        _column(proto.transfer_times, np.int64),
        _column(proto.transfer_concurrencies, np.int64),
        _column(proto.transfer_outcomes, np.uint8).astype(np.int64),
    ]
    _fits(len(columns[0]), *columns)
    found = PackedNetwork(
        tuple(map(Region, proto.regions)),
        _column(proto.region_states, np.uint8),
        _column(proto.region_expire_times, np.int64),
        _column(proto.leaving_counts, np.uint32),
        _column(proto.route_source_indexes, np.uint32),
        _column(proto.route_target_indexes, np.uint32),
        _column(proto.route_transfer_counts, np.int64),
        _column(proto.route_told_counts, np.uint32),
        np.stack(columns, axis=1),
    )
    regions, routes = len(found.regions), len(found.route_sources)
    _fits(regions, found.states, found.expire_times, found.leaving_counts)
    _fits(routes, found.route_targets, found.transfer_counts, found.told_counts)
    _fits(int(found.told_counts.sum(dtype=np.int64)), found.transfers)
    _inside(found.route_sources, regions)
    _inside(found.route_targets, regions)
    return found


def _keys(packed: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(packed, np.uint8).reshape(-1, KEY_BYTES)


def _column(packed: bytes, number: type[Number]) -> NDArray[Number]:
    return np.frombuffer(packed, np.dtype(number).newbyteorder("<"))


def _fits(count: int, *columns: NDArray[Any]) -> None:
    """Raise ValueError unless each of *columns* has *count* rows."""
    if any(len(column) != count for column in columns):
        message = "the columns of a packed watch have different lengths"
        raise ValueError(message)


def _inside(indexes: NDArray[Any], count: int) -> None:
    """Raise ValueError unless *indexes* are those of a list of *count*."""
    if len(indexes) and int(indexes.max()) >= count:
        message = "an index of a packed watch is beyond its list"
        raise ValueError(message)
