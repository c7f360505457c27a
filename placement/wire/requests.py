"""Requests, parsed once: each becomes a domain value or an InputError naming the field.

Every limit on a request is here, and GetServiceInfo reports them all.
"""

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from placement.core.errors import (
    InputError,
    LimitInvalidError,
    TimeInvalidError,
)
from placement.core.event import Event
from placement.core.oci import (
    REPOSITORY_LENGTH_MAX,
    TAG_LENGTH_MAX,
    Digest,
    Repository,
    Tag,
    parse_digest,
    parse_reference,
    parse_repository,
)
from placement.core.topology import REGION_COUNT_MAX, Region, parse_region
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.as_of import AsOf, decode_as_of
from placement.wire.events import EVENT_BYTES_MAX, FUTURE_NS_MAX, decode_event
from placement.wire.fields import (
    COUNT_MAX,
    IDENTIFIER_LENGTH_MAX,
    decode_duration,
)

SOURCE_COUNT_DEFAULT: Final = 3
SOURCE_COUNT_MAX: Final = 32
DIGEST_COUNT_MAX: Final = 1_024
PACKED_DIGEST_COUNT_MAX: Final = 16_384
PACKED_SOURCE_COUNT_MAX: Final = 8
"""The largest answer has two megabytes, half of what gRPC's clients take by default."""
PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000
REPLICATION_COUNT_DEFAULT: Final = 100
REPLICATION_COUNT_MAX: Final = 1_000
IMAGES_MAX: Final = 16
CANDIDATES_LENGTH_MAX: Final = 8_192
"""Room for every region of the largest catalogue by its own code."""
PUSH_TARGET_COUNT_DEFAULT: Final = 3
PUSH_TARGET_COUNT_MAX: Final = 32
PUBLISH_EVENTS_MAX: Final = 512
REQUEST_BYTES_MAX: Final = 4 * 1024 * 1024
"""The largest is PublishEvents with pages of inventories: sixteen of the largest."""
REPLICAS_READ_MAX: Final = 10_000
"""A page of ListReplicas ends after so many, whether they were wanted or not."""
DECISIONS_READ_MAX: Final = 10_000
"""A page of ListReplications ends after so many, whether they were wanted or not."""
IMAGES_PREVIEWED_MAX: Final = 10_000
"""A preview considers so many images; further ones are counted as omitted."""
REPORT_GROUPS_MAX: Final = 1_000
"""A report tells so many groups apart; further ones are counted as omitted."""
REPOSITORY_PREFIXES_MAX: Final = 256

LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "candidates_length": CANDIDATES_LENGTH_MAX,
        "decisions_read": DECISIONS_READ_MAX,
        "digests": DIGEST_COUNT_MAX,
        "event_bytes": EVENT_BYTES_MAX,
        "events": PUBLISH_EVENTS_MAX,
        "images": IMAGES_MAX,
        "max_region_count": REGION_COUNT_MAX,
        "max_replication_count": REPLICATION_COUNT_MAX,
        "max_source_count": SOURCE_COUNT_MAX,
        "max_target_count": PUSH_TARGET_COUNT_MAX,
        "packed_digests": PACKED_DIGEST_COUNT_MAX,
        "packed_max_source_count": PACKED_SOURCE_COUNT_MAX,
        "page_size": PAGE_SIZE_MAX,
        "previewed_images": IMAGES_PREVIEWED_MAX,
        "regions": REGION_COUNT_MAX,
        "replicas_read": REPLICAS_READ_MAX,
        "report_groups": REPORT_GROUPS_MAX,
        "repository_length": REPOSITORY_LENGTH_MAX,
        "repository_prefixes": REPOSITORY_PREFIXES_MAX,
        "request_bytes": REQUEST_BYTES_MAX,
        "request_id_length": IDENTIFIER_LENGTH_MAX,
        "size_bytes": COUNT_MAX,
        "tag_length": TAG_LENGTH_MAX,
    }
)
"""What is accepted at the most, by name, as GetServiceInfo reports it."""


class Asking(Protocol):
    """A request that says how fresh its answer has to be, or as of when."""

    @property
    def consistency(self) -> basis_pb.Consistency:
        """How fresh."""

    @property
    def as_of(self) -> basis_pb.AsOf:
        """As of when."""

    def HasField(self, field_name: Any, /) -> bool:  # noqa: ANN401, N802 - protobuf's
        """Say whether a field is there."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """How fresh an answer has to be; neither token nor staleness: as it is now."""

    token: str = ""
    max_staleness_ns: int | None = None
    fail: bool = False
    """Fail instead of answering from older state."""
    as_of: AsOf | None = None
    """Answer as of this point in the past, which is neither fresh nor stale."""


ANY: Final = Consistency()


class RankQuery(NamedTuple):
    """Which contents of one repository to rank sources for, and for whom."""

    repository: Repository
    digests: tuple[Digest, ...]
    region: Region
    source_count_max: int
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class ReferenceQuery:
    """Which image or blob is asked about."""

    repository: Repository
    reference: Digest | Tag
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class ReplicaQuery:
    """Which replicas to list, and after which one to go on; None: all."""

    region: Region | None
    repository: Repository | None
    page_size: int
    page_token: str
    consistency: Consistency


def decode_rank(request: pb.RankSourcesRequest) -> RankQuery:
    """Return what is to be ranked; raises InputError."""
    return RankQuery(
        parse_repository(request.repository),
        (parse_digest(request.digest),),
        parse_region(request.region),
        _source_count(request.max_source_count),
        decode_freshness(request),
    )


def decode_batch_rank(request: pb.BatchRankSourcesRequest) -> RankQuery:
    """Return what is to be ranked; raises InputError."""
    check_number_of(request.digests, "digests", DIGEST_COUNT_MAX)
    return RankQuery(
        parse_repository(request.repository),
        tuple(
            parse_digest(digest, f"digests[{position}]")
            for position, digest in enumerate(request.digests)
        ),
        parse_region(request.region),
        _source_count(request.max_source_count),
        decode_freshness(request),
    )


def decode_reference(
    request: pb.ResolveReferenceRequest | pb.GetPlacementRequest,
) -> ReferenceQuery:
    """Return what is asked about; raises InputError."""
    return ReferenceQuery(
        parse_repository(request.repository),
        parse_reference(request.reference),
        decode_freshness(request),
    )


def decode_list(request: pb.ListReplicasRequest) -> ReplicaQuery:
    """Return what is to be listed; raises InputError."""
    size = request.page_size
    return ReplicaQuery(
        parse_region(request.region) if request.region else None,
        parse_repository(request.repository) if request.repository else None,
        bounded(size, "page_size", PAGE_SIZE_MAX) or PAGE_SIZE_DEFAULT,
        request.page_token,
        decode_freshness(request),
    )


def decode_events(
    request: event_pb.PublishEventsRequest, now_ns: int
) -> Iterator[Event | InputError]:
    """Return each event in order, or why it would be set aside if it were stored now.

    Raises LimitInvalidError at once when there are none, or too many.
    """
    check_number_of(request.events, "events", PUBLISH_EVENTS_MAX)
    return (_decode_published(event, now_ns) for event in request.events)


def _decode_published(proto: events_pb.Event, now_ns: int) -> Event | InputError:
    try:
        if proto.ByteSize() > EVENT_BYTES_MAX:
            remedy = f"give at most {EVENT_BYTES_MAX} bytes; split it into several"
            raise LimitInvalidError("event", f"{proto.ByteSize()} bytes", remedy)
        event = decode_event(proto)
        time_ns = event.occur_time_ns
        if time_ns is not None and time_ns > now_ns + FUTURE_NS_MAX:
            remedy = "set the publisher's clock: it is more than a day ahead"
            raise TimeInvalidError("occur_time", time_ns, remedy)
    except InputError as error:
        return error
    return event


def decode_consistency(proto: basis_pb.Consistency) -> Consistency:
    """Return how fresh an answer has to be; raises TimeInvalidError."""
    if not proto.ByteSize():
        return ANY
    staleness_ns = None
    if proto.WhichOneof("requirement") == "max_staleness":
        name = "consistency.max_staleness"
        staleness_ns = int(decode_duration(proto.max_staleness, name))
    return Consistency(proto.token, staleness_ns, proto.fail)


def decode_freshness(request: Asking) -> Consistency:
    """Return how fresh an answer has to be, or as of when; not both.

    Raises InputError, NumberInvalidError and TimeInvalidError.
    """
    as_of = decode_as_of(request.as_of) if request.HasField("as_of") else None
    if as_of is None:
        return decode_consistency(request.consistency)
    if request.consistency.ByteSize():
        remedy = "leave consistency out: what was at that point does not change"
        raise InputError("as_of", as_of, remedy)
    return Consistency(as_of=as_of)


def bounded(value: int, field: str, maximum: int | None) -> int:
    """Return *value* if it is 0 to *maximum*; raises LimitInvalidError otherwise."""
    if value < 0 or (maximum is not None and value > maximum):
        remedy = "give 0 or more" if maximum is None else f"give 0 to {maximum}"
        raise LimitInvalidError(field, value, remedy)
    return value


def check_number_of(values: Sized, field: str, maximum: int) -> None:
    """Raise LimitInvalidError unless there are 1 to *maximum* of *values*."""
    if not 1 <= len(values) <= maximum:
        remedy = f"give 1 to {maximum}"
        raise LimitInvalidError(field, len(values), remedy)


def _source_count(value: int) -> int:
    count = bounded(value, "max_source_count", SOURCE_COUNT_MAX)
    return count or SOURCE_COUNT_DEFAULT
