"""What a replicator is told, written once, in responses of a bounded size."""

from collections.abc import Iterable, Iterator

from placement.core.assignments import Assigned, Assignment, Closed
from placement.core.watched import Bookmark, SnapshotBegan, SnapshotEnded
from placement.v1 import placement_service_pb2 as placement_pb
from placement.v1 import replication_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis
from placement.wire.fields import encode_time
from placement.wire.replication_answers import encode_status
from placement.wire.watch_answers import (
    encode_bookmark,
    encode_snapshot_began,
    in_responses,
)

Told = Assignment | SnapshotBegan | SnapshotEnded | Bookmark


def encode_assignments(
    items: Iterable[Told | Basis],
) -> Iterator[pb.WatchReplicationsResponse]:
    """Yield *items* in order, in as few responses as fit."""
    for found in in_responses(map(encode_assignment, items)):
        yield pb.WatchReplicationsResponse(items=found)


def encode_assignment(item: Told | Basis) -> pb.AssignmentItem:
    """Return one thing that a replicator is told."""
    match item:
        case Assigned():
            return _assigned(item)
        case Closed():
            closed = pb.AssignmentClosed(
                replication_id=item.replication_id, status=encode_status(item.status)
            )
            return pb.AssignmentItem(closed=closed)
        case SnapshotBegan():
            return pb.AssignmentItem(snapshot_began=encode_snapshot_began(item))
        case SnapshotEnded():
            ended = placement_pb.SnapshotEnded()
            return pb.AssignmentItem(snapshot_ended=ended)
        case Bookmark():
            return pb.AssignmentItem(bookmark=encode_bookmark(item))
        case _:
            return pb.AssignmentItem(status=encode_basis(item))


def _assigned(item: Assigned) -> pb.AssignmentItem:
    if item.decision.removal:
        return pb.AssignmentItem(removal=_removal(item))
    return pb.AssignmentItem(copy=_copy(item))


def _copy(item: Assigned) -> pb.CopyAssignment:
    record = item.decision
    proto = pb.CopyAssignment(
        replication_id=record.replication_id,
        repository=item.repository,
        digest=item.digest,
        media_type=item.media_type,
        source_region=record.source or "",
        target_region=record.target,
        transfer_bytes=record.transfer_bytes,
        priority=record.priority,
        attempt=record.attempt,
        status=encode_status(record.status),
    )
    if record.expire_ns:
        encode_time(record.expire_ns, proto.expire_time)
    return proto


def _removal(item: Assigned) -> pb.RemovalAssignment:
    record = item.decision
    proto = pb.RemovalAssignment(
        replication_id=record.replication_id,
        repository=item.repository,
        digest=item.digest,
        media_type=item.media_type,
        target_region=record.target,
        reclaimed_bytes=record.transfer_bytes,
        reason=record.reason,
    )
    if record.expire_ns:
        encode_time(record.expire_ns, proto.expire_time)
    return proto
