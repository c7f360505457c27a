"""What is quarantined, for people: each event's reason, and whether it folds now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from placement.core.errors import InputError
from placement.core.event import Event, EventQuarantined, Recorded, TimeNs
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import EventLog, Message
from placement.runtime.quarantine import quarantine_facts
from placement.wire.events import EVENTS_PREFIX, decode_message


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that nobody folds; times in nanoseconds since 1970."""

    sequence: int
    batch_index: int
    reason: str
    """How the runs ended that came to it."""
    fact_sequence: int
    """Where the fact is that quarantines it."""
    fact_time_ns: int


async def left_out(log: EventLog) -> Sequence[LeftOut]:
    """Return all that is quarantined in *log*, in order; LogUnavailableError."""
    found: dict[tuple[int, int], LeftOut] = {}
    async for message in quarantine_facts(log):
        for item in decode_message(message).items:
            if not isinstance(item, Recorded):
                continue
            fact = item.event.fact
            if isinstance(fact, EventQuarantined) and fact.sequence < message.sequence:
                place = fact.sequence, fact.batch_index
                at = message.sequence, message.store_time_ns
                found.setdefault(place, LeftOut(*place, str(fact.reason), *at))
    return [found[place] for place in sorted(found)]


def mended(message: Message, places: Sequence[int]) -> list[Event]:
    """Return the events at *places* of *message*, as they may be published again.

    With their ids, and with the time that the log first had them, where they state
    none. Raises InputError where this version cannot decode or fold them either, or
    where they are no events that anybody may publish.
    """
    if not message.subject.startswith(f"{EVENTS_PREFIX}."):
        remedy = (
            f"on {message.subject} only planners and operators write: they do again"
        )
        raise InputError("sequence", message.sequence, remedy)
    try:
        decoded = decode_message(message)
        fold(State(), decoded)
    except Exception as error:
        remedy = f"upgrade first: this version cannot fold it either ({error!r})"
        raise InputError("sequence", message.sequence, remedy) from error
    return [
        _dated(item.event, message)
        for item in decoded.items
        if isinstance(item, Recorded) and item.batch_index in places
    ]


def _dated(event: Event, message: Message) -> Event:
    if event.occur_time_ns is not None:
        return event
    return replace(event, occur_time_ns=TimeNs(message.store_time_ns))
