"""Targets that read protobuf: the log's messages, our own notes, packed watches."""

from random import Random
from typing import Any

from google.protobuf.message import DecodeError

from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Message
from placement.v1 import placement_service_pb2 as pb
from placement.wire.bundles import decode_bundle
from placement.wire.columns import decode_block
from placement.wire.events import batched, decode_message, encode_message
from placement.wire.packed_reading import decode_packed
from placement.wire.unread import event_count, message_id_of, message_region
from tests.builders import START_NS
from tests.fuzz.requests import filled
from tests.fuzz.target import Target
from tests.fuzz.wires import crowded, deep, spoiled_message
from tests.golden_logs import every_fact
from tests.property.test_codec_laws import fuzzed

RARE = 0.001
"""The share of inputs that are large, or nested deeply."""

Sent = tuple[str, bytes]


def valid_messages() -> list[Sent]:
    """Return messages with every kind of fact, alone and in batches."""
    told = every_fact(rounds=4)
    valid = [encode_message([event])[:2] for event in told]
    return valid + [encode_message(batch)[:2] for batch in batched(told[:60])]


def spoiled_sent(chance: Random, valid: list[Sent]) -> Sent:
    """Return a subject and a body, most of them spoiled in protobuf's own terms."""
    subject, body = chance.choice(valid)
    rare = chance.random()
    if rare < RARE:
        number, depth = chance.randrange(1, 40), chance.choice((50, 101, 5_000))
        return subject, deep(number, depth, groups=rare < RARE / 2)
    if rare < 2 * RARE:
        return subject, crowded(chance.randrange(1, 30), 20_000)
    if rare < 0.3:
        return fuzzed(chance, valid)
    return subject, spoiled_message(chance, body)


def codec() -> Target:
    """Messages of the log, decoded and folded one by one: nothing is ever raised."""
    valid, state = valid_messages(), State()

    def read(sent: Sent) -> bool:
        sequence = state.sequence + 1
        message = Message(sequence, START_NS + sequence, *sent)
        found = decode_message(message)
        assert found.items, "each message counts as something"
        fold(state, found)
        return state.count("folded") > 0 and found.items[0].__class__.__name__ != (
            "SetAside"
        )

    return Target("codec", 20_000, lambda chance: spoiled_sent(chance, valid), read)


def blocks() -> Target:
    """The same messages in columns: what a block says is what each message says."""
    valid = valid_messages()
    large = [sent for sent in valid if sent[0].endswith(".batch")]

    def make(chance: Random) -> list[Sent]:
        return [chance.choice(large), spoiled_sent(chance, large)]

    def read(sent: list[Sent]) -> bool:
        messages = [Message(at, START_NS + at, *each) for at, each in enumerate(sent)]
        block = decode_block(messages)
        one_by_one = [decode_message(message) for message in messages]
        assert len(block.items) == sum(len(each.items) for each in one_by_one)
        return len(block.items) > 1

    return Target("columns of the codec", 1_000, make, read, refused_least=0)


def unread() -> Target:
    """What is said of messages that nobody decoded."""
    valid = valid_messages()

    def read(sent: Sent) -> None:
        message = Message(1, START_NS, *sent)
        message_region(message)
        message_id_of(message)
        assert event_count(message) >= 0

    def make(chance: Random) -> Sent:
        return spoiled_sent(chance, valid)

    return Target("messages unread", 5_000, make, read, refused_least=0)


def bundles() -> Target:
    """The agent's own notes, read back from its disk."""
    valid = [sent for sent in valid_messages() if sent[0].endswith(".batch")]

    def make(chance: Random) -> bytes:
        return spoiled_sent(chance, valid)[1]

    return Target("notes of the spool", 2_000, make, decode_bundle)


def packed() -> Target:
    """A packed watch as a client reads it: columns that fit, or ValueError."""

    def make(chance: Random) -> bytes:
        item = filled(chance, pb.WatchItem)
        body: bytes = item.SerializeToString()
        return spoiled_message(chance, body) if chance.random() < 0.5 else body

    def read(body: bytes) -> Any:  # noqa: ANN401 - columns of any kind
        return decode_packed(pb.WatchItem.FromString(body))

    refusals = (ValueError, DecodeError)
    return Target("packed watches", 5_000, make, read, refusals)
