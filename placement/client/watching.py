"""The client's watch: a stream of items that outlives connections and services.

Changes are handed on when their bookmark has come, so that a broken connection never
makes the caller see a change twice, or an older one after a newer one. A snapshot is
handed on as it comes: where its connection breaks, another one begins.
"""

import asyncio
import random
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
from google.protobuf.message import Message as ProtoMessage

from placement.client.calls import HANGS, closed_error, leave, told_to_end
from placement.client.channels import Method
from placement.client.errors import (
    PlacementCallError,
    call_error,
    patience_s,
    silent_error,
)
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb

if TYPE_CHECKING:  # the name exists for type checkers alone
    from placement.v1.placement_service_pb2_grpc import PlacementServiceAsyncStub

SILENCE_S: Final = 30.0
"""A bookmark comes every ten seconds; after so long nobody is there."""
FIRST_WAIT_S: Final = 0.1
LAST_WAIT_S: Final = 5.0

CHANGES: Final = frozenset({"placement", "tag"})
"""What of a watcher's items is a change, held until its bookmark has come."""

Watched = Callable[[Any], Any]
"""A method of a stub that answers with a stream: one call of it."""

_FINAL: Final = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""To come again would be to fail again."""


class WatchCalls:
    """The part of PlacementClient that watches."""

    _placement: "PlacementServiceAsyncStub"
    _timeout_s: float

    async def watch_placements(
        self,
        regions: Sequence[str] = (),
        repository_prefixes: Sequence[str] = (),
        *,
        include_tags: bool = False,
        resume_token: str = "",
    ) -> AsyncGenerator[pb.WatchItem, None]:
        """Yield where content is, then what changes, until closed; see the contract.

        Close it (``contextlib.aclosing``) when done. It comes back by itself, with
        jitter, when the service goes away or says nothing for SILENCE_S. Raises
        PlacementCallError when the request is at fault, or when the service was never
        reached within the client's timeout, or never said anything.
        """
        request = pb.WatchPlacementsRequest(
            regions=regions,
            repository_prefixes=repository_prefixes,
            include_tags=include_tags,
            resume_token=resume_token,
        )
        method: Watched = self._placement.WatchPlacements
        items = followed(method, request, self._timeout_s, CHANGES)
        async with aclosing(items):
            async for item in items:
                yield item


async def followed(
    method: Watched,
    request: pb.WatchPlacementsRequest | replication_pb.WatchReplicationsRequest,
    timeout_s: float,
    kinds: frozenset[str],
) -> AsyncGenerator[Any, None]:
    """Yield the items of a watch, however often it has to be begun again.

    *kinds* are those of its items that are changes. Raises as ``kept_up`` does.
    """
    progress = Progress(request.resume_token, kinds)
    async with aclosing(kept_up(method, request, timeout_s)) as responses:
        async for response in responses:
            if response is None:
                progress.broken()
                request.resume_token = progress.resume_token
                continue
            for item in progress.handed_on(response.items):
                yield item


async def kept_up(
    method: Watched,
    request: ProtoMessage,
    timeout_s: float,
    chance: Callable[[], float] = random.random,
) -> AsyncGenerator[Any, None]:
    """Yield what one call after the other brings, and None where one is over.

    *request* may be changed by then. Before the next call it waits for a *chance*, 0 to
    1, of a time that doubles: those who lost a service do not come back as one. If the
    service says when it has room again, it waits for that, too. Raises
    PlacementCallError when the request is at fault, or when the service was never
    reached within *timeout_s*, or each target was silent for SILENCE_S.
    """
    clock = asyncio.get_running_loop().time
    deadline_s, wait_s = clock() + timeout_s, FIRST_WAIT_S
    unheard = len(cast("Method", method).channels.targets)
    while True:
        least_s = 0.0
        try:
            async with aclosing(_responses(method, request)) as responses:
                async for response in responses:
                    deadline_s, wait_s = float("inf"), FIRST_WAIT_S
                    yield response
        except PlacementCallError as error:
            unheard -= error.code is HANGS
            late = clock() + wait_s > deadline_s
            others = error.code is HANGS and unheard > 0
            if error.code in _FINAL or (late and not others):
                raise
            least_s = patience_s(error, chance())
        yield None
        await asyncio.sleep(max(least_s, wait_s * chance()))
        wait_s = min(2 * wait_s, LAST_WAIT_S)


class Progress:
    """What of a watch may be handed on, and where it goes on."""

    def __init__(self, resume_token: str, kinds: frozenset[str]) -> None:
        """Go on at *resume_token*; empty: with a snapshot. *kinds* are changes."""
        self.resume_token = resume_token
        self._kinds = kinds
        self._in_snapshot = False
        self._held: list[Any] = []

    def handed_on(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield what is certain by *items*; changes are held until their bookmark."""
        for item in items:
            kind = item.WhichOneof("item")
            if kind == "snapshot_began":
                # What the caller knew is void from here on.
                self.resume_token, self._in_snapshot = "", True
                self._held.clear()
            if kind == "bookmark":
                held, self._held, self._in_snapshot = self._held, [], False
                yield from held
                self.resume_token = item.bookmark.resume_token
            if kind in self._kinds and not self._in_snapshot:
                self._held.append(item)
            elif kind is not None:  # else a newer service's, which we did not ask for
                yield item

    def broken(self) -> None:
        """Forget what was not certain when the connection broke."""
        self._in_snapshot = False
        self._held.clear()


async def _responses(
    method: Watched, request: ProtoMessage
) -> AsyncGenerator[Any, None]:
    """Yield what one call brings, until it ends.

    Raises PlacementCallError, DEADLINE_EXCEEDED when it is silent for too long.
    """
    channels = cast("Method", method).channels
    place = channels.place
    started = method(request)
    responses: AsyncIterator[Any] = aiter(started)
    try:
        while True:
            async with asyncio.timeout(SILENCE_S):
                response = await anext(responses, None)
            if response is None:
                return
            yield response
    except TimeoutError:
        leave(channels, place, HANGS)
        raise silent_error(SILENCE_S) from None
    except grpc.aio.AioRpcError as error:
        failure = call_error(error)
        leave(channels, place, failure.code)
        raise failure from None
    except asyncio.CancelledError:
        if told_to_end():
            raise
        raise closed_error() from None
    finally:
        started.cancel()  # grpc.aio never collects what is abandoned
