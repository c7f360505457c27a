"""Events from JSON and to JSON, as people and registries' own formats write them.

As all JSON is read, and one thing more: an event without an id gets one that is made of
its content.
"""

from collections.abc import Mapping
from hashlib import blake2b

from placement.core.errors import FactUnknownError, InputError
from placement.core.event import Event
from placement.v1 import events_pb2 as pb
from placement.wire.events import FACT_NAMES, decode_event, encode_event
from placement.wire.json import Plain, fill, kind, plain, snake


def event_from_json(value: object, region: str = "") -> Event:
    """Return the event in a decoded JSON *value*; *region* where it names none.

    Raises InputError, naming the field.
    """
    if not isinstance(value, Mapping):
        raise InputError("event", kind(value), "give a JSON object")
    facts = [key for key in value if snake(str(key)) in FACT_NAMES]
    if len(facts) > 1:
        raise FactUnknownError("fact", ", ".join(facts), "give one fact an event")
    proto = pb.Event()
    fill(proto, value)
    proto.region = proto.region or region
    proto.event_id = proto.event_id or content_id(proto)
    return decode_event(proto)


def content_id(proto: pb.Event) -> str:
    """Return an id that equal events without one share: publishing again is safe."""
    body = proto.SerializeToString(deterministic=True)
    return f"content-{blake2b(body, digest_size=16).hexdigest()}"


def event_to_json(event: Event) -> Plain:
    """Return *event* as a JSON object that ``event_from_json`` reads."""
    return plain(encode_event(event), defaults=False)
