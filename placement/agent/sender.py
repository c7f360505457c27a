"""The way from the spool into the log: in order, again and again, and never stuck.

Only what a service does not take for now, such as too many contents that nobody knew,
is gone past, and tried again after the others.

What the log has is marked as sent only afterwards, so that a crash sends it twice; ids
make that harmless. What can never be sent is set aside with its reason, and what comes
after it goes on.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from placement.agent.outlets import Delivered, Outlet
from placement.agent.pauses import Pauses
from placement.agent.rounds import Round
from placement.agent.serving import Serving
from placement.agent.translators import Translate
from placement.core.errors import PlacementError
from placement.faults import FaultPoint, reach
from placement.spooling import Entry, Position, Settled, Spool
from placement.tracing import HEADER, parsed, span

ENTRIES_MAX: Final = 256
"""So many are translated and published together."""
LOOK_SECONDS: Final = 5.0
"""How often the log is asked, while nothing is to be sent, which log it is."""
LINGER_SECONDS: Final = 0.25
"""A registry tells of a pull once for each of its requests, while it goes on: so most
pulls are not in their own way, and are sent as one."""
SECOND_NS: Final = 1_000_000_000
CONFIRM_SECONDS: Final = 1.0
"""A cluster that elects a leader may err for a moment: bad news is asked for twice."""
FIRST: Final = 1
"""Of a log that lost its end all is sent again that is kept: others may have stored
since where ours was, so that nobody can tell from how far it reaches what it lost.
"""
EPOCHS_LEFT_MAX: Final = 16

log = structlog.get_logger(__name__)


class Sender:
    """Sends what waits in one spool; ``run`` does so for ever."""

    def __init__(  # noqa: PLR0913 - what sending depends on
        self,
        spool: Spool,
        outlet: Outlet,
        feeds: Mapping[str, Translate],
        chance: Callable[[], float],
        clock: Callable[[], int] = time.time_ns,
        *,
        serving: Serving | None = None,
    ) -> None:
        """Translate by *feeds*, each by its name; *chance* spreads what is retried.

        While *serving* anybody, what waits may wait for LINGER_SECONDS more.
        """
        self._clock = clock
        self._serving = serving or Serving()
        self.success_ns = 0
        """When something was last sent and settled; 0: not since the start."""
        self._spool = spool
        self._outlet = outlet
        self._feeds = feeds
        self._pauses = Pauses(chance)
        self._after = 0
        """Entries up to this one were gone past, since some of them are held back."""
        self._why_held: PlacementError | None = None
        self._left: deque[str] = deque(maxlen=EPOCHS_LEFT_MAX)
        self.counts: Counter[str] = Counter()
        """Events and notifications by what became of them, since the start."""
        self.trouble = ""
        """Why nothing is sent just now; empty: nothing is wrong."""

    async def run(self) -> None:
        """Send until cancelled. Raises SpoolFsyncError, after which nothing helps."""
        clock_s = asyncio.get_running_loop().time
        looked_s = clock_s()
        while True:
            try:
                if clock_s() - looked_s >= LOOK_SECONDS:
                    await self.look()
                    looked_s = clock_s()
                await self.send(LOOK_SECONDS)
            except PlacementError as error:
                if hasattr(error, "exit_code"):
                    raise
                await self._pause(error)
            else:
                if not self._after:
                    self._recovered()

    async def send(self, patience_s: float = 0.0) -> int:
        """Send one round of what waits; return how many entries that were.

        Raises PlacementError when it is not known to be in the log; then all of it
        still waits.
        """
        entries = await self._spool.waiting(ENTRIES_MAX, patience_s, self._after)
        if self._may_linger(entries) and await self._serving.lull(LINGER_SECONDS):
            entries = await self._spool.waiting(ENTRIES_MAX, 0.0, self._after)
        if not entries:
            self._begin_anew()
            return 0
        round_ = Round(self._feeds)
        for entry in entries:
            await round_.translate(entry)
        if round_.events and self._outlet.hides and await self._sends_again():
            return 0
        reach(FaultPoint.BEFORE_SENT)
        delivered = Delivered()
        if round_.events:
            traced = dict.fromkeys(filter(None, map(_trace, entries)))
            first, *others = traced or [""]
            attributes = {"entries": len(entries), "events": len(round_.events)}
            with span("publish", parent=first, links=others, attributes=attributes):
                delivered = await self._outlet.publish(round_.events)
        reach(FaultPoint.AFTER_SENT)
        await self._note_position(delivered.position, delivered.first_new_sequence)
        if delivered.held:
            self._why_held = delivered.why_held
            delivered = round_.hold_back(delivered)
        if self._why_held is not None:
            self._after = entries[-1].number
        round_.reject(delivered.rejected, entries[-1].note.received_ns)
        if delivered.position is None:  # every event of it was rejected, or none was
            round_.dropped += round_.sent
            round_.sent = []
        furthest = self._furthest(delivered.position)
        await self._spool.settle(
            Settled(round_.sent, furthest, round_.dropped, round_.asides)
        )
        self._count(round_, delivered)
        self.success_ns = self._clock()
        return len(entries)

    def _may_linger(self, entries: Sequence[Entry]) -> bool:
        """Say whether *entries* are few and came just now: others wait for nobody."""
        if not entries or len(entries) >= ENTRIES_MAX:
            return False
        age_ns = self._clock() - entries[0].note.received_ns
        return 0 <= age_ns < LINGER_SECONDS * SECOND_NS

    def _furthest(self, position: Position | None) -> Position | None:
        """Return where what was sent ends: a repeat of old news is far behind that."""
        known = self._spool.figures.position
        if position is None or known is None or known.epoch != position.epoch:
            return position
        return max(known, position, key=lambda each: each.sequence)

    def _begin_anew(self) -> None:
        """Go back to what was gone past; raises why, for that needs a pause."""
        why, self._why_held, self._after = self._why_held, None, 0
        if why is not None:
            raise why

    async def _sends_again(self) -> bool:
        """Send again what was kept, if the log lost it; say whether that was so.

        Before anything new is published, where that would hide the loss.
        """
        known = self._spool.figures.position
        if known is None or await self._outlet.holds(known):
            return False
        await self._resend(Position(known.epoch, FIRST))
        return True

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
        if cut or not (self._outlet.hides or await self._outlet.holds(known)):
            # Others may have filled up what it lost: who knows from where on.
            await self._resend(Position(position.epoch, FIRST))

    async def _resend(self, position: Position) -> None:
        known = self._spool.figures.position
        count = await self._spool.resend(position)
        self.counts["entries_resent"] += count
        if known is not None and known.epoch != position.epoch:
            self._left.append(known.epoch)
        log.warning(
            "entries_resent", entries=count, epoch=position.epoch, before=str(known)
        )

    def _count(self, round_: Round, delivered: Delivered) -> None:
        rejected = len(delivered.rejected)
        untold = rejected + len(delivered.held)
        self.counts["events_published"] += len(round_.events) - untold
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
            log.info("sending_resumed", attempts=self._pauses.count)
        self.trouble = ""
        self._pauses.reset()


def _trace(entry: Entry) -> str:
    """Return the context that an entry came with; empty: none."""
    return parsed(entry.note.headers.get(HEADER))
