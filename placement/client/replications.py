"""The client's copies: asked for, followed, called off, carried out, looked at."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Unpack
from uuid import uuid4

from placement.client.calls import call
from placement.client.estimates import parse_platform
from placement.client.freshness import Freshness, Question, asked, consistency
from placement.client.watching import followed, kept_up
from placement.v1 import events_pb2 as events_pb
from placement.v1 import replication_service_pb2 as pb

if TYPE_CHECKING:  # the name exists for type checkers alone
    from placement.v1.replication_service_pb2_grpc import ReplicationServiceAsyncStub

CHANGES: Final = frozenset({"copy", "removal", "closed"})
"""What of a replicator's items is a change, held until its bookmark has come."""

_ANY_STATUS: Final = pb.REPLICATION_STATUS_UNSPECIFIED
_ANY_TRIGGER: Final = events_pb.REPLICATION_TRIGGER_UNSPECIFIED
_ANY_KIND: Final = pb.DECISION_KIND_UNSPECIFIED


class ReplicationCalls:
    """The part of PlacementClient that is about copies."""

    _replication: "ReplicationServiceAsyncStub"
    _timeout_s: float

    async def request_replication(  # noqa: PLR0913 - the fields of the request
        self,
        repository: str,
        reference: str,
        target_region: str,
        *,
        deadline_time_ns: int | None = None,
        platform: str = "",
        actor: str = "",
        request_id: str = "",
        **freshness: Unpack[Freshness],
    ) -> pb.RequestReplicationResponse:
        """Ask for an image to be in a region by a time, nanoseconds since 1970.

        The same *request_id* is one request, however often it is made; empty: each
        call's own.
        """
        request = pb.RequestReplicationRequest(
            repository=repository,
            reference=reference,
            target_region=target_region,
            platform=parse_platform(platform),
            actor=actor,
            request_id=request_id or uuid4().hex,
            consistency=consistency(**freshness),
        )
        if deadline_time_ns is not None:
            request.deadline_time.FromNanoseconds(deadline_time_ns)
        return await call(
            self._replication.RequestReplication, request, self._timeout_s
        )

    async def cancel_replication(
        self, replication_id: str, actor: str, reason: str
    ) -> pb.CancelReplicationResponse:
        """Call off an open decision, whether it is to copy or to remove."""
        request = pb.CancelReplicationRequest(
            replication_id=replication_id, actor=actor, reason=reason
        )
        return await call(self._replication.CancelReplication, request, self._timeout_s)

    async def watch_replication(
        self,
        *,
        request_id: str = "",
        replication_id: str = "",
        **freshness: Unpack[Freshness],
    ) -> AsyncGenerator[pb.WatchReplicationResponse, None]:
        """Yield how far a request, or a decision, has come, until it has ended.

        Close it (``contextlib.aclosing``) when done before. It comes back by itself
        when the service goes away; then it may repeat what it said. Raises
        PlacementCallError as ``watch_placements`` does.
        """
        request = pb.WatchReplicationRequest(consistency=consistency(**freshness))
        if request_id:
            request.request_id = request_id
        else:
            request.replication_id = replication_id
        method = self._replication.WatchReplication
        async with aclosing(kept_up(method, request, self._timeout_s)) as responses:
            async for response in responses:
                if response is not None:
                    yield response
                    if response.progress.ended:
                        return

    async def watch_replications(
        self,
        target_region: str,
        *,
        include_removals: bool = False,
        resume_token: str = "",
    ) -> AsyncGenerator[pb.AssignmentItem, None]:
        """Yield what is to be carried out in a region, until closed; see the contract.

        Close it (``contextlib.aclosing``) when done. It comes back by itself, as
        ``watch_placements`` does, and raises what that raises.
        """
        request = pb.WatchReplicationsRequest(
            target_region=target_region,
            include_removals=include_removals,
            resume_token=resume_token,
        )
        method = self._replication.WatchReplications
        items = followed(method, request, self._timeout_s, CHANGES)
        async with aclosing(items):
            async for item in items:
                yield item

    async def list_replications(  # noqa: PLR0913 - the fields of the request
        self,
        target_region: str = "",
        repository: str = "",
        *,
        status: "pb.ReplicationStatus.ValueType" = _ANY_STATUS,
        trigger: "events_pb.ReplicationTrigger.ValueType" = _ANY_TRIGGER,
        kind: "pb.DecisionKind.ValueType" = _ANY_KIND,
        since_time_ns: int | None = None,
        until_time_ns: int | None = None,
        page_size: int = 0,
        **freshness: Unpack[Question],
    ) -> AsyncIterator[pb.ReplicationDecision]:
        """Yield decisions, the newest first, page by page."""
        request = pb.ListReplicationsRequest(
            target_region=target_region,
            repository=repository,
            status=status,
            trigger=trigger,
            kind=kind,
            page_size=page_size,
            **asked(**freshness),
        )
        if since_time_ns is not None:
            request.since_time.FromNanoseconds(since_time_ns)
        if until_time_ns is not None:
            request.until_time.FromNanoseconds(until_time_ns)
        method = self._replication.ListReplications
        while True:
            page = await call(method, request, self._timeout_s)
            for decision in page.replications:
                yield decision
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def get_replication(
        self, replication_id: str, **freshness: Unpack[Question]
    ) -> pb.GetReplicationResponse:
        """Return one decision, the evidence for it, and what came of it."""
        request = pb.GetReplicationRequest(
            replication_id=replication_id, **asked(**freshness)
        )
        return await call(self._replication.GetReplication, request, self._timeout_s)

    async def explain_start(
        self, machine_id: str, **freshness: Unpack[Question]
    ) -> pb.ExplainStartResponse:
        """Return why the last start of a machine was as it was."""
        request = pb.ExplainStartRequest(machine_id=machine_id, **asked(**freshness))
        return await call(self._replication.ExplainStart, request, self._timeout_s)
