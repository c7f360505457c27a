"""What can be told of a message of the log that nobody may decode."""

from placement.core.errors import RegionInvalidError
from placement.core.topology import Region, parse_region
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.events import BATCH, BATCH_EVENTS_MAX, SUBJECT


def event_count(message: Message) -> int:
    """Return how many events *message* holds; the most there may be if it is unread."""
    matched = SUBJECT.fullmatch(message.subject)
    if matched is None or matched["fact"] != BATCH:
        return 1
    try:
        return len(pb.EventBatch.FromString(message.body).events)
    except Exception:  # noqa: BLE001 - asked of messages that a bug makes unreadable
        return BATCH_EVENTS_MAX


def message_region(message: Message) -> Region | None:
    """Return the region that the subject of *message* names, if that is one."""
    matched = SUBJECT.fullmatch(message.subject)
    try:
        return parse_region(matched["region"]) if matched else None
    except RegionInvalidError:
        return None
