"""What a service tells a replicator, read: the other side of ``assignment_answers``."""

from dataclasses import dataclass

from placement.core.event import (
    EvictionPlanned,
    ReplicationPlanned,
    ReplicationSubject,
)
from placement.core.facts.values import Identifier, Text, TimeNs
from placement.core.oci import parse_digest, parse_repository
from placement.core.topology import parse_region
from placement.v1 import replication_service_pb2 as pb
from placement.wire.fields import decode_time, parse_identifier


@dataclass(frozen=True, slots=True)
class AssignedCopy:
    """A copy to make, and how often it was begun before."""

    planned: ReplicationPlanned
    media_type: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AssignmentClosed:
    """What is not to be carried out any more."""

    replication_id: Identifier


@dataclass(frozen=True, slots=True)
class AllTold:
    """A snapshot began, or ended: all that is open was told in between."""

    ended: bool


Told = AssignedCopy | EvictionPlanned | AssignmentClosed | AllTold


def decode_assignment(item: pb.AssignmentItem) -> Told | None:
    """Return what *item* tells a replicator; None: nothing that it must act on.

    Raises InputError, naming the field.
    """
    match item.WhichOneof("item"):
        case "copy":
            return _copy(item.copy)
        case "removal":
            return _removal(item.removal)
        case "closed":
            own_id = parse_identifier(item.closed.replication_id, "replication_id")
            return AssignmentClosed(own_id)
        case "snapshot_began":
            return AllTold(ended=False)
        case "snapshot_ended":
            return AllTold(ended=True)
        case _:
            return None


def _copy(proto: pb.CopyAssignment) -> AssignedCopy:
    subject = ReplicationSubject(
        parse_identifier(proto.replication_id, "replication_id"),
        parse_repository(proto.repository),
        parse_digest(proto.digest),
        parse_region(proto.target_region, "target_region"),
    )
    planned = ReplicationPlanned(
        subject,
        parse_region(proto.source_region, "source_region"),
        proto.transfer_bytes,
        expire_time_ns=_expiry(proto),
        priority=proto.priority,
    )
    return AssignedCopy(planned, proto.media_type, proto.attempt)


def _removal(proto: pb.RemovalAssignment) -> EvictionPlanned:
    return EvictionPlanned(
        parse_identifier(proto.replication_id, "replication_id"),
        parse_repository(proto.repository),
        parse_digest(proto.digest),
        parse_region(proto.target_region, "target_region"),
        Text(proto.reason),
        proto.reclaimed_bytes,
        expire_time_ns=_expiry(proto),
    )


def _expiry(proto: pb.CopyAssignment | pb.RemovalAssignment) -> TimeNs | None:
    if not proto.HasField("expire_time"):
        return None
    return decode_time(proto.expire_time, "expire_time")
