"""Messages of the log on their way into a block: opened, and not yet decoded."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from placement.core.event import Recorded, SetAside
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.events import (
    BATCH,
    SUBJECT,
    decode_items,
    read_events,
    read_item,
)
from placement.wire.machine_columns import MachineRows
from placement.wire.pull_columns import Found

Skipped = Callable[[int], Collection[int]]
"""Which places of the message of a sequence are left out."""


@dataclass(slots=True)
class Opened:
    """One message; its events are read when they are needed as objects."""

    message: Message
    region: str
    """Of its subject; empty where it is decoded whole."""
    count: int
    """How many events it has, of those that are not left out."""
    events: Sequence[pb.Event] = ()
    items: Sequence[Recorded | SetAside] | None = None
    """All of it, where it was decoded whole."""

    def item(self, place: int) -> Recorded | SetAside:
        """Return the event at *place*."""
        if self.items is not None:
            return self.items[place]
        if not self.events:
            _, self.events, _ = read_events(self.message)
        return read_item(self.message, place, self.events[place], self.region)


@dataclass(slots=True)
class Reading:
    """Messages, opened one way or the other, and what may stand in columns of them."""

    messages: list[Opened]
    found: Found
    event_ids: list[str]
    """Of every event, or at least of those that were found; any text for others."""
    machines: MachineRows
    """Starts and stops that may stand in columns."""


def decoded_whole(message: Message, skipped: Collection[int] = ()) -> Opened:
    """Return *message* decoded as an object."""
    items = tuple(decode_items(message, skipped))
    return Opened(message, "", len(items), items=items)


@lru_cache(1 << 10)
def subject_parts(subject: str) -> tuple[str, bool]:
    """Return the region of a subject, and whether it is for batches; or "" for both."""
    matched = SUBJECT.fullmatch(subject)
    return (matched["region"], matched["fact"] == BATCH) if matched else ("", False)
