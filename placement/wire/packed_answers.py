"""What a watcher in columns is told, written once.

The bytes of a column are its memory as it is on a little-endian machine.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
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
from placement.wire.watch_answers import encode_item, in_responses

PackedItem = Packed | SnapshotBegan | SnapshotEnded | Bookmark | Basis


def encode_packed(items: Iterable[PackedItem]) -> Iterator[pb.WatchPlacementsResponse]:
    """Yield *items* in order, in as few responses as fit; a chunk is one of its own."""
    for found in in_responses(map(_item, items)):
        yield pb.WatchPlacementsResponse(items=found)


def _item(item: PackedItem) -> pb.WatchItem:
    match item:
        case PackedPlacements():
            return pb.WatchItem(packed_placements=_placements(item))
        case PackedContents():
            return pb.WatchItem(packed_contents=_contents(item))
        case PackedTags():
            return pb.WatchItem(packed_tags=_tags(item))
        case PackedNetwork():
            return pb.WatchItem(packed_network=_network(item))
        case SnapshotBegan():
            found = encode_item(item)
            found.snapshot_began.max_placement_count = item.item_count_max
            return found
        case _:
            return encode_item(item)


def _placements(item: PackedPlacements) -> pb.PackedPlacements:
    return pb.PackedPlacements(
        fresh=item.fresh,
        repositories=item.repositories,
        regions=item.regions,
        digests=item.digests.tobytes(),
        repository_indexes=_bytes(item.owners),
        sizes=_bytes(item.sizes),
        kinds=item.kinds.tobytes(),
        complete_regions=_bytes(item.complete),
        verified_regions=_bytes(item.verified),
        coming_indexes=_bytes(item.coming),
        coming_region_indexes=_bytes(item.coming_regions),
        coming_phases=item.coming_phases.tobytes(),
        coming_held=_bytes(item.coming_held),
        other_digests=item.other_digests,
    )


def _contents(item: PackedContents) -> pb.PackedContents:
    return pb.PackedContents(
        platforms=[
            events_pb.Platform(
                os=one.os, architecture=one.architecture, variant=one.variant
            )
            for one in item.platforms
        ],
        digests=item.digests.tobytes(),
        reference_counts=_bytes(item.reference_counts),
        reference_digests=item.reference_digests.tobytes(),
        reference_sizes=_bytes(item.reference_sizes),
        reference_kinds=item.reference_kinds.tobytes(),
        reference_platforms=_bytes(item.reference_platforms),
        converted_indexes=_bytes(item.converted),
        original_digests=item.originals.tobytes(),
        other_digests=item.other_digests,
    )


def _tags(item: PackedTags) -> pb.PackedTags:
    return pb.PackedTags(
        repositories=item.repositories,
        regions=item.regions,
        tags=item.tags,
        repository_indexes=_bytes(item.owners),
        digests=item.digests.tobytes(),
        set_region_indexes=_bytes(item.set_regions),
        set_times=_bytes(item.set_times),
        set_sequences=_bytes(item.set_sequences),
        other_digests=item.other_digests,
    )


def _network(item: PackedNetwork) -> pb.PackedNetwork:
    sizes, durations, times, concurrencies, outcomes = item.transfers.T
    return pb.PackedNetwork(
        regions=item.regions,
        region_states=item.states.tobytes(),
        region_expire_times=_bytes(item.expire_times),
        leaving_counts=_bytes(item.leaving_counts),
        route_source_indexes=_bytes(item.route_sources),
        route_target_indexes=_bytes(item.route_targets),
        route_transfer_counts=_bytes(item.transfer_counts),
        route_told_counts=_bytes(item.told_counts),
        transfer_sizes=_bytes(sizes),
        transfer_durations=_bytes(durations),
        transfer_times=_bytes(times),
        transfer_concurrencies=_bytes(concurrencies),
        transfer_outcomes=outcomes.astype(np.uint8).tobytes(),
    )


def _bytes(column: NDArray[Any]) -> bytes:
    return column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()
