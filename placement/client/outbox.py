"""Outbox: what was published lately, to be published again should the log lose it.

A broker that loses power may lose what it acknowledged last, and goes on under the same
name. The service notices, and nobody but the publisher still has those events.

    outbox = Outbox(client)
    await outbox.publish(events)
    ...
    await outbox.reconcile()  # every few seconds, and after every outage
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import events_pb2 as events_pb

KEPT_SECONDS: Final = 600.0
"""A broker that does not wait for its disk writes every two minutes at the latest."""
KEPT_MAX: Final = 100_000
BATCH_EVENTS_MAX: Final = 512


class Publishing(Protocol):
    """What an outbox needs of a client."""

    async def publish_events(
        self, events: Sequence[events_pb.Event]
    ) -> event_pb.PublishEventsResponse:
        """Store *events*."""

    async def holds(self, token: str) -> bool:
        """Say whether the service has folded what *token* stands for."""


@dataclass(frozen=True, slots=True)
class _Kept:
    event: events_pb.Event
    token: str
    published_s: float


class Outbox:
    """Publishes, and keeps what it published in memory: KEPT_MAX events at the most."""

    def __init__(
        self,
        client: Publishing,
        kept_seconds: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Publish by *client*, which is entered, and keep events for *kept_seconds*."""
        self._client = client
        self._kept_seconds = kept_seconds
        self._clock = clock
        self._kept: deque[_Kept] = deque(maxlen=KEPT_MAX)

    def __len__(self) -> int:
        """Return how many events are kept."""
        return len(self._kept)

    async def publish(
        self, events: Sequence[events_pb.Event]
    ) -> event_pb.PublishEventsResponse:
        """Store at most 512 *events*, as ``publish_events`` does, and keep them."""
        response = await self._client.publish_events(events)
        now_s = self._clock()
        for event, result in zip(events, response.results, strict=True):
            if result.token:  # a rejected one has none
                self._kept.append(_Kept(event, result.token, now_s))
        while self._kept and self._kept[0].published_s < now_s - self._kept_seconds:
            self._kept.popleft()
        return response

    async def reconcile(self) -> int:
        """Publish again what the log lost; return how many events that may have been.

        A log loses its end, and others may have stored since: from the first event that
        is not there on, all that is kept is published again. That is harmless for those
        that are there. Raises PlacementCallError; then call it again.
        """
        for token in dict.fromkeys(one.token for one in self._kept):
            if not await self._client.holds(token):
                return await self._publish_from(token)
        return 0

    async def _publish_from(self, token: str) -> int:
        """Publish again all from the first event on that *token* stands for."""
        kept = list(self._kept)
        first = next(n for n, one in enumerate(kept) if one.token == token)
        lost = [one.event for one in kept[first:]]
        for begin in range(0, len(lost), BATCH_EVENTS_MAX):
            await self.publish(lost[begin : begin + BATCH_EVENTS_MAX])
        again = set(map(id, kept[first:]))  # each is kept once more, with its new token
        left = (one for one in self._kept if id(one) not in again)
        self._kept = deque(left, maxlen=KEPT_MAX)
        return len(lost)
