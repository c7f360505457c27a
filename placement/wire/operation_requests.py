"""Operators' orders, parsed once: each becomes a domain value or an InputError."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Protocol

from placement.core.errors import InputError
from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    Document,
    Event,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    RegionChanged,
    RegionState,
    ReplicationPaused,
    ReplicationResumed,
)
from placement.core.oci import Digest, Repository, Tag, parse_repository
from placement.core.topology import REGION_COUNT_MAX, Region
from placement.v1 import operations_service_pb2 as pb
from placement.wire.events import encode_event
from placement.wire.fields import class_codec
from placement.wire.requests import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    Consistency,
    bounded,
    check_number_of,
    decode_freshness,
)

Order = (
    RegionChanged
    | ReplicationPaused
    | ReplicationResumed
    | ContentPinned
    | ContentUnpinned
    | PolicyChanged
)
"""The facts that operators' orders are stored as."""

NOBODY: Final = Operation()
"""Of a request that names nobody."""
PUBLISHER: Final = Name("operations-service")
ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RegionQuery:
    """What a region may be used for from now on."""

    region: Region
    state: RegionState
    operation: Operation = NOBODY


@dataclass(frozen=True, slots=True)
class RegionsQuery:
    """Into which regions copies are stopped, or allowed again; none is all."""

    regions: tuple[Region, ...] = ()
    operation: Operation = NOBODY


@dataclass(frozen=True, slots=True)
class PinQuery:
    """What has to stay, or need not any longer, and where; no region is all."""

    repository: Repository
    reference: Digest | Tag
    regions: tuple[Region, ...] = ()
    operation: Operation = NOBODY


@dataclass(frozen=True, slots=True)
class PolicyQuery:
    """Which policy is to be in force: a built-in one, or *content*."""

    name: Name
    content: Document
    validate_only: bool
    operation: Operation = NOBODY


@dataclass(frozen=True, slots=True)
class OrdersQuery:
    """Which page of the orders in force; *repository* None: pins of all."""

    repository: Repository | None
    page_size: int
    page_token: str
    consistency: Consistency


_REGION: Final = class_codec(RegionQuery)
_REGIONS: Final = class_codec(RegionsQuery)
_PIN: Final = class_codec(PinQuery)
_POLICY: Final = class_codec(PolicyQuery)


class _WithRegions(Protocol):
    """A request that names regions."""

    @property
    def regions(self) -> Any:  # noqa: ANN401 - a container of protobuf's own
        """Their codes."""


def decode_region_state(request: pb.SetRegionStateRequest) -> RegionQuery:
    """Return what a region may be used for; raises InputError."""
    query: RegionQuery = _REGION.decode(request, "")
    if query.state is RegionState.UNSPECIFIED:
        remedy = "give REGION_STATE_ACTIVE, _DRAINING or _DOWN"
        raise InputError("state", request.state, remedy)
    _check_given(query.operation)
    if query.state is RegionState.ACTIVE:
        _refuse_expiry(query.operation, "the region stays active until another order")
    return query


def decode_pause(request: pb.PauseReplicationRequest) -> RegionsQuery:
    """Return where no new copies are to be made; raises InputError."""
    return _decode_regions(request)


def decode_resume(request: pb.ResumeReplicationRequest) -> RegionsQuery:
    """Return where new copies may be made again; raises InputError."""
    query = _decode_regions(request)
    _refuse_expiry(query.operation, "to resume for a while, pause again after it")
    return query


def decode_pin(request: pb.PinContentRequest) -> PinQuery:
    """Return what has to stay; raises InputError."""
    _check_regions(request)
    query: PinQuery = _PIN.decode(request, "")
    _check_given(query.operation)
    return replace(query, regions=_once(query.regions))


def decode_unpin(request: pb.UnpinContentRequest) -> PinQuery:
    """Return what need not stay any longer; raises InputError."""
    _check_regions(request)
    query: PinQuery = _PIN.decode(request, "")
    _check_given(query.operation)
    _refuse_expiry(query.operation, "to unpin for a while, pin again after it")
    return replace(query, regions=_once(query.regions))


def decode_policy(request: pb.SetPolicyRequest) -> PolicyQuery:
    """Return which policy is to be in force; its content is not looked at yet.

    Raises InputError.
    """
    query: PolicyQuery = _POLICY.decode(request, "")
    if bool(query.name) == bool(query.content.strip()):
        remedy = "give the name of a built-in policy, or a policy's content, not both"
        raise InputError("name", query.name, remedy)
    if not query.validate_only:
        _check_given(query.operation)
    return query


def decode_orders(request: pb.ListOrdersRequest) -> OrdersQuery:
    """Return which page to list; raises InputError."""
    size = bounded(request.page_size, "page_size", PAGE_SIZE_MAX)
    return OrdersQuery(
        parse_repository(request.repository) if request.repository else None,
        size or PAGE_SIZE_DEFAULT,
        request.page_token,
        decode_freshness(request),
    )


def order_event(order: Order, region: Region, now_ns: int) -> Event:
    """Return the event that stores *order* in the log of *region*.

    Its id is made of the order and its request's id, so that the same order given again
    is the same event. Without a request's id *now_ns* stands for one: what two services
    are told in the same nanosecond in the same words is taken as one order.
    """
    operation = order.operation
    given = replace(order, operation=Operation())
    body = encode_event(Event(Identifier("order"), region, given))
    parts = [b"request", (operation.request_id or "").encode()]
    if operation.request_id is None:
        words = f"{operation.actor}\0{operation.reason}\0{operation.expire_time_ns}"
        parts = [b"time", str(now_ns).encode(), words.encode()]
    named = b"\0".join((*parts, body.SerializeToString(deterministic=True)))
    digest = blake2b(named, digest_size=ID_BYTES).hexdigest()
    return Event(Identifier(f"order-{digest}"), region, order, publisher=PUBLISHER)


# What orders have in common.


def _decode_regions(
    request: pb.PauseReplicationRequest | pb.ResumeReplicationRequest,
) -> RegionsQuery:
    _check_regions(request)
    query: RegionsQuery = _REGIONS.decode(request, "")
    _check_given(query.operation)
    return replace(query, regions=_once(query.regions))


def _check_regions(request: _WithRegions) -> None:
    if request.regions:
        check_number_of(request.regions, "regions", REGION_COUNT_MAX)


def _once(regions: tuple[Region, ...]) -> tuple[Region, ...]:
    """Return *regions* by code: the same order in other words is the same order."""
    return tuple(sorted(set(regions)))


def _check_given(operation: Operation) -> None:
    """Raise InputError unless somebody says who gives the order, and why."""
    if not operation.actor.strip():
        remedy = "say who gives the order: a person or a program"
        raise InputError("operation.actor", operation.actor, remedy)
    if not operation.reason.strip():
        remedy = "say why, for those who find the order in the log"
        raise InputError("operation.reason", operation.reason, remedy)


def _refuse_expiry(operation: Operation, instead: str) -> None:
    if operation.expire_time_ns is not None:
        remedy = f"leave it out: {instead}"
        raise InputError("operation.expire_time", operation.expire_time_ns, remedy)
