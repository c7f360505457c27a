"""The client's orders: what operators tell the service, and what is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Unpack
from uuid import uuid4

from placement.client.calls import call
from placement.client.freshness import Freshness, Question, asked, consistency
from placement.core.errors import InputError
from placement.v1 import events_pb2 as events_pb
from placement.v1 import operations_service_pb2 as pb

if TYPE_CHECKING:  # the name exists for type checkers alone
    from placement.v1.operations_service_pb2_grpc import OperationsServiceAsyncStub

REGION_STATES: Final = {
    "active": events_pb.REGION_STATE_ACTIVE,
    "draining": events_pb.REGION_STATE_DRAINING,
    "down": events_pb.REGION_STATE_DOWN,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """Who gives an order, why, and until when."""

    actor: str
    reason: str
    expire_time_ns: int | None = None
    """When the order ends by itself, nanoseconds since 1970; None: never."""
    request_id: str = ""
    """The same order with the same id is one order; empty: each call's own."""


class OperationCalls:
    """The part of PlacementClient that gives orders.

    Each order is stored once, however often its call had to be repeated.
    """

    _operations: "OperationsServiceAsyncStub"
    _timeout_s: float

    async def set_region_state(
        self, region: str, state: str, operation: Operation
    ) -> pb.SetRegionStateResponse:
        """Say what a region may be used for: ``active``, ``draining`` or ``down``.

        Raises InputError for another state.
        """
        if state not in REGION_STATES:
            remedy = f"give one of {', '.join(REGION_STATES)}"
            raise InputError("state", state, remedy)
        request = pb.SetRegionStateRequest(
            region=region, state=REGION_STATES[state], operation=_encoded(operation)
        )
        return await call(self._operations.SetRegionState, request, self._timeout_s)

    async def pause_replication(
        self, operation: Operation, regions: Sequence[str] = ()
    ) -> pb.PauseReplicationResponse:
        """Stop new copies into *regions*; none means into all."""
        request = pb.PauseReplicationRequest(
            regions=regions, operation=_encoded(operation)
        )
        return await call(self._operations.PauseReplication, request, self._timeout_s)

    async def resume_replication(
        self, operation: Operation, regions: Sequence[str] = ()
    ) -> pb.ResumeReplicationResponse:
        """Allow new copies into *regions* again; none means into all."""
        request = pb.ResumeReplicationRequest(
            regions=regions, operation=_encoded(operation)
        )
        return await call(self._operations.ResumeReplication, request, self._timeout_s)

    async def pin_content(
        self,
        repository: str,
        reference: str,
        operation: Operation,
        regions: Sequence[str] = (),
        **freshness: Unpack[Freshness],
    ) -> pb.PinContentResponse:
        """Let content stay in *regions*; none means wherever it is."""
        request = pb.PinContentRequest(
            repository=repository,
            reference=reference,
            regions=regions,
            operation=_encoded(operation),
            consistency=consistency(**freshness),
        )
        return await call(self._operations.PinContent, request, self._timeout_s)

    async def unpin_content(
        self,
        repository: str,
        reference: str,
        operation: Operation,
        regions: Sequence[str] = (),
        **freshness: Unpack[Freshness],
    ) -> pb.UnpinContentResponse:
        """Let content in *regions* go again; none means everywhere."""
        request = pb.UnpinContentRequest(
            repository=repository,
            reference=reference,
            regions=regions,
            operation=_encoded(operation),
            consistency=consistency(**freshness),
        )
        return await call(self._operations.UnpinContent, request, self._timeout_s)

    async def set_policy(
        self, operation: Operation, *, name: str = "", content: str = ""
    ) -> pb.SetPolicyResponse:
        """Put a built-in policy in force by *name*, or the one that *content* is."""
        request = pb.SetPolicyRequest(
            name=name, content=content, operation=_encoded(operation)
        )
        return await call(self._operations.SetPolicy, request, self._timeout_s)

    async def check_policy(
        self, *, name: str = "", content: str = ""
    ) -> pb.SetPolicyResponse:
        """Say whether a policy could be put in force; nothing is stored."""
        request = pb.SetPolicyRequest(name=name, content=content, validate_only=True)
        return await call(self._operations.SetPolicy, request, self._timeout_s)

    async def list_orders(
        self,
        repository: str = "",
        page_size: int = 0,
        page_token: str = "",
        **freshness: Unpack[Question],
    ) -> pb.ListOrdersResponse:
        """Return the orders in force: a page of pins, the first with all others."""
        request = pb.ListOrdersRequest(
            repository=repository,
            page_size=page_size,
            page_token=page_token,
            **asked(**freshness),
        )
        return await call(self._operations.ListOrders, request, self._timeout_s)


def _encoded(operation: Operation) -> events_pb.Operation:
    """Return *operation* with an id, so that a repeated call gives one order."""
    proto = events_pb.Operation(
        actor=operation.actor,
        reason=operation.reason,
        request_id=operation.request_id or uuid4().hex,
    )
    if operation.expire_time_ns is not None:
        proto.expire_time.FromNanoseconds(operation.expire_time_ns)
    return proto
