"""The part of OperationsService that gives the checkpoint to other services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from placement.api.reading import Context
from placement.api.streaming import SEND_SECONDS_MAX, SendTimeoutError
from placement.offers import (
    CheckpointBusyError,
    CheckpointUnsharedError,
    Offer,
)
from placement.runtime.sharing import Sharing
from placement.v1 import operations_service_pb2 as pb
from placement.v1.operations_service_pb2_grpc import OperationsServiceServicer
from placement.wire.checkpoint_streams import decode_stream, encode_item

WAIT_SECONDS_MIN: Final = 0.002
"""Less is not worth a timer: it is waited for with the next."""


class CheckpointStreams(OperationsServiceServicer):
    """Sends what ``Sharing`` offers, at its pace."""

    _sharing: Sharing | None

    async def StreamCheckpoint(  # noqa: N802 - gRPC's name
        self, request: pb.StreamCheckpointRequest, context: Context
    ) -> AsyncIterator[pb.StreamCheckpointResponse]:
        """Yield an offer, then its chunks, no faster than others can bear."""
        del context  # sending is the interceptor's
        query = decode_stream(request)
        if self._sharing is None:
            message = "this service shares no checkpoint"
            raise CheckpointUnsharedError(message)
        pace = _Pace(self._sharing.settings.bytes_per_second)
        async with aclosing(self._sharing.stream(*query)) as items:
            async for item in items:
                for response in encode_item(item):
                    try:
                        yield response
                    except SendTimeoutError:
                        message = f"nothing was read for {SEND_SECONDS_MAX:g} seconds"
                        raise CheckpointBusyError(message) from None
                    if isinstance(item, Offer):
                        pace.begin()
                    else:
                        await pace.sent(len(response.part.body))


class _Pace:
    """Waits as often as needed to send no more than so many bytes a second."""

    def __init__(self, bytes_per_second: int) -> None:
        self._per_second = bytes_per_second
        self._due_s = 0.0

    def begin(self) -> None:
        """Begin now."""
        self._due_s = asyncio.get_running_loop().time()

    async def sent(self, size: int) -> None:
        """Return when more may be sent; lets others in, in any case."""
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s, now_s - WAIT_SECONDS_MIN)
        self._due_s += size / self._per_second
        wait_s = self._due_s - now_s
        await asyncio.sleep(wait_s if wait_s > WAIT_SECONDS_MIN else 0)
