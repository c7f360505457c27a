"""What some entries of the spool come to, whatever is in them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from placement.agent.outlets import Delivered, Rejected
from placement.agent.spooled import EVENTS
from placement.agent.translators import Translate
from placement.core.event import Event, TimeNs
from placement.spooling import Aside, Entry, Note
from placement.wire.bundles import encode_bundles

LOGGED_A_ROUND_MAX: Final = 10
DAMAGED: Final = "SPOOL_DAMAGED"
FEED_UNKNOWN: Final = "FEED_UNKNOWN"
MALFORMED: Final = "MALFORMED"
UNTRANSLATABLE: Final = "UNTRANSLATABLE"

log = structlog.get_logger(__name__)


@dataclass
class Round:
    """Some entries, translated by *feeds*, and what became of them."""

    feeds: Mapping[str, Translate]
    events: list[Event] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    _told: dict[int, tuple[Note, frozenset[str]]] = field(default_factory=dict)
    """What each entry is, and the ids of the events that it came to."""

    async def translate(self, entry: Entry) -> None:
        """Add what *entry* means; whatever it is, nothing is raised."""
        note = entry.note
        translate = self.feeds.get(note.feed)
        if not entry.intact or translate is None:
            reason = FEED_UNKNOWN if entry.intact else DAMAGED
            self.asides.append(Aside(note, reason, note.feed))
            self.dropped.append(entry.number)
            log.error("entry_set_aside", feed=note.feed, reason=reason)
            return
        try:
            translation = await translate(note)
        except Exception as error:
            self.asides.append(Aside(note, UNTRANSLATABLE, repr(error)))
            self.dropped.append(entry.number)
            log.exception("entry_set_aside", feed=note.feed, reason=UNTRANSLATABLE)
            return
        self.ignored.update(str(one.reason) for one in translation.ignored)
        if translation.malformed:
            faults = translation.malformed
            detail = "; ".join(
                f"{one.index}: {one.field}: {one.value}: {one.remedy}" for one in faults
            )
            self.asides.append(Aside(note, MALFORMED, detail))
            for fault in faults[:LOGGED_A_ROUND_MAX]:
                log.warning(
                    "notification_malformed",
                    feed=note.feed,
                    index=fault.index,
                    field=fault.field,
                    value=fault.value,
                    remedy=fault.remedy,
                )
        self.events += (_dated(event, note) for event in translation.events)
        ids = frozenset(event.event_id for event in translation.events)
        self._told[entry.number] = note, ids
        (self.sent if translation.events else self.dropped).append(entry.number)

    def hold_back(self, delivered: Delivered) -> Delivered:
        """Let the entries wait of which an event is held, as if they had not been read.

        Returns *delivered* without what else became of these: it will once more.
        """
        held = {event.event_id for event in delivered.held}
        numbers = [n for n in self.sent if not held.isdisjoint(self._told[n][1])]
        notes = {id(self._told[number][0]) for number in numbers}
        again = frozenset[str]().union(*(self._told[number][1] for number in numbers))
        self.sent = [number for number in self.sent if number not in set(numbers)]
        self.asides = [one for one in self.asides if id(one.note) not in notes]
        kept = [one for one in delivered.rejected if one.event.event_id not in again]
        return replace(delivered, rejected=tuple(kept))

    def reject(self, rejected: Sequence[Rejected], now_ns: int) -> None:
        """Set aside the events that will never be taken."""
        for number, one in enumerate(rejected):
            for body in encode_bundles([one.event]):
                note = Note(EVENTS, body, now_ns)
                self.asides.append(Aside(note, one.reason, one.detail))
            if number < LOGGED_A_ROUND_MAX:
                log.warning(
                    "event_rejected",
                    event_id=one.event.event_id,
                    reason=one.reason,
                    detail=one.detail,
                )


def _dated(event: Event, note: Note) -> Event:
    """Return *event* with a time: without one of its own, it happened when it came.

    Else what waited here for an hour would count as if it had happened just now.
    """
    if event.occur_time_ns is not None:
        return event
    return replace(event, occur_time_ns=TimeNs(note.received_ns))
