"""Another service, asked for its checkpoint."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import grpc

from placement.client.channels import open_channel
from placement.client.errors import call_error
from placement.client.tls import ClientTls
from placement.offers import HashedChunk, Offer, PeerError
from placement.v1.operations_service_pb2_grpc import OperationsServiceStub
from placement.wire.checkpoint_streams import Parts, StreamQuery, encode_stream

FIRST_SECONDS_MAX: Final = 300.0
"""An offer is made of a copy, which takes as long as the checkpoint is large."""
SILENT_SECONDS_MAX: Final = 30.0
_AGAIN: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
"""What a connection that broke, or a peer that is busy or was killed, looks like."""


class GrpcPeer:
    """The Peer that answers at a target, HOST:PORT."""

    def __init__(self, target: str, tls: ClientTls | None) -> None:
        """Ask at *target*; nothing is opened yet."""
        self._target = target
        self._tls = tls

    @property
    def name(self) -> str:
        """Its target."""
        return self._target

    async def stream(
        self, fold_version: int, checkpoint_id: str, held_count: int
    ) -> AsyncGenerator[Offer | HashedChunk, None]:
        """Yield what it sends; raises PeerError and CheckpointRefusedError."""
        request = encode_stream(StreamQuery(fold_version, checkpoint_id, held_count))
        async with open_channel(self._target, self._tls) as channel:
            call = OperationsServiceStub(channel).StreamCheckpoint(request)
            parts, patience_s = Parts(), FIRST_SECONDS_MAX
            try:
                while (response := await _next(call, patience_s)) is not None:
                    patience_s = SILENT_SECONDS_MAX
                    item = parts.take(response)
                    if item is not None:
                        yield item
            finally:
                call.cancel()


async def _next(call: Any, patience_s: float) -> Any:  # noqa: ANN401 - as the stub's
    """Return the next response, None at the end; raises PeerError."""
    try:
        async with asyncio.timeout(patience_s):
            response = await call.read()
    except TimeoutError:
        message = f"it said nothing for {patience_s:g} s"
        raise PeerError(message, again=True) from None
    except grpc.aio.AioRpcError as error:
        told = call_error(error)
        message = f"{told.reason}: {told}"
        raise PeerError(message, again=told.code in _AGAIN) from None
    return None if response is grpc.aio.EOF else response
