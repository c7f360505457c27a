"""Laws of the wire: what is encoded is decoded, and nothing that is stored can fail."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core.event import (
    Event,
    Identifier,
    Recorded,
    SetAside,
    TimeNs,
    is_deciding,
)
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.events import (
    FACT_NAMES,
    batched,
    decode_event,
    decode_message,
    encode_event,
    encode_message,
    subject_of,
)
from tests.builders import DAY_NS, START_NS
from tests.golden_logs import every_fact
from tests.strategies import FACT_STRATEGIES, FACTS, LONG, events, examples

FUZZED_COUNT = 10_000 * (10 if LONG else 1)


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: str(kind.__name__))
@examples(25)
@given(st.data())
def test_event_survives_its_encoding(kind: type, data: st.DataObject) -> None:
    """Decoding what was encoded gives the same event, for every fact and field."""
    event = data.draw(events(FACT_STRATEGIES[kind]))

    body = encode_event(event).SerializeToString()

    assert decode_event(pb.Event.FromString(body)) == event


@examples(100)
@given(st.lists(events(ids=5), min_size=1, max_size=12))
def test_message_survives_its_encoding(told: list[Event]) -> None:
    """A message of one region and kind is read back as its events, in order."""
    alike = [
        replace(event, region=told[0].region, occur_time_ns=None)
        for event in told
        if is_deciding(event) == is_deciding(told[0])
    ]

    subject, body, message_id = encode_message(alike)
    read = decode_message(Message(7, START_NS, subject, body))

    assert [item.event for item in read.items if isinstance(item, Recorded)] == alike
    assert [(i.sequence, i.batch_index) for i in read.items] == [
        (7, index) for index in range(len(alike))
    ]
    assert encode_message(alike) == (subject, body, message_id)
    assert Identifier(message_id)


@examples(150)
@given(st.lists(events(), max_size=30), st.integers(1, 5), st.integers(200, 2_000))
def test_batches_keep_the_order_and_the_limits(
    told: list[Event], events_max: int, bytes_max: int
) -> None:
    """A region's events of a kind keep their order, within the limits."""
    with pytest.MonkeyPatch.context() as limits:
        limits.setattr("placement.wire.events.BATCH_EVENTS_MAX", events_max)
        limits.setattr("placement.wire.events.BATCH_BYTES_MAX", bytes_max)
        batches = list(batched(told))

    for kind in {(event.region, is_deciding(event)) for event in told}:
        mine = [
            event
            for batch in batches
            for event in batch
            if (event.region, is_deciding(event)) == kind
        ]
        assert mine == [e for e in told if (e.region, is_deciding(e)) == kind]
    for batch in batches:
        assert 1 <= len(batch) <= events_max
        assert len({(event.region, is_deciding(event)) for event in batch}) == 1
        _, body, _ = encode_message(batch)
        assert len(batch) == 1 or len(body) <= bytes_max


@given(st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=4))
@examples(100)
def test_message_id_of_a_batch_is_that_of_its_ids_in_order(ids: list[str]) -> None:
    """The same events batched again have the same message id, and others another."""
    first = every_fact(rounds=1)[0]
    told = [replace(first, event_id=Identifier(name)) for name in ids]

    _, _, message_id = encode_message(told)

    _, _, other = encode_message([*told, replace(first, event_id=Identifier("c"))])
    assert message_id == encode_message(told)[2]
    assert message_id != other


# Whatever is stored: nothing fails, everything is counted.


def fuzzed(random: Random, valid: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return a subject and a body that something is wrong with, mostly."""
    subject, body = random.choice(valid)
    match random.randrange(8):
        case 0:
            return subject, random.randbytes(random.randrange(200))
        case 1:
            return subject, body[: random.randrange(len(body) + 1)]
        case 2:
            return subject, body + random.randbytes(random.randrange(1, 9))
        case 3:
            return random.choice(valid)[0], body
        case 4:
            return wrong_subject(random), body
        case _:
            return subject, flipped(random, body)


def flipped(random: Random, body: bytes) -> bytes:
    """Return *body* with one to eight of its bits turned over."""
    spoiled = bytearray(body)
    for _ in range(random.randint(1, 8)):
        spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def wrong_subject(random: Random) -> str:
    """Return a subject that is not ours, or not that of the message."""
    region = random.choice(["ams", "AMS", "", "a" * 33, "a.b", "é", "iad"])
    fact = random.choice([*FACT_NAMES, "batch", "unheard_of", ""])
    prefix = random.choice(["placement.events.v1", "placement.decisions.v1", "other"])
    return random.choice([subject_of(region, fact), f"{prefix}.{region}.{fact}", ""])


def test_ten_thousand_fuzzed_payloads_are_each_counted() -> None:
    """Nothing crashes: every event is folded, known already, or set aside by reason."""
    random = Random(20261123)
    told = every_fact(rounds=4)
    valid = [encode_message([event])[:2] for event in told]
    valid.extend(encode_message(batch)[:2] for batch in batched(told[:60]))
    state = State()
    items: Counter[type] = Counter()

    for sequence in range(1, FUZZED_COUNT + 1):
        subject, body = fuzzed(random, valid)
        read = decode_message(Message(sequence, START_NS + sequence, subject, body))
        assert read.items
        items.update(type(item) for item in read.items)
        fold(state, read)

    counted = {name: state.count(name) for name in ("folded", "duplicate", "set_aside")}
    assert state.sequence == FUZZED_COUNT
    assert sum(counted.values()) == items[Recorded] + items[SetAside]
    assert counted["set_aside"] >= items[SetAside] > FUZZED_COUNT // 2
    assert min(counted.values()) > FUZZED_COUNT // 1_000


@examples(300)
@given(st.text(max_size=40) | st.just(subject_of("ams", "batch")), st.binary())
def test_any_bytes_under_any_subject_are_read(subject: str, body: bytes) -> None:
    """A message is always some items, each at the message's own place."""
    read = decode_message(Message(3, START_NS, subject, body))

    assert read.items
    assert {item.sequence for item in read.items} == {3}
    assert read == decode_message(Message(3, START_NS, subject, body))


@examples(200)
@given(events(), st.integers(0, 2**62), st.integers(-2 * DAY_NS, 2 * DAY_NS))
def test_time_is_never_later_than_the_log_says(
    event: Event, stored_ns: int, ahead_ns: int
) -> None:
    """An event of a clock that is ahead happened when it was stored, at the latest."""
    happened_ns = max(1, min(2**62, stored_ns + ahead_ns))
    dated = replace(event, occur_time_ns=TimeNs(happened_ns))
    subject, body, _ = encode_message([dated])

    [item] = decode_message(Message(1, stored_ns, subject, body)).items

    if happened_ns - stored_ns > DAY_NS:
        assert isinstance(item, SetAside)
        assert item.reason == "TIME_INVALID"
    else:
        assert isinstance(item, Recorded)
        assert item.time_ns == min(happened_ns, stored_ns)
