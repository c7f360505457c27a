"""Requests about decisions, parsed once: asked for, called off, followed, listed."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from placement.core.decisions import DecisionRecord
from placement.core.errors import InputError
from placement.core.event import (
    Event,
    EvictionCancelled,
    Identifier,
    Name,
    ReplicationCancelled,
    ReplicationRequested,
    ReplicationSubject,
    ReplicationTrigger,
    Text,
)
from placement.core.listing import DecisionFilter
from placement.core.oci import Digest, Repository, parse_repository
from placement.core.tables.cells import DecisionStatus
from placement.core.topology import Region, parse_region
from placement.v1 import replication_service_pb2 as pb
from placement.wire.events import encode_event
from placement.wire.fields import class_codec, decode_time, parse_identifier
from placement.wire.requests import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    Consistency,
    bounded,
    decode_consistency,
    decode_freshness,
)

PUBLISHER: Final = Name("replication-service")
ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """What is wanted where by when, as it was asked."""

    asked: ReplicationRequested
    consistency: Consistency

    @property
    def event_id(self) -> Identifier:
        """Return the id of its event: that of the same request, whoever repeats it.

        Nor does the deadline tell one from another: that of the first one holds.
        """
        asked = replace(self.asked, deadline_time_ns=None, actor=Name(""))
        event = Event(Identifier("request"), asked.target_region, asked)
        body = encode_event(event).SerializeToString(deterministic=True)
        return Identifier(f"request-{_hash(body)}")

    def event(self, target: Region, digest: Digest) -> Event:
        """Return what stores it: for the storage region *target*, and what it means."""
        fact = replace(self.asked, target_region=target, reference=digest)
        return Event(self.event_id, target, fact, publisher=PUBLISHER)


@dataclass(frozen=True, slots=True)
class CancelQuery:
    """Which decision is called off, by whom, and why."""

    replication_id: Identifier
    actor: Name
    reason: Text

    @property
    def event_id(self) -> Identifier:
        """Return the id of its event: the same call in the same words is one."""
        words = f"{self.replication_id}\0{self.actor}\0{self.reason}"
        return Identifier(f"cancel-{_hash(words.encode())}")

    def event(self, record: DecisionRecord, about: tuple[Repository, Digest]) -> Event:
        """Return what calls off the decision *about* content."""
        fact: ReplicationCancelled | EvictionCancelled
        if record.removal:
            fact = EvictionCancelled(
                self.replication_id, record.target, self.reason, self.actor
            )
        else:
            subject = ReplicationSubject(self.replication_id, *about, record.target)
            fact = ReplicationCancelled(subject, self.actor, self.reason)
        return Event(self.event_id, record.target, fact, publisher=PUBLISHER)


@dataclass(frozen=True, slots=True)
class FollowQuery:
    """What is followed: a request or a decision; the other one is empty."""

    request_id: str
    replication_id: str
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class DutiesQuery:
    """Whose duties are watched, and where to go on."""

    region: Region
    resume_token: str
    removals: bool


@dataclass(frozen=True, slots=True)
class DecisionsQuery:
    """Which page of which decisions."""

    wanted: DecisionFilter
    page_size: int
    page_token: str
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """Which decision or machine is asked about."""

    name: Identifier
    consistency: Consistency


_REQUESTED: Final = class_codec(ReplicationRequested)
_CANCEL: Final = class_codec(CancelQuery)


def decode_request(request: pb.RequestReplicationRequest) -> RequestQuery:
    """Return what is wanted where; raises InputError."""
    asked: ReplicationRequested = _REQUESTED.decode(request, "")
    return RequestQuery(asked, decode_consistency(request.consistency))


def decode_cancel(request: pb.CancelReplicationRequest) -> CancelQuery:
    """Return what is called off, by whom and why; raises InputError."""
    query: CancelQuery = _CANCEL.decode(request, "")
    if not query.actor.strip():
        remedy = "say who calls it off: a person or a program"
        raise InputError("actor", query.actor, remedy)
    if not query.reason.strip():
        remedy = "say why, for those who find it in the log"
        raise InputError("reason", query.reason, remedy)
    return query


def decode_follow(request: pb.WatchReplicationRequest) -> FollowQuery:
    """Return what is followed; raises InputError."""
    kind = request.WhichOneof("subject")
    if kind is None:
        raise InputError("subject", "", "give a request_id or a replication_id")
    name = parse_identifier(getattr(request, kind), kind)
    consistency = decode_consistency(request.consistency)
    if kind == "request_id":
        return FollowQuery(name, "", consistency)
    return FollowQuery("", name, consistency)


def decode_duties(request: pb.WatchReplicationsRequest) -> DutiesQuery:
    """Return whose duties are watched; raises InputError."""
    region = parse_region(request.target_region, "target_region")
    return DutiesQuery(region, request.resume_token, request.include_removals)


def decode_decisions(request: pb.ListReplicationsRequest) -> DecisionsQuery:
    """Return which decisions are listed; raises InputError."""
    since_ns = until_ns = None
    if request.HasField("since_time"):
        since_ns = decode_time(request.since_time, "since_time")
    if request.HasField("until_time"):
        until_ns = decode_time(request.until_time, "until_time")
    target, size = request.target_region, request.page_size
    wanted = DecisionFilter(
        parse_region(target, "target_region") if target else None,
        parse_repository(request.repository) if request.repository else None,
        _status(request.status),
        _trigger(request.trigger),
        _removal(request.kind),
        since_ns,
        until_ns,
    )
    return DecisionsQuery(
        wanted,
        bounded(size, "page_size", PAGE_SIZE_MAX) or PAGE_SIZE_DEFAULT,
        request.page_token,
        decode_freshness(request),
    )


def decode_decision(request: pb.GetReplicationRequest) -> NamedQuery:
    """Return which decision is asked about; raises InputError."""
    name = parse_identifier(request.replication_id, "replication_id")
    return NamedQuery(name, decode_freshness(request))


def decode_start(request: pb.ExplainStartRequest) -> NamedQuery:
    """Return which machine is asked about; raises InputError."""
    name = parse_identifier(request.machine_id, "machine_id")
    return NamedQuery(name, decode_freshness(request))


def _status(value: int) -> DecisionStatus | None:
    if not value:
        return None
    if value not in set(DecisionStatus):
        remedy = "give what a decision may be: PLANNED to DEFERRED"
        raise InputError("status", value, remedy)
    return DecisionStatus(value)


def _trigger(value: int) -> ReplicationTrigger | None:
    if not value:
        return None
    if value not in set(ReplicationTrigger):
        raise InputError("trigger", value, "give a trigger that this version knows")
    return ReplicationTrigger(value)


def _removal(value: int) -> bool | None:
    known: dict[int, bool | None] = {
        pb.DECISION_KIND_UNSPECIFIED: None,
        pb.DECISION_KIND_COPY: False,
        pb.DECISION_KIND_REMOVAL: True,
    }
    if value not in known:
        raise InputError("kind", value, "give copies, removals or neither")
    return known[value]


def _hash(body: bytes) -> str:
    return blake2b(body, digest_size=ID_BYTES).hexdigest()
