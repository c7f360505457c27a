"""PlacementClient: a running service's answers, as typed methods."""

from collections.abc import AsyncIterator, Sequence
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack, cast

import grpc

from placement.client.calls import call
from placement.client.channels import Channels
from placement.client.errors import PlacementCallError
from placement.client.estimates import EstimateCalls
from placement.client.freshness import Question, asked, consistency
from placement.client.operations import OperationCalls
from placement.client.replications import ReplicationCalls
from placement.client.reports import ReportCalls
from placement.client.tls import ClientTls
from placement.client.watching import WatchCalls
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from placement.v1.event_service_pb2_grpc import EventServiceStub
from placement.v1.operations_service_pb2_grpc import OperationsServiceStub
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from placement.v1.replication_service_pb2_grpc import ReplicationServiceStub
from placement.v1.report_service_pb2_grpc import ReportServiceStub

if TYPE_CHECKING:  # it reads columns by numpy
    from placement.client.packed import PackedRankings

TIMEOUT_S = 2.0
HOLDS_S = 1.0
BEHIND = frozenset({"STATE_BEHIND", "DEADLINE_EXCEEDED"})


class PlacementClient(
    EstimateCalls, OperationCalls, ReplicationCalls, ReportCalls, WatchCalls
):
    """Asks a service. Use it as an async context manager, or ``close`` it.

    Every method raises PlacementCallError. While the service is UNAVAILABLE a call is
    repeated with jitter until its time is over; every call is safe to repeat. A client
    belongs to the event loop that it is used in, and to no other thread.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        timeout_s: float = TIMEOUT_S,
        tls: ClientTls | None = None,
    ) -> None:
        """Ask the service at *target*, host:port, with *timeout_s* for each call.

        Of several targets the first is asked until it fails, then the next one. Raises
        InputError for none, or more than 16.
        """
        self._timeout_s = timeout_s
        self._channels = Channels(target, tls)
        channel = cast("grpc.aio.Channel", self._channels)  # as far as stubs need one
        self._placement = PlacementServiceStub(channel)
        self._replication = ReplicationServiceStub(channel)
        self._operations = OperationsServiceStub(channel)
        self._reports = ReportServiceStub(channel)
        self._events = EventServiceStub(channel)

    def within(self, timeout_s: float) -> Self:
        """Return this client with another time for each call: ``within(0.1).…``.

        It shares the connection, and is closed with the client that it was made of.
        """
        other = copy(self)
        other._timeout_s = timeout_s  # noqa: SLF001 - it is of this class
        return other

    async def __aenter__(self) -> Self:
        """Open the channel; the connection is made by the first call.

        Raises InputError for certificates that cannot be read.
        """
        self._channels.chosen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """End what is under way with CANCELLED, and the connection; twice is as once.

        A call that is made later raises RuntimeError.
        """
        await self._channels.close()

    async def rank_sources(
        self,
        repository: str,
        digest: str,
        region: str,
        max_source_count: int = 0,
        **freshness: Unpack[Question],
    ) -> pb.RankSourcesResponse:
        """Return the regions to pull from, best first, and the fallback."""
        request = rank_request(
            repository, digest, region, max_source_count, **freshness
        )
        return await call(self._placement.RankSources, request, self._timeout_s)

    async def batch_rank_sources(
        self,
        repository: str,
        digests: Sequence[str],
        region: str,
        max_source_count: int = 0,
        **freshness: Unpack[Question],
    ) -> pb.BatchRankSourcesResponse:
        """Return the sources of at most 1,024 contents of one repository."""
        request = pb.BatchRankSourcesRequest(
            repository=repository,
            digests=digests,
            region=region,
            max_source_count=max_source_count,
            **asked(**freshness),
        )
        return await call(self._placement.BatchRankSources, request, self._timeout_s)

    async def batch_rank_sources_packed(
        self,
        repository: str,
        digests: Sequence[str],
        region: str,
        max_source_count: int = 0,
        **freshness: Unpack[Question],
    ) -> "PackedRankings":
        """Return the sources of at most 16,384 contents, by their SHA-256 digests."""
        from placement.client.packed import (  # noqa: PLC0415 - numpy, 0.1 s
            PackedRankings,
        )

        request = packed_request(
            repository, digests, region, max_source_count, **freshness
        )
        method = self._placement.BatchRankSourcesPacked
        return PackedRankings(await call(method, request, self._timeout_s))

    async def resolve_reference(
        self, repository: str, reference: str, **freshness: Unpack[Question]
    ) -> pb.ResolveReferenceResponse:
        """Return what a tag points to, who set it and when."""
        request = pb.ResolveReferenceRequest(
            repository=repository,
            reference=reference,
            **asked(**freshness),
        )
        return await call(self._placement.ResolveReference, request, self._timeout_s)

    async def get_placement(
        self, repository: str, reference: str, **freshness: Unpack[Question]
    ) -> pb.GetPlacementResponse:
        """Return where an image or blob is, and who uses it."""
        request = pb.GetPlacementRequest(
            repository=repository,
            reference=reference,
            **asked(**freshness),
        )
        return await call(self._placement.GetPlacement, request, self._timeout_s)

    async def list_replicas(
        self,
        region: str = "",
        repository: str = "",
        page_size: int = 0,
        **freshness: Unpack[Question],
    ) -> AsyncIterator[pb.Replica]:
        """Yield every replica, by repository, digest and region, page by page."""
        token = ""
        while True:
            page = await self.list_replicas_page(
                region, repository, page_size, token, **freshness
            )
            for replica in page.replicas:
                yield replica
            token = page.next_page_token
            if not token:
                return

    async def list_replicas_page(
        self,
        region: str = "",
        repository: str = "",
        page_size: int = 0,
        page_token: str = "",
        **freshness: Unpack[Question],
    ) -> pb.ListReplicasResponse:
        """Return one page; it may be short, even empty, and still have a next one."""
        request = pb.ListReplicasRequest(
            region=region,
            repository=repository,
            page_size=page_size,
            page_token=page_token,
            **asked(**freshness),
        )
        return await call(self._placement.ListReplicas, request, self._timeout_s)

    async def get_service_info(
        self, *, include_fingerprint: bool = False
    ) -> pb.GetServiceInfoResponse:
        """Return what the service is; a fingerprint makes it read its whole state."""
        request = pb.GetServiceInfoRequest(include_fingerprint=include_fingerprint)
        return await call(self._placement.GetServiceInfo, request, self._timeout_s)

    async def preview_replications(  # noqa: PLR0913 - the fields of the request
        self,
        repository: str = "",
        reference: str = "",
        target_region: str = "",
        *,
        policy: str = "",
        policy_content: str = "",
        max_transfer_bytes: int = 0,
        max_replication_count: int = 0,
        **freshness: Unpack[Question],
    ) -> replication_pb.PreviewReplicationsResponse:
        """Return the copies that would be decided now, best value first.

        By a built-in policy's name, by a whole one as TOML, or by the one in force.
        """
        request = replication_pb.PreviewReplicationsRequest(
            repository=repository,
            reference=reference,
            target_region=target_region,
            policy=policy,
            policy_content=policy_content,
            max_transfer_bytes=max_transfer_bytes,
            max_replication_count=max_replication_count,
            **asked(**freshness),
        )
        return await call(
            self._replication.PreviewReplications, request, self._timeout_s
        )

    async def publish_events(
        self, events: Sequence[events_pb.Event]
    ) -> event_pb.PublishEventsResponse:
        """Store at most 512 events; repeating is safe, their ids are remembered."""
        request = event_pb.PublishEventsRequest(events=events)
        return await call(self._events.PublishEvents, request, self._timeout_s)

    async def holds(self, token: str) -> bool:
        """Say whether the service has folded what *token* stands for.

        It is given HOLDS_S to do so. What the log lost it never will: see ``Outbox``.
        """
        request = pb.ListRoutesRequest(consistency=consistency(token, fail=True))
        try:
            await call(self._placement.ListRoutes, request, HOLDS_S)
        except PlacementCallError as error:
            if error.reason in BEHIND:
                return False
            raise
        return True


def rank_request(
    repository: str,
    digest: str,
    region: str,
    max_source_count: int = 0,
    **freshness: Unpack[Question],
) -> pb.RankSourcesRequest:
    """Return what ``PlacementClient.rank_sources`` asks."""
    return pb.RankSourcesRequest(
        repository=repository,
        digest=digest,
        region=region,
        max_source_count=max_source_count,
        **asked(**freshness),
    )


def packed_request(
    repository: str,
    digests: Sequence[str],
    region: str,
    max_source_count: int = 0,
    **freshness: Unpack[Question],
) -> pb.BatchRankSourcesPackedRequest:
    """Return what ``PlacementClient.batch_rank_sources_packed`` asks."""
    from placement.client.packed import pack_digests  # noqa: PLC0415 - numpy, 0.1 s

    return pb.BatchRankSourcesPackedRequest(
        repository=repository,
        sha256_digests=pack_digests(digests),
        region=region,
        max_source_count=max_source_count,
        **asked(**freshness),
    )
