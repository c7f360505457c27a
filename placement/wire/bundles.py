"""Our own events as bytes that are kept for a while before they are published."""

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from placement.core.errors import InputError
from placement.core.event import Event
from placement.v1 import events_pb2 as pb
from placement.wire.events import batched, decode_event, encode_event


def encode_bundles(events: Sequence[Event]) -> Iterator[bytes]:
    """Yield *events* as bytes, each of a size that one message may have."""
    for batch in batched(events):
        protos = [encode_event(event) for event in batch]
        yield pb.EventBatch(events=protos).SerializeToString(deterministic=True)


def decode_bundle(body: bytes) -> tuple[Event, ...]:
    """Return the events of a body; raises InputError for one that is none."""
    try:
        protos = pb.EventBatch.FromString(body).events
    except (DecodeError, UnicodeDecodeError):
        remedy = "give the bytes of an EventBatch"
        raise InputError("body", f"{len(body)} bytes", remedy) from None
    return tuple(decode_event(proto) for proto in protos)
