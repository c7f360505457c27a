"""What can be told of a message of the log without decoding it."""

from google.protobuf.message import DecodeError

from placement.core.errors import RegionInvalidError
from placement.core.event_keys import id_scope
from placement.core.topology import Region, parse_region
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.events import BATCH, BATCH_EVENTS_MAX, SUBJECT, batch_id


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


def message_scope(message: Message) -> str:
    """Return the scope of the ids that *message* may hold, by its subject alone."""
    matched = SUBJECT.fullmatch(message.subject)
    if matched is None:
        return ""
    return id_scope(matched["region"], deciding=matched["kind"] == "decisions")


def message_id_of(message: Message) -> str:
    """Return the id that ``encode_message`` gives what *message* holds; empty: none."""
    scope = message_scope(message)
    try:
        if message.subject.endswith(f".{BATCH}"):
            events = pb.EventBatch.FromString(message.body).events
            return batch_id(scope, (event.event_id for event in events))
        return scope + pb.Event.FromString(message.body).event_id
    except DecodeError:
        return ""
