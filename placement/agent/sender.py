"""The way from the spool into the log: in order, again and again, and never stuck.

What the log has is marked as sent only afterwards, so that a crash sends it twice; ids
make that harmless. What can never be sent is set aside with its reason, and what comes
after it goes on.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from placement.agent.outlets import Delivered, Outlet
from placement.agent.pauses import Pauses
from placement.agent.spooled import EVENTS
from placement.agent.translators import Translate
from placement.core.errors import PlacementError
from placement.core.event import Event, TimeNs
from placement.faults import FaultPoint, reach
from placement.spooling import (
    Aside,
    Entry,
    Note,
    Position,
    Settled,
    Spool,
)
from placement.wire.bundles import encode_bundles

ENTRIES_MAX: Final = 256
"""So many are translated and published together."""
LOOK_SECONDS: Final = 5.0
"""How often the log is asked, while nothing is to be sent, which log it is."""
CONFIRM_SECONDS: Final = 1.0
"""A cluster that elects a leader may err for a moment: bad news is asked for twice."""
FIRST: Final = 1
"""Of a log that lost its end all is sent again that is kept: others may have stored
since where ours was, so that nobody can tell from how far it reaches what it lost.
"""
LOGGED_A_ROUND_MAX: Final = 10
EPOCHS_LEFT_MAX: Final = 16
DAMAGED: Final = "SPOOL_DAMAGED"
FEED_UNKNOWN: Final = "FEED_UNKNOWN"
MALFORMED: Final = "MALFORMED"
UNTRANSLATABLE: Final = "UNTRANSLATABLE"

log = structlog.get_logger(__name__)


@dataclass
class _Round:
    """What some entries came to."""

    events: list[Event] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


class Sender:
    """Sends what waits in one spool; ``run`` does so for ever."""

    def __init__(
        self,
        spool: Spool,
        outlet: Outlet,
        feeds: Mapping[str, Translate],
        chance: Callable[[], float],
    ) -> None:
        """Translate by *feeds*, each by its name; *chance* spreads what is retried."""
        self._spool = spool
        self._outlet = outlet
        self._feeds = feeds
        self._pauses = Pauses(chance)
        self._left: deque[str] = deque(maxlen=EPOCHS_LEFT_MAX)
        self.counts: Counter[str] = Counter()
        """Events and notifications by what became of them, since the start."""
        self.trouble = ""
        """Why nothing is sent just now; empty: nothing is wrong."""

    async def run(self) -> None:
        """Send until cancelled. Raises SpoolFsyncError, after which nothing helps."""
        looked_s = time.monotonic()
        while True:
            try:
                if time.monotonic() - looked_s >= LOOK_SECONDS:
                    await self.look()
                    looked_s = time.monotonic()
                await self.send(LOOK_SECONDS)
            except PlacementError as error:
                if hasattr(error, "exit_code"):
                    raise
                await self._pause(error)
            else:
                self._recovered()

    async def send(self, patience_s: float = 0.0) -> int:
        """Send one round of what waits; return how many entries that were.

        Raises PlacementError when it is not known to be in the log; then all of it
        still waits.
        """
        entries = await self._spool.waiting(ENTRIES_MAX, patience_s)
        if not entries:
            return 0
        round_ = _Round()
        for entry in entries:
            await self._translate(entry, round_)
        reach(FaultPoint.BEFORE_SENT)
        delivered = Delivered()
        if round_.events:
            delivered = await self._outlet.publish(round_.events)
        reach(FaultPoint.AFTER_SENT)
        await self._note_position(delivered.position, delivered.first_new_sequence)
        self._reject(delivered, round_, entries[-1].note.received_ns)
        if delivered.position is None:  # every event of it was rejected, or none was
            round_.dropped += round_.sent
            round_.sent = []
        await self._spool.settle(
            Settled(round_.sent, delivered.position, round_.dropped, round_.asides)
        )
        self._count(round_, delivered)
        return len(entries)

    async def look(self) -> None:
        """See whether the log is still the one that holds what was sent."""
        epoch = await self._lost_by()
        if epoch is not None:
            await asyncio.sleep(CONFIRM_SECONDS)
            epoch = await self._lost_by()
        if epoch is not None:
            await self._resend(Position(epoch, FIRST))

    async def _lost_by(self) -> str | None:
        """Return the epoch of a log that does not hold what was sent last, or None."""
        end = await self._outlet.end()
        known = self._spool.figures.position
        if end is None or known is None or end.epoch in self._left:
            return None
        cut = end.epoch != known.epoch or 0 <= end.sequence < known.sequence
        if cut or not await self._outlet.holds(known):
            return end.epoch
        return None

    async def _note_position(
        self, position: Position | None, first_new_sequence: int
    ) -> None:
        """Send again what was kept, if the log is another one or lost its end."""
        known = self._spool.figures.position
        if position is None or known is None:
            return
        if position.epoch != known.epoch:
            await self._resend(position)
            return
        cut = 0 < first_new_sequence <= known.sequence
        if cut or not await self._outlet.holds(known):
            # Others may have filled up what it lost: who knows from where on.
            await self._resend(Position(position.epoch, FIRST))

    async def _resend(self, position: Position) -> None:
        known = self._spool.figures.position
        count = await self._spool.resend(position)
        if known is not None and known.epoch != position.epoch:
            self._left.append(known.epoch)
        log.warning(
            "sending_again", entries=count, epoch=position.epoch, before=str(known)
        )

    async def _translate(self, entry: Entry, round_: _Round) -> None:
        """Add what *entry* means to *round_*; whatever it is, nothing is raised."""
        note = entry.note
        translate = self._feeds.get(note.feed)
        if not entry.intact or translate is None:
            reason = FEED_UNKNOWN if entry.intact else DAMAGED
            round_.asides.append(Aside(note, reason, note.feed))
            round_.dropped.append(entry.number)
            log.error("entry_set_aside", feed=note.feed, reason=reason)
            return
        try:
            translation = await translate(note)
        except Exception as error:
            round_.asides.append(Aside(note, UNTRANSLATABLE, repr(error)))
            round_.dropped.append(entry.number)
            log.exception("entry_set_aside", feed=note.feed, reason=UNTRANSLATABLE)
            return
        round_.ignored.update(str(one.reason) for one in translation.ignored)
        if translation.malformed:
            faults = translation.malformed
            detail = "; ".join(
                f"{one.index}: {one.field}: {one.value}: {one.remedy}" for one in faults
            )
            round_.asides.append(Aside(note, MALFORMED, detail))
            for fault in faults[:LOGGED_A_ROUND_MAX]:
                log.warning(
                    "notification_malformed",
                    feed=note.feed,
                    index=fault.index,
                    field=fault.field,
                    value=fault.value,
                    remedy=fault.remedy,
                )
        round_.events += (_dated(event, note) for event in translation.events)
        (round_.sent if translation.events else round_.dropped).append(entry.number)

    def _reject(self, delivered: Delivered, round_: _Round, now_ns: int) -> None:
        """Set aside the events that will never be taken."""
        for number, one in enumerate(delivered.rejected):
            for body in encode_bundles([one.event]):
                note = Note(EVENTS, body, now_ns)
                round_.asides.append(Aside(note, one.reason, one.detail))
            if number < LOGGED_A_ROUND_MAX:
                log.warning(
                    "event_rejected",
                    event_id=one.event.event_id,
                    reason=one.reason,
                    detail=one.detail,
                )

    def _count(self, round_: _Round, delivered: Delivered) -> None:
        rejected = len(delivered.rejected)
        self.counts["events_published"] += len(round_.events) - rejected
        self.counts["events_rejected"] += rejected
        self.counts["notifications_ignored"] += round_.ignored.total()

    async def _pause(self, error: PlacementError) -> None:
        """Wait a while, longer each time; say so once."""
        self.trouble = f"{error.reason}: {error}"
        pause_s = self._pauses.next_s()
        if self._pauses.count == 1:
            waiting = self._spool.figures.waiting_count
            log.warning(
                "sending_waits", reason=error.reason, error=str(error), waiting=waiting
            )
        await asyncio.sleep(pause_s)

    def _recovered(self) -> None:
        if self.trouble:
            log.info("sending_again_possible", attempts=self._pauses.count)
        self.trouble = ""
        self._pauses.reset()


def _dated(event: Event, note: Note) -> Event:
    """Return *event* with a time: without one of its own, it happened when it came.

    Else what waited here for an hour would count as if it had happened just now.
    """
    if event.occur_time_ns is not None:
        return event
    return replace(event, occur_time_ns=TimeNs(note.received_ns))
