"""Where the agent's events go: straight into the log, or through the service."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, overload

from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import InputError, RegionUnknownError
from placement.core.event import Event, StartsRequested, regions_named
from placement.core.topology import Region
from placement.ports import EventLog, LogUnavailableError
from placement.runtime.tokens import body_mark, parse_token
from placement.spooling import Position
from placement.wire.events import encode_event, encoded_batches
from placement.wire.json import plain

BATCH_EVENTS_MAX: Final = 512
UNKNOWN: Final = (1 << 62) - 1
"""A sequence after all others: the service does not say where its log ends."""
FAILURES_BORNE: Final = 3
"""After so many in a row the log is opened anew."""
FIELD_FAULT: Final = "INVALID_ARGUMENT"
NOT_ITS_REGION: Final = "REGION_FORBIDDEN"
TRUSTED_STATES: Final = frozenset({"SERVING_STATE_DEGRADED", "SERVING_STATE_LIVE"})


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that will never be taken."""

    event: Event
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of events that were published."""

    position: Position | None = None
    """The last message that holds one of them; None: nothing was sent."""
    first_new_sequence: int = 0
    """Of the first message that was stored only now; 0: not known."""
    rejected: tuple[Rejected, ...] = ()


class Outlet(Protocol):
    """A way into the log. Each method raises PlacementError: try again later."""

    async def publish(self, events: Sequence[Event]) -> Delivered:
        """Store *events*, in order; a repeat is harmless."""

    async def end(self) -> Position | None:
        """Return where the log ends now; None when that cannot be told."""

    async def holds(self, position: Position) -> bool:
        """Say whether the log still has there what was sent; yes if nobody knows."""


class LogOutlet:
    """Straight into the log, each batch under the hash of its events' ids."""

    def __init__(
        self,
        log: EventLog,
        another: Callable[[], EventLog] | None = None,
        regions: Collection[Region] | None = None,
    ) -> None:
        """Append to *log* what names no other regions than *regions*; None: whatever.

        After some failures in a row the log is opened anew by *another*, which makes
        the stream if there is none any more: a broker may come back without its disk.
        """
        self._log = log
        self._another = another
        self._regions = regions
        self._failures = 0

    async def publish(self, events: Sequence[Event]) -> Delivered:
        """Store *events* one region's batch after the other."""
        position: Position | None = None
        first_new = 0
        rejected = [each for each in map(self._unlisted, events) if each]
        given_up = {id(each.event) for each in rejected}
        events = [event for event in events if id(event) not in given_up]
        for batch, (subject, body, message_id) in encoded_batches(events):
            try:
                async with self._counted():
                    stored = await self._log.append(subject, body, message_id)
            except InputError as error:
                rejected += [
                    Rejected(event, error.reason, str(error)) for event in batch
                ]
                continue
            said = body
            if stored.duplicate:  # perhaps in the words of another version of ours
                found = await self._log.message(stored.sequence)
                said = b"" if found is None else found.body
            where = Position(stored.epoch, stored.sequence, body_mark(said))
            position = _later(position, where)
            if not stored.duplicate and not first_new:
                first_new = stored.sequence
        return Delivered(position, first_new, tuple(rejected))

    async def end(self) -> Position | None:
        """Return where the log ends."""
        async with self._counted():
            status = await self._log.status()
        return Position(status.epoch, status.last_sequence)

    async def holds(self, position: Position) -> bool:
        """Look at the message there; one that a limit took was there once."""
        if not position.mark or not position.sequence:
            return True
        async with self._counted():
            message = await self._log.message(position.sequence)
            if message is not None:
                return body_mark(message.body) == position.mark
            status = await self._log.status()
        return status.first_sequence > position.sequence

    async def close(self) -> None:
        """Let go of the connection."""
        await self._log.close()

    def _unlisted(self, event: Event) -> Rejected | None:
        """Return *event* as rejected if it names a region of no catalogue."""
        for region in regions_named(event) if self._regions is not None else ():
            if region not in (self._regions or ()):
                error = RegionUnknownError(region)
                return Rejected(event, error.reason, str(error))
        return None

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Open the log anew if it fails within the block for the third time."""
        try:
            yield
        except LogUnavailableError:
            self._failures += 1
            if self._another is not None and self._failures % FAILURES_BORNE == 0:
                await self._log.close()
                self._log = self._another()
            raise
        self._failures = 0


class ServiceOutlet:
    """Through a service's PublishEvents, for those who do not reach NATS."""

    def __init__(self, client: PlacementClient) -> None:
        """Publish by *client*, which is entered."""
        self._client = client

    async def publish(self, events: Sequence[Event]) -> Delivered:
        """Store *events*; what the service rejects is named."""
        position: Position | None = None
        rejected: list[Rejected] = []
        for batch, _ in encoded_batches(events):
            done = await self._published(batch)
            position = _later(position, done.position)
            rejected += done.rejected
        return Delivered(position, 0, tuple(rejected))

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

    async def _published(self, batch: list[Event]) -> Delivered:
        """Publish *batch*; of one that is refused as a whole, each half for itself."""
        try:
            answer = plain(
                await self._client.publish_events([encode_event(e) for e in batch])
            )
        except PlacementCallError as error:
            elsewhere = error.reason == NOT_ITS_REGION and any(map(_elsewhere, batch))
            if error.code.name != FIELD_FAULT and not elsewhere:
                raise
            if len(batch) == 1:
                rejected = Rejected(batch[0], error.reason, error.message)
                return Delivered(rejected=(rejected,))
            middle = len(batch) // 2
            first = await self._published(batch[:middle])
            second = await self._published(batch[middle:])
            position = _later(first.position, second.position)
            return Delivered(position, 0, (*first.rejected, *second.rejected))
        refused = tuple(
            Rejected(event, result["reason"], result["message"])
            for event, result in zip(batch, answer["results"], strict=True)
            if result["outcome"] == "PUBLISH_OUTCOME_REJECTED"
        )
        if not answer["token"]:
            return Delivered(rejected=refused)
        token = parse_token(answer["token"])
        return Delivered(Position(token.epoch, token.sequence), 0, refused)


@overload
def _later(before: Position | None, after: Position) -> Position: ...


@overload
def _later(before: Position | None, after: Position | None) -> Position | None: ...


def _later(before: Position | None, after: Position | None) -> Position | None:
    """Return the later of two; raises LogUnavailableError where they are of two logs.

    What was stored in the first of them is lost then.
    """
    if before is None or after is None:
        return after or before
    if before.epoch != after.epoch:
        message = "the log became another one meanwhile: publish the events again"
        raise LogUnavailableError(message, epoch=after.epoch)
    return max(before, after, key=lambda position: position.sequence)


def _elsewhere(event: Event) -> bool:
    """Say whether *event* asks for starts in regions that are not its own.

    An agent of one region may not, and never will: such an event is given up. Whatever
    else is refused for its region is the fault of a certificate, and waits for another.
    """
    fact = event.fact
    return isinstance(fact, StartsRequested) and set(fact.regions) != {event.region}
