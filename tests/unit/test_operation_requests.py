"""Orders on the wire: what a request becomes, and which event stores it."""

from dataclasses import replace

import pytest

from placement.core.errors import InputError, LimitInvalidError
from placement.core.event import (
    ContentPinned,
    Identifier,
    Name,
    Operation,
    RegionState,
    ReplicationPaused,
    ReplicationResumed,
    Text,
    TimeNs,
)
from placement.core.topology import REGION_COUNT_MAX, Region
from placement.v1 import events_pb2
from placement.v1 import operations_service_pb2 as pb
from placement.wire.events import decode_event, encode_event
from placement.wire.operation_requests import (
    PUBLISHER,
    Order,
    OrdersQuery,
    PinQuery,
    RegionQuery,
    RegionsQuery,
    decode_orders,
    decode_pause,
    decode_pin,
    decode_policy,
    decode_region_state,
    order_event,
)
from placement.wire.requests import PAGE_SIZE_DEFAULT, Consistency
from tests.builders import AMS, FRA, IAD, LATEST, START_NS, SYD, WEB, A

ANN = Operation(Name("ann"), Text("moving house"))
ASKED = replace(ANN, request_id=Identifier("r1"))
GIVEN = events_pb2.Operation(actor="ann", reason="moving house")


def named(order: Order, now_ns: int = START_NS, region: Region = IAD) -> str:
    """Return the id of the event that stores *order*."""
    return order_event(order, region, now_ns).event_id


def test_requests_become_domain_values() -> None:
    """Regions once each, in the order of their codes."""
    draining = events_pb2.REGION_STATE_DRAINING
    region = pb.SetRegionStateRequest(region=SYD, state=draining, operation=GIVEN)
    pause = pb.PauseReplicationRequest(regions=[SYD, AMS, SYD], operation=GIVEN)
    pin = pb.PinContentRequest(repository=WEB, reference=LATEST, operation=GIVEN)

    assert decode_region_state(region) == RegionQuery(SYD, RegionState.DRAINING, ANN)
    assert decode_pause(pause) == RegionsQuery((AMS, SYD), ANN)
    assert decode_pin(pin) == PinQuery(WEB, LATEST, (), ANN)
    assert decode_orders(pb.ListOrdersRequest()) == OrdersQuery(
        None, PAGE_SIZE_DEFAULT, "", Consistency()
    )


def test_more_regions_than_a_catalogue_holds_are_refused() -> None:
    """By number, before any of them is looked at."""
    codes = [f"r{number}" for number in range(REGION_COUNT_MAX + 1)]

    with pytest.raises(LimitInvalidError, match="regions: '201'"):
        decode_pause(pb.PauseReplicationRequest(regions=codes, operation=GIVEN))


def test_policy_of_blanks_is_no_policy() -> None:
    """An empty file would put all defaults in force by mistake."""
    with pytest.raises(InputError, match="give the name"):
        decode_policy(pb.SetPolicyRequest(content=" \n", operation=GIVEN))


def test_event_of_an_order_can_be_stored_and_read() -> None:
    """With the time at which the log stores it: an order holds by the log's clock."""
    order = ContentPinned(WEB, A, (SYD,), replace(ASKED, expire_time_ns=TimeNs(1)))

    event = order_event(order, SYD, START_NS)

    assert (event.region, event.occur_time_ns) == (SYD, None)
    assert (event.publisher, event.fact) == (PUBLISHER, order)
    assert decode_event(encode_event(event)) == event


def test_order_with_an_id_is_one_event_whenever_it_is_given() -> None:
    """Who gives it in which words does not matter: a retry may come from another."""
    again = replace(
        ASKED, actor=Name("bob"), reason=Text("on call"), expire_time_ns=TimeNs(9)
    )

    assert named(ReplicationPaused((SYD,), ASKED)) == named(
        ReplicationPaused((SYD,), again), START_NS + 1
    )


@pytest.mark.parametrize(
    "other",
    [
        ReplicationPaused((FRA,), ASKED),
        ReplicationPaused((), ASKED),
        ReplicationResumed((SYD,), ASKED),
        ReplicationPaused((SYD,), replace(ASKED, request_id=Identifier("r2"))),
        ReplicationPaused((SYD,), ANN),
    ],
)
def test_another_order_is_another_event(other: Order) -> None:
    """Of another kind, about other regions, by another request."""
    assert named(other) != named(ReplicationPaused((SYD,), ASKED))


def test_order_without_an_id_is_an_event_of_its_moment() -> None:
    """And of its words."""
    order = ReplicationPaused((SYD,), ANN)
    other = ReplicationPaused((SYD,), replace(ANN, actor=Name("bob")))

    assert named(order) == named(order)
    assert named(order) != named(order, START_NS + 1)
    assert named(order) != named(other)


@pytest.mark.parametrize("request_id", ["two words", "caf\u00e9", "x" * 129])
def test_odd_request_id_is_refused_by_its_name(request_id: str) -> None:
    """It is an identifier, as that of an event."""
    odd = events_pb2.Operation(actor="ann", reason="why", request_id=request_id)

    with pytest.raises(InputError, match=r"operation\.request_id"):
        decode_pause(pb.PauseReplicationRequest(operation=odd))
