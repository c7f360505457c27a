"""PlacementService's watch: what is stored where, and every change of it."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import aclosing
from typing import Any, TypeVar

from placement.api.reading import Context
from placement.api.seeing import seen
from placement.api.streaming import SEND_SECONDS_MAX, SendTimeoutError
from placement.core.errors import PlacementError
from placement.core.packing.selection import PackedInterest
from placement.core.watched import Bookmark, Item, Watchable
from placement.runtime.watch import WatchHub
from placement.runtime.watcher import Frame
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceServicer
from placement.wire.packed_answers import encode_packed
from placement.wire.watch_answers import encode_told
from placement.wire.watch_requests import decode_watch

Response = TypeVar("Response", pb.WatchPlacementsResponse, bytes)
"""A message, or one that is written already: the interceptor sends both."""


class WatchLaggedError(PlacementError):
    """The watcher read nothing for so long that it is let go."""

    reason = "WATCH_LAGGED"

    def __init__(self, resume_token: str) -> None:
        """Keep where it can go on; empty: with a snapshot."""
        super().__init__(
            f"the watcher read nothing for {SEND_SECONDS_MAX:g} seconds",
            resume_token=resume_token,
        )


class WatchAnswers(PlacementServiceServicer):
    """The part of PlacementService that goes on for as long as somebody listens."""

    _hub: WatchHub

    async def WatchPlacements(  # noqa: N802 - gRPC's name
        self, request: pb.WatchPlacementsRequest, context: Context
    ) -> AsyncIterator[pb.WatchPlacementsResponse]:
        """Yield what is watched, then its changes, until the caller or we leave."""
        del context  # sending is the interceptor's
        query = decode_watch(request)
        interest = seen(query.interest)
        responses: AsyncGenerator[Any, None]
        if query.packed:
            packed = PackedInterest(interest, self._hub.chunks)
            responses = self._told(packed, encode_packed, query.resume_token)
        else:
            responses = self._told(interest, encode_told, query.resume_token)
        async with aclosing(responses):
            async for response in responses:
                try:
                    yield response
                except SendTimeoutError:
                    await responses.athrow(SendTimeoutError())

    async def _told(
        self,
        interest: Watchable[Item],
        encode: Callable[[tuple[Item | Frame, ...]], Iterator[Response]],
        token: str,
    ) -> AsyncGenerator[Response, None]:
        """Yield what is told of *interest* from *token* on.

        Raises WatchLaggedError when it is told that nobody took a response in time.
        """
        async with (
            aclosing(self._hub.watch(interest, token)) as watched,
            aclosing(one_ahead(watched)) as batches,
        ):
            async for batch in batches:
                for response in encode(batch):
                    try:
                        yield response
                    except SendTimeoutError:
                        raise WatchLaggedError(token) from None
                token = last_token(batch) or token


async def one_ahead(items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """Yield *items*, and let the next one be made while one is sent."""
    coming = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await coming) is not None:
            coming = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        coming.cancel()
        await asyncio.wait({coming})
        if not coming.cancelled():
            coming.exception()  # whoever asked for it was told, or has left


def last_token(batch: Iterable[object]) -> str:
    """Return the token of the last bookmark in *batch*; empty when there is none."""
    tokens = [item.token for item in batch if isinstance(item, Bookmark)]
    return tokens[-1] if tokens else ""
