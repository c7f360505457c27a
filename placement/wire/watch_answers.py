"""What a watcher is told, written once, in responses of a bounded size."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar, cast

from google.protobuf.message import Message as ProtoMessage

from placement.core.watched import (
    Bookmark,
    SnapshotBegan,
    SnapshotEnded,
    Told,
    WatchedPlacement,
    WatchedTag,
)
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis, encode_phase
from placement.wire.fields import encode_time

WATCH_RESPONSE_BYTES_MAX: Final = 256 * 1024
"""A response that is larger than this holds one item alone."""
_ITEM_OVERHEAD_BYTES: Final = 6
"""The field's number and length, at the most."""

Proto = TypeVar("Proto", bound=ProtoMessage)


def encode_told(
    items: Iterable[Told | Basis],
) -> Iterator[pb.WatchPlacementsResponse]:
    """Yield *items* in order, in as few responses as fit."""
    for found in in_responses(map(encode_item, items)):
        yield pb.WatchPlacementsResponse(items=found)


def in_responses(items: Iterable[Proto]) -> Iterator[list[Proto]]:
    """Yield the *items* of each response, in order, in as few responses as fit."""
    found: list[Proto] = []
    size_bytes = 0
    for proto in items:
        item_bytes = proto.ByteSize() + _ITEM_OVERHEAD_BYTES
        if found and size_bytes + item_bytes > WATCH_RESPONSE_BYTES_MAX:
            yield found
            found, size_bytes = [], 0
        found.append(proto)
        size_bytes += item_bytes
    if found:
        yield found


def encode_item(item: Told | Basis) -> pb.WatchItem:
    """Return one thing that a watcher is told."""
    match item:
        case WatchedPlacement():
            return pb.WatchItem(placement=_placement(item))
        case WatchedTag():
            tag = pb.WatchedTag(
                repository=item.repository, tag=item.tag, digest=item.digest or ""
            )
            return pb.WatchItem(tag=tag)
        case SnapshotBegan():
            return pb.WatchItem(snapshot_began=encode_snapshot_began(item))
        case SnapshotEnded():
            return pb.WatchItem(snapshot_ended=pb.SnapshotEnded())
        case Bookmark():
            return pb.WatchItem(bookmark=encode_bookmark(item))
        case _:
            return pb.WatchItem(status=encode_basis(item))


def _placement(placement: WatchedPlacement) -> pb.WatchedPlacement:
    return pb.WatchedPlacement(
        repository=placement.repository,
        digest=placement.digest,
        size_bytes=placement.size_bytes,
        replicas=[
            pb.WatchedReplica(
                region=replica.region,
                phase=encode_phase(replica.phase),
                held_bytes=replica.held_bytes,
            )
            for replica in placement.replicas
        ],
    )


def encode_snapshot_began(began: SnapshotBegan) -> pb.SnapshotBegan:
    """Return why a snapshot begins."""
    reason = cast("pb.SnapshotReason.ValueType", int(began.reason))
    return pb.SnapshotBegan(reason=reason)


def encode_bookmark(bookmark: Bookmark) -> pb.WatchBookmark:
    """Return what was reached, and what goes on from there."""
    proto = pb.WatchBookmark(resume_token=bookmark.token, sequence=bookmark.sequence)
    if bookmark.store_time_ns:
        encode_time(bookmark.store_time_ns, proto.store_time)
    return proto
