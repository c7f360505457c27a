"""Where the agent's events go, and the way straight into the log.

The way through the service is in ``service_outlet``. Under permissions of NATS an agent
may not read the log by sequence, which would open all of it: it asks which message is
the last one of its own region's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, overload

from placement.core.errors import InputError, PlacementError, RegionUnknownError
from placement.core.event import Event, regions_named
from placement.core.topology import Region
from placement.ports import EventLog, LogForbiddenError, LogUnavailableError, Message
from placement.runtime.tokens import body_mark
from placement.spooling import Position
from placement.wire.events import EVENTS_PREFIX, encoded_batches

BATCH_EVENTS_MAX: Final = 512
FAILURES_BORNE: Final = 3
"""After so many in a row the log is opened anew."""
BEHIND_SECONDS: Final = 1.0
"""A copy of the stream that is not its leader may be so far behind: asked twice."""
FORBIDDEN: Final = "REGION_FORBIDDEN"
"""Of what is on no subject that we may publish to: another region's, or an order."""


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
    held: tuple[Event, ...] = ()
    """Those that are not taken now, while others are: to be sent again later."""
    why_held: PlacementError | None = None


class Outlet(Protocol):
    """A way into the log. Each method raises PlacementError: try again later."""

    @property
    def hides(self) -> bool:
        """Whether what is published may hide from ``holds`` what it looks for."""

    async def publish(self, events: Sequence[Event]) -> Delivered:
        """Store *events*, in order; a repeat is harmless."""

    async def end(self) -> Position | None:
        """Return where the log ends now; None when that cannot be told."""

    async def holds(self, position: Position) -> bool:
        """Say whether the log still has there what was sent; yes if nobody knows."""


class OwnLog(EventLog, Protocol):
    """A log of which one may see the end of a region's own events, if nothing else."""

    async def last(self, subject: str) -> Message | None:
        """Return the last message of *subject*, a pattern as in ``message``, or None.

        It may be a moment old. LogForbiddenError says that we have no right to it.
        """


class Unseen:
    """What there is in place of a message that we may not see, or that is hidden."""


class LogOutlet:
    """Straight into the log, each batch under the hash of its events' ids."""

    def __init__(
        self,
        log: OwnLog,
        another: Callable[[], OwnLog] | None = None,
        region: Region | None = None,
        *,
        regions: Collection[Region] | None = None,
        reads: bool = True,
    ) -> None:
        """Append to *log* what names no other regions than *regions*; None: whatever.

        After some failures in a row the log is opened anew by *another*, which makes
        the stream if there is none any more: a broker may come back without its disk.
        *region* is our own; with None, we are sure to be permitted everything. *reads*
        says whether we hope to read by sequence: each who may not and asks is a line in
        the server's log, which people look at.
        """
        self._log = log
        self._another = another
        self._regions = regions
        self._own = f"{EVENTS_PREFIX}.{region}." if region else ""
        self._reads = reads
        self._reads_last = True
        """Whether we may read the last message of our region, as far as is known."""
        self._failures = 0

    @property
    def hides(self) -> bool:
        """Where only our region's last message is read, each is hidden by the next."""
        return not self._reads

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
            except LogForbiddenError as error:
                own = bool(self._own) and subject.startswith(self._own)
                if own or error.metadata.get("subject") != subject:
                    raise  # an operator mends that: nothing is given up for it
                rejected += [Rejected(event, FORBIDDEN, str(error)) for event in batch]
                continue
            mark = body_mark(body)
            if stored.duplicate:  # perhaps in the words of another version of ours
                mark = await self._mark_at(stored.sequence)
            elif not self._reads and not subject.startswith(self._own):
                mark = ""  # it is not among those that ``holds`` may look at
            position = later(position, Position(stored.epoch, stored.sequence, mark))
            if not stored.duplicate and not first_new:
                first_new = stored.sequence
        return Delivered(position, first_new, tuple(rejected))

    async def end(self) -> Position | None:
        """Return where the log ends."""
        async with self._counted():
            status = await self._log.status()
        return Position(status.epoch, status.last_sequence)

    async def holds(self, position: Position) -> bool:
        """Look at the message there; one that a limit took was there once.

        Where we may not, at the last one of our region's: if it is a later one, others
        stored it, and nobody knows.
        """
        if not position.mark or not position.sequence:
            return True
        async with self._counted():
            held = await self._seen(position)
            if not held and not self._reads:
                await asyncio.sleep(BEHIND_SECONDS)
                held = await self._seen(position)
            if held is not None:
                return held
            status = await self._log.status()
        return status.first_sequence > position.sequence

    async def _seen(self, position: Position) -> bool | None:
        """Say whether what *position* stands for is there; None: nothing is there."""
        found = await self._read(position.sequence)
        if isinstance(found, Unseen):
            return True
        if found is None or found.sequence < position.sequence:
            return None if found is None else False
        return body_mark(found.body) == position.mark

    async def _mark_at(self, sequence: int) -> str:
        """Return the mark of the message at *sequence*; empty: we cannot see it."""
        found = await self._read(sequence)
        if isinstance(found, Unseen) or (found and found.sequence != sequence):
            return ""
        return body_mark(b"" if found is None else found.body)

    async def _read(self, sequence: int) -> "Message | Unseen | None":
        """Return the message at *sequence*, or our region's last one before that."""
        try:
            if self._reads:
                return await self._log.message(sequence)
            if not self._reads_last:
                return Unseen()
            found = await self._log.last(f"{self._own}>")
        except LogForbiddenError:
            if not self._own:
                raise
            if self._reads:  # as we thought
                self._reads = False
            else:  # by an authority that was written before agents could
                self._reads_last = False
            return Unseen()
        return Unseen() if found is not None and found.sequence > sequence else found

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
        except LogForbiddenError:  # another connection would have no other rights
            raise
        except LogUnavailableError:
            self._failures += 1
            if self._another is not None and self._failures % FAILURES_BORNE == 0:
                await self._log.close()
                self._log = self._another()
                self._reads_last = True
            raise
        self._failures = 0


@overload
def later(before: Position | None, after: Position) -> Position: ...


@overload
def later(before: Position | None, after: Position | None) -> Position | None: ...


def later(before: Position | None, after: Position | None) -> Position | None:
    """Return the later of two; raises LogUnavailableError where they are of two logs.

    What was stored in the first of them is lost then.
    """
    if before is None or after is None:
        return after or before
    if before.epoch != after.epoch:
        message = "the log became another one meanwhile: publish the events again"
        raise LogUnavailableError(message, epoch=after.epoch)
    return max(before, after, key=lambda position: position.sequence)
