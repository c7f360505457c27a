"""The stream's bytes to recorded events, and events to bytes."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, get_args

from google.protobuf.message import DecodeError

from placement.core.counts import DAY_NS
from placement.core.errors import (
    FactUnknownError,
    InputError,
    LimitInvalidError,
    RegionInvalidError,
    TimeInvalidError,
)
from placement.core.event import (
    DECIDING_FACTS,
    Event,
    Fact,
    Recorded,
    RecordedMessage,
    SetAside,
    is_deciding,
)
from placement.core.event_keys import id_scope, scoped_id
from placement.core.topology import parse_region
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.fields import (
    class_codec,
    decode_time,
    encode_time,
    parse_identifier,
    parse_name,
)

EVENT_BYTES_MAX: Final = 262_144
"""An event alone; pages of inventories are the largest."""
BATCH_EVENTS_MAX: Final = 512
BATCH_BYTES_MAX: Final = 900_000
"""An EventBatch; the log's own limit on a message is a little more."""
_FRAME_BYTES: Final = 4
"""What an event takes in a batch besides its own bytes: a tag and its length."""
FUTURE_NS_MAX: Final = DAY_NS
"""An event that claims to happen later than this after it is stored is set aside."""

EVENTS_PREFIX: Final = "placement.events.v1"
DECISIONS_PREFIX: Final = "placement.decisions.v1"
DECISIONS_SUBJECTS: Final = f"{DECISIONS_PREFIX}.>"
"""All that a decision must know of before it is stored; see ``EventLog.append``."""
SUBJECT_FORBIDDEN: Final = "SUBJECT_FORBIDDEN"
"""A deciding fact where a region's agents may publish: they decide nothing."""
BATCH: Final = "batch"
SUBJECT: Final = re.compile(
    r"placement\.(?P<kind>events|decisions)\.v1\.(?P<region>[^.]+)\.(?P<fact>[^.]+)"
)

_WORD_START: Final = re.compile(r"(?<!^)(?=[A-Z])")


def fact_name(fact: type) -> str:
    """Return a fact's word in protobuf, subjects and JSON: ``content_pulled``."""
    return _WORD_START.sub("_", fact.__name__).lower()


_FACTS: Final = {fact_name(fact): class_codec(fact) for fact in get_args(Fact)}
FACT_NAMES: Final = tuple(_FACTS)
_NAMES: Final[dict[type, str]] = {fact: fact_name(fact) for fact in get_args(Fact)}
_DECIDING_NAMES: Final = frozenset(map(fact_name, DECIDING_FACTS))


def subject_of(region: str, fact: str, *, deciding: bool = False) -> str:
    """Return the subject of a message: *fact* is a fact's name or BATCH.

    A batch of decisions and orders is one that is *deciding*.
    """
    decided = deciding or fact in _DECIDING_NAMES
    prefix = DECISIONS_PREFIX if decided else EVENTS_PREFIX
    return f"{prefix}.{region}.{fact}"


def decode_event(proto: pb.Event) -> Event:
    """Return *proto* as a domain event; raises InputError, naming the field."""
    name = proto.WhichOneof("fact")
    event_id = parse_identifier(proto.event_id, "event_id")
    region = parse_region(proto.region)
    time_ns = None
    if proto.HasField("occur_time"):
        time_ns = decode_time(proto.occur_time, "occur_time")
    texts = {
        field: parse_name(getattr(proto, field), field)
        for field in ("publisher", "organization", "app")
    }
    if name is None:
        remedy = f"set one of: {', '.join(FACT_NAMES)}"
        raise FactUnknownError("fact", "", remedy)
    fact = _FACTS[name].decode(getattr(proto, name), name)
    return Event(event_id, region, fact, time_ns, **texts)


def encode_event(event: Event) -> pb.Event:
    """Return a domain event as protobuf."""
    proto = pb.Event(
        event_id=event.event_id,
        region=event.region,
        publisher=event.publisher,
        organization=event.organization,
        app=event.app,
    )
    if event.occur_time_ns is not None:
        encode_time(event.occur_time_ns, proto.occur_time)
    name = _NAMES[type(event.fact)]
    target = getattr(proto, name)
    target.SetInParent()
    _FACTS[name].encode(event.fact, target)
    return proto


Encoded = tuple[str, bytes, str]
"""Subject, body and message id."""


def encode_message(events: Sequence[Event]) -> Encoded:
    """Return (subject, body, message id) of one region's events: one, or a batch.

    Either all of them are decisions and orders, or none is, as from ``batched``.
    A message's id is its event's, and a batch's the hash of its events' ids, so that
    storing it again is recognised as a whole; before it stands the scope of the ids.
    """
    assert events, "a message holds at least one event"
    kind = events[0].region, is_deciding(events[0])
    assert all((event.region, is_deciding(event)) == kind for event in events), (
        "a batch is of one region and one kind"
    )
    return _encoded(events, [encode_event(event) for event in events])


def _encoded(events: Sequence[Event], protos: Sequence[pb.Event]) -> Encoded:
    region, deciding = events[0].region, is_deciding(events[0])
    if len(events) == 1:
        fact = _NAMES[type(events[0].fact)]
        body = protos[0].SerializeToString(deterministic=True)
        return subject_of(region, fact), body, scoped_id(events[0])
    scope = id_scope(region, deciding=deciding)
    message_id = batch_id(scope, (event.event_id for event in events))
    body = pb.EventBatch(events=protos).SerializeToString(deterministic=True)
    return subject_of(region, BATCH, deciding=deciding), body, message_id


def batch_id(scope: str, event_ids: Iterable[str]) -> str:
    """Return the message id of a batch of events of these ids, all of one *scope*."""
    named = "\n".join(event_ids).encode()
    return f"{scope}batch-{blake2b(named, digest_size=16).hexdigest()}"


def batched(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yield *events* in lists that each fit one message: one region, bounded in size.

    None mixes decisions and orders with what happened. A region's events of one kind
    keep their order.
    """
    for batch, _ in encoded_batches(events):
        yield batch


def encoded_batches(events: Iterable[Event]) -> Iterator[tuple[list[Event], Encoded]]:
    """Yield what ``batched`` does, and each list as ``encode_message`` returns it."""
    alike: dict[tuple[str, bool], list[Event]] = {}
    for event in events:
        alike.setdefault((event.region, is_deciding(event)), []).append(event)
    for members in alike.values():
        batch: list[Event] = []
        protos: list[pb.Event] = []
        size = 0
        for event in members:
            proto = encode_event(event)
            length = proto.ByteSize() + _FRAME_BYTES
            full = size + length > BATCH_BYTES_MAX or len(batch) == BATCH_EVENTS_MAX
            if batch and full:
                yield batch, _encoded(batch, protos)
                batch, protos, size = [], [], 0
            batch.append(event)
            protos.append(proto)
            size += length
        yield batch, _encoded(batch, protos)


def decode_message(message: Message, skipped: Collection[int] = ()) -> RecordedMessage:
    """Return what a message of the log holds; never fails.

    What cannot be read is set aside, by the message's bytes, its subject and the log's
    time alone. Events whose place in the message is *skipped* are left out, unread.
    """
    return recorded(message, tuple(decode_items(message, skipped)))


def recorded(
    message: Message, items: tuple[Recorded | SetAside, ...]
) -> RecordedMessage:
    """Return *message* with the *items* that were decoded from it."""
    folded = message_hash(message)
    return RecordedMessage(message.sequence, message.store_time_ns, folded, items)


def message_hash(message: Message) -> bytes:
    """Return what tells this message from any other at the same sequence."""
    stored = message.store_time_ns.to_bytes(8, "big")
    return blake2b(stored + message.body, digest_size=16).digest()


def decode_items(
    message: Message, skipped: Collection[int] = ()
) -> Iterator[Recorded | SetAside]:
    """Yield what ``decode_message`` returns the items of, one by one."""
    if len(skipped) >= BATCH_EVENTS_MAX and SUBJECT.fullmatch(message.subject):
        return  # all that there can be: not even read
    region, protos, reason = read_events(message)
    if reason:
        yield _set_aside(message, 0, reason)
    for index, proto in enumerate(protos):
        if index not in skipped:
            yield read_item(message, index, proto, region)


def read_events(message: Message) -> tuple[str, Sequence[pb.Event], str]:
    """Return the region of the subject, the events; and why there are none, or ""."""
    matched = SUBJECT.fullmatch(message.subject)
    if matched is None:
        return "", (), "SUBJECT_UNKNOWN"
    region, fact = matched["region"], matched["fact"]
    try:
        if fact != BATCH:
            return region, (pb.Event.FromString(message.body),), ""
        protos = pb.EventBatch.FromString(message.body).events
    except (DecodeError, UnicodeDecodeError):  # the latter from protobuf in pure Python
        return region, (), "BYTES_UNREADABLE"
    if not protos or len(protos) > BATCH_EVENTS_MAX:
        return region, (), LimitInvalidError.reason
    return region, protos, ""


def read_item(
    message: Message, index: int, proto: pb.Event, region: str
) -> Recorded | SetAside:
    """Return what *proto* is, at place *index* of a message for *region*."""
    try:
        event = decode_event(proto)
        if event.region != region:
            remedy = f"the subject says {region}"
            raise RegionInvalidError("region", event.region, remedy)
        if is_deciding(event) and not message.subject.startswith(DECISIONS_PREFIX):
            return _set_aside(message, index, SUBJECT_FORBIDDEN)
        stored_ns = message.store_time_ns
        time_ns = stored_ns if event.occur_time_ns is None else event.occur_time_ns
        if time_ns > stored_ns + FUTURE_NS_MAX:
            remedy = "set the publisher's clock"
            raise TimeInvalidError("occur_time", time_ns, remedy)
    except InputError as error:
        return _set_aside(message, index, error.reason)
    return Recorded(message.sequence, index, min(time_ns, stored_ns), stored_ns, event)


def _set_aside(message: Message, index: int, reason: str) -> SetAside:
    return SetAside(message.sequence, index, message.store_time_ns, reason)
