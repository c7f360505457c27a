"""ReplicationService's watches: how far a copy has come, what a region is to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from placement.api.authority.caller import check_region
from placement.api.reading import Context, Reader
from placement.api.refusals import ReplicationUnknownError, RequestUnknownError
from placement.api.streaming import SendTimeoutError
from placement.api.watch_servicer import WatchLaggedError, last_token
from placement.core.assignments import Duties
from placement.core.decisions import find_decision
from placement.core.following import (
    Progress,
    asked_by,
    decision_progress,
    request_progress,
)
from placement.core.network import Network
from placement.runtime.watch import WatchHub
from placement.v1 import replication_service_pb2 as pb
from placement.v1.replication_service_pb2_grpc import ReplicationServiceServicer
from placement.wire.assignment_answers import encode_assignments
from placement.wire.replication_answers import encode_followed
from placement.wire.replication_requests import (
    FollowQuery,
    decode_duties,
    decode_follow,
)

SAY_AGAIN_S: Final = 10.0
"""Progress is told at least so often, whether or not there is any."""
ROUND_S: Final = 0.1
"""What happens within so long is told at once."""
LOOK_S: Final = 1.0
"""How soon the service's end is noticed, and that a time is over."""


class ReplicationWatches(ReplicationServiceServicer):
    """The part of ReplicationService that goes on for as long as somebody listens."""

    _reader: Reader
    _hub: WatchHub

    async def WatchReplication(  # noqa: N802 - gRPC's name
        self, request: pb.WatchReplicationRequest, context: Context
    ) -> AsyncIterator[pb.WatchReplicationResponse]:
        """Yield how far a request or a decision has come, until it has ended."""
        query = decode_follow(request)
        basis = await self._reader.settled(query.consistency, context)
        clock = asyncio.get_running_loop().time
        told: tuple[object, ...] = ()
        due_s = 0.0
        with self._hub.seat():
            while not self._hub.stopped:
                position = self._reader.view.position
                progress = followed(self._reader.network(basis), query)
                if progress.news != told or clock() >= due_s:
                    told, due_s = progress.news, clock() + SAY_AGAIN_S
                    try:
                        yield encode_followed(progress, basis)
                    except SendTimeoutError:
                        raise WatchLaggedError("") from None
                if progress.ended:
                    return
                await asyncio.sleep(ROUND_S)
                await self._changed(position)
                basis = self._reader.view.basis()

    async def WatchReplications(  # noqa: N802 - gRPC's name
        self, request: pb.WatchReplicationsRequest, context: Context
    ) -> AsyncIterator[pb.WatchReplicationsResponse]:
        """Yield what is to be carried out in a region, until the caller or we leave."""
        del context  # sending is the interceptor's
        query = decode_duties(request)
        check_region(query.region)
        topology, token = self._reader.topology, query.resume_token
        duties = Duties(topology.known(query.region), topology, query.removals)
        async with aclosing(self._hub.watch(duties, token)) as batches:
            async for batch in batches:
                for response in encode_assignments(batch):
                    try:
                        yield response
                    except SendTimeoutError:
                        raise WatchLaggedError(token) from None
                token = last_token(batch) or token

    async def _changed(self, position: tuple[int, int]) -> None:
        """Wait until more is folded, or for LOOK_S."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._reader.view.changed(position)
        except TimeoutError:
            return


def followed(network: Network, query: FollowQuery) -> Progress:
    """Return how far what is followed has come.

    Raises RequestUnknownError and ReplicationUnknownError.
    """
    if query.request_id:
        asked = asked_by(network.state, query.request_id)
        if asked is None:
            raise RequestUnknownError(query.request_id)
        return request_progress(network, asked)
    record = find_decision(network.state, query.replication_id)
    if record is None:
        raise ReplicationUnknownError(query.replication_id)
    return decision_progress(network, record)
