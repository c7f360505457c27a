"""Answers about operators' orders, written once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from placement.core.deciding.standing import PolicyStatus
from placement.core.oci import Tag
from placement.core.orders import PauseOrder, PinOrder, RegionOrder, Term
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import events_pb2 as events_pb
from placement.v1 import operations_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis
from placement.wire.fields import encode_time


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an order is in the log, and how far the service is."""

    event_id: str
    token: str
    basis: Basis


class _Given(TypedDict):
    """The fields that the answer to every order begins with."""

    event_id: str
    token: str
    basis: basis_pb.Basis


def _given(receipt: Receipt) -> _Given:
    return {
        "event_id": receipt.event_id,
        "token": receipt.token,
        "basis": encode_basis(receipt.basis),
    }


def encode_region_state(receipt: Receipt) -> pb.SetRegionStateResponse:
    """Return that the order was stored."""
    return pb.SetRegionStateResponse(**_given(receipt))


def encode_pause(receipt: Receipt) -> pb.PauseReplicationResponse:
    """Return that the order was stored."""
    return pb.PauseReplicationResponse(**_given(receipt))


def encode_resume(receipt: Receipt) -> pb.ResumeReplicationResponse:
    """Return that the order was stored."""
    return pb.ResumeReplicationResponse(**_given(receipt))


def encode_pin(receipt: Receipt, digest: str) -> pb.PinContentResponse:
    """Return that the order was stored, and what it is about."""
    return pb.PinContentResponse(**_given(receipt), digest=digest)


def encode_unpin(receipt: Receipt, digest: str) -> pb.UnpinContentResponse:
    """Return that the order was stored, and what it is about."""
    return pb.UnpinContentResponse(**_given(receipt), digest=digest)


def encode_policy(receipt: Receipt, name: str, digest: str) -> pb.SetPolicyResponse:
    """Return that the order was stored or could be, and the policy's name and hash."""
    return pb.SetPolicyResponse(**_given(receipt), policy=name, policy_hash=digest)


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """One page of what is in force; only the first one holds more than pins."""

    pins: Sequence[tuple[PinOrder, Sequence[Tag]]]
    """Each with the tags that point to it."""
    regions: Iterable[RegionOrder] = ()
    pauses: Iterable[PauseOrder] = ()
    policies: Iterable[PolicyStatus] = ()


def encode_orders(page: OrdersPage, token: str, basis: Basis) -> pb.ListOrdersResponse:
    """Return one page of the orders in force; *token* is empty on the last one."""
    return pb.ListOrdersResponse(
        regions=[_region(order) for order in page.regions],
        pauses=[_pause(order) for order in page.pauses],
        policies=[_policy(status) for status in page.policies],
        pins=[_pin(order, tags) for order, tags in page.pins],
        next_page_token=token,
        basis=encode_basis(basis),
    )


def _region(order: RegionOrder) -> pb.RegionOrder:
    state = cast("events_pb.RegionState.ValueType", int(order.state))
    proto = pb.RegionOrder(region=order.region, state=state)
    _put_term(order.term, proto)
    return proto


def _pause(order: PauseOrder) -> pb.PauseOrder:
    proto = pb.PauseOrder(region=order.region or "", excepted_regions=order.excepted)
    _put_term(order.term, proto)
    return proto


def _policy(status: PolicyStatus) -> pb.PolicyOrder:
    proto = pb.PolicyOrder(
        policy=status.name,
        policy_hash=status.digest,
        standing=cast("pb.PolicyStanding.ValueType", int(status.standing)),
        problem=status.problem,
        content=status.content,
    )
    if status.term is not None:
        _put_term(status.term, proto)
    return proto


def _pin(order: PinOrder, tags: Sequence[Tag]) -> pb.PinOrder:
    proto = pb.PinOrder(
        repository=order.repository,
        digest=order.digest,
        region=order.region or "",
        excepted_regions=order.excepted,
        tags=tags,
    )
    _put_term(order.term, proto)
    return proto


def _put_term(term: Term, proto: Any) -> None:  # noqa: ANN401 - any order
    """Write since when and until when an order holds; never is absent."""
    encode_time(term.order_time_ns, proto.order_time)
    if term.expire_time_ns:
        encode_time(term.expire_time_ns, proto.expire_time)
