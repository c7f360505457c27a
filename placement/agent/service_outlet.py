"""Events through a service's PublishEvents, for agents that do not reach NATS.

A call is refused as a whole for one event in it: it is halved until that one is alone.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from placement.agent.outlets import Delivered, Rejected, later
from placement.client import PlacementCallError, PlacementClient
from placement.core.event import (
    ContentAnnounced,
    ContentPushed,
    ContentReplicated,
    Event,
    InventoryTaken,
)
from placement.core.topology import Region
from placement.runtime.tokens import parse_token
from placement.spooling import Position
from placement.wire.events import encode_event, encoded_batches
from placement.wire.json import plain

UNKNOWN: Final = (1 << 62) - 1
"""A sequence after all others: the service does not say where its log ends."""
FIELD_FAULT: Final = "INVALID_ARGUMENT"
DENIED: Final = frozenset({"FACT_FORBIDDEN", "REGION_FORBIDDEN"})
"""What will never be permitted, whoever repeats it."""
ANOTHERS: Final = "REGION_FORBIDDEN"
TOO_NEW: Final = "CONTENT_LIMIT"
TRUSTED_STATES: Final = frozenset({"SERVING_STATE_DEGRADED", "SERVING_STATE_LIVE"})
REFUSALS_MAX: Final = 12
"""So many refusals for new contents are borne in a round: enough for a half of a half
of a full call down to one event."""
REFUSED_SECONDS_MAX: Final = 1.0
"""The service reads nothing of whoever comes sooner; more is waited for elsewhere."""
BRINGERS: Final = (ContentAnnounced, ContentPushed, ContentReplicated, InventoryTaken)
"""Facts that name contents which nobody knew; the others hardly ever do."""


@dataclass
class _Patience:
    """What is left of a round's, and the last refusal that took of it."""

    left: int = REFUSALS_MAX
    refusal: PlacementCallError | None = None


class ServiceOutlet:
    """Through a service's PublishEvents, for those who do not reach NATS."""

    hides = False

    def __init__(
        self,
        client: PlacementClient,
        region: Region | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Publish by *client*, which is entered, for an agent of *region*.

        *chance* says which half of a refused call comes first.
        """
        self._client = client
        self._region = region
        self._chance = chance

    async def publish(self, events: Sequence[Event]) -> Delivered:
        """Store *events*; what the service rejects is named."""
        patience = _Patience()
        batches = [batch for batch, _ in encoded_batches(events)]
        return await self._each(batches, patience)

    async def end(self) -> Position | None:
        """Return how far the service is, if what it says can be relied on."""
        basis = plain(await self._client.get_service_info())["basis"]
        if basis["state"] not in TRUSTED_STATES or not basis["epoch"]:
            return None
        return Position(basis["epoch"], UNKNOWN)

    async def holds(self, position: Position) -> bool:
        """Say yes: a service that notices a loss calls the log by another name."""
        del position
        return True

    async def _each(
        self, batches: Sequence[list[Event]], patience: _Patience
    ) -> Delivered:
        """Publish each of *batches*; return what became of all."""
        position: Position | None = None
        rejected: list[Rejected] = []
        held: list[Event] = []
        for batch in batches:
            if not patience.left:
                held += batch
                continue
            done = await self._published(batch, patience)
            position = later(position, done.position)
            rejected += done.rejected
            held += done.held
        why = patience.refusal if held else None
        return Delivered(position, 0, tuple(rejected), tuple(held), why)

    async def _published(self, batch: list[Event], patience: _Patience) -> Delivered:
        """Publish *batch*; of one that is refused as a whole, each half for itself."""
        try:
            answer = plain(
                await self._client.publish_events([encode_event(e) for e in batch])
            )
        except PlacementCallError as error:
            if error.reason == TOO_NEW:
                return await self._without_new(batch, error, patience)
            if not self._is_final(error):
                raise
            if len(batch) == 1:
                rejected = Rejected(batch[0], error.reason, error.message)
                return Delivered(rejected=(rejected,))
            return await self._each(_halves(batch), patience)
        refused = tuple(
            Rejected(event, result["reason"], result["message"])
            for event, result in zip(batch, answer["results"], strict=True)
            if result["outcome"] == "PUBLISH_OUTCOME_REJECTED"
        )
        if not answer["token"]:
            return Delivered(rejected=refused)
        token = parse_token(answer["token"])
        return Delivered(Position(token.epoch, token.sequence), 0, refused)

    async def _without_new(
        self, batch: list[Event], refusal: PlacementCallError, patience: _Patience
    ) -> Delivered:
        """Publish of *batch*, which names too many new contents, what may go on now.

        First what hardly names any; then either half, by chance, so that none that is
        permitted is behind the same refused ones each time.
        """
        patience.left -= 1
        patience.refusal = refusal
        delay_s = (refusal.retry_delay_ms or 0) / 1_000
        await asyncio.sleep(min(delay_s, REFUSED_SECONDS_MAX))
        if len(batch) == 1:
            return Delivered(held=tuple(batch))
        parts = [
            [event for event in batch if not isinstance(event.fact, BRINGERS)],
            [event for event in batch if isinstance(event.fact, BRINGERS)],
        ]
        if not all(parts):
            parts = _halves(batch)
            parts = parts[::-1] if self._chance() < 1 / 2 else parts
        return await self._each(parts, patience)

    def _is_final(self, error: PlacementCallError) -> bool:
        """Say whether some event of a call that failed so may never be stored.

        A certificate of another region than ours is an operator's to correct: then it
        is no event that is at fault.
        """
        if error.reason == ANOTHERS and self._region is not None:
            return error.metadata.get("region") == self._region
        return error.code.name == FIELD_FAULT or error.reason in DENIED


def _halves(batch: list[Event]) -> list[list[Event]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]
