"""Laws of blocks: columns say what objects say, however they were read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core.block import Block
from placement.core.event import (
    ClientKind,
    ContentPulled,
    DurationNs,
    Event,
    Identifier,
    MachineStarted,
    MachineStopped,
    Name,
    Recorded,
    SetAside,
    TimeNs,
)
from placement.core.oci import Digest, Repository
from placement.ports import Message
from placement.wire.columns import Read, decode_block
from placement.wire.events import batched, decode_message, encode_message, message_hash
from placement.wire.pull_finding import find_messages
from placement.wire.pull_reading import read_messages
from tests.builders import AMS, FRA, IAD, LAYER, START_NS, digest
from tests.golden_logs import every_fact
from tests.property.test_codec_laws import fuzzed
from tests.strategies import FACT_STRATEGIES, LONG, events, examples

WAYS = pytest.mark.parametrize(
    "read", [read_messages, find_messages], ids=["protobuf", "kernel"]
)
FUZZED_COUNT = 10_000 * (10 if LONG else 1)

pulls = events(FACT_STRATEGIES[ContentPulled])


machines = events(FACT_STRATEGIES[MachineStarted] | FACT_STRATEGIES[MachineStopped])


def plainly(event: Event) -> Event:
    """Return an event without what columns have no room for."""
    fact = event.fact
    if isinstance(fact, ContentPulled):
        fact = replace(fact, tag=None)
    return replace(event, organization=Name(""), app=Name(""), fact=fact)


plain_pulls = pulls.map(plainly)
plain = plain_pulls | machines.map(plainly)


@pytest.fixture(autouse=True)
def _in_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is, they go into columns."""
    monkeypatch.setattr("placement.wire.columns.COLUMN_BYTES_MIN", 0)


def stored(told: Sequence[Event]) -> list[Message]:
    """Return *told* as a log holds them, some in batches and some alone."""
    messages: list[Message] = []
    for number, batch in enumerate(batched(told), 1):
        alone = [[event] for event in batch] if number % 2 else [batch]
        for part in alone:
            subject, body, _ = encode_message(part)
            sequence = len(messages) + 1
            messages.append(Message(sequence, START_NS + sequence, subject, body))
    return messages


def objects(block: Block) -> list[Recorded | SetAside]:
    """Return every event of *block* as an object."""
    return [
        block.recorded(place) if item is None else item
        for place, item in enumerate(block.items)
    ]


def expect_same(messages: Sequence[Message], read: Read) -> Block:
    """Check a block of *messages* against their objects, and return it."""
    block = decode_block(messages, read=read)

    decoded = [decode_message(message) for message in messages]
    expected = [item for each in decoded for item in each.items]
    assert objects(block) == expected
    assert block.event_ids == [
        item.event.event_id if isinstance(item, Recorded) else "" for item in expected
    ]
    first = 0
    for frame, message, each in zip(block.frames, messages, decoded, strict=True):
        assert frame.sequence == message.sequence
        assert frame.store_time_ns == message.store_time_ns
        assert frame.message_hash == message_hash(message)
        assert (frame.first, frame.count) == (first, len(each.items))
        first += frame.count
    expect_columns(block)
    return block


def expect_columns(block: Block) -> None:
    """Check that each row of the columns says what the object of its event says."""
    pulls, starts, stops = block.pulls, block.starts, block.stops
    places = {frame.first + n: n for frame in block.frames for n in range(frame.count)}
    columned = []
    for part in (pulls, starts, stops):
        columned += part.index.tolist()
        assert part.batch_index.tolist() == [places[n] for n in part.index.tolist()]
        assert part.index.tolist() == sorted(part.index.tolist())
    assert sorted(columned) == [n for n, i in enumerate(block.items) if i is None]
    expect_machines(block)
    for row, place in enumerate(pulls.index.tolist()):
        item = block.recorded(place)
        fact = item.event.fact
        assert isinstance(fact, ContentPulled)
        assert fact.tag is None
        assert not item.event.app + item.event.organization
        assert told(block, row) == (
            *(item.time_ns, item.store_time_ns, item.event.region, fact.digest),
            *(fact.repository, fact.client_region, fact.source_region),
            *(fact.media_type, fact.transferred_bytes, fact.pull_duration_ns or 0),
            fact.client_kind,
        )


def expect_machines(block: Block) -> None:
    """Check that each start and stop in columns says what its object says."""
    starts, stops = block.starts, block.stops
    names = [*starts.names, None]  # -1 is the last: nothing
    for row, place in enumerate(starts.index.tolist()):
        item = block.recorded(place)
        fact = item.event.fact
        assert isinstance(fact, MachineStarted)
        assert not item.event.app + item.event.organization
        assert (
            *(starts.time_ns[row], starts.store_time_ns[row], starts.machines[row]),
            *(names[starts.region[row]], names[starts.repository[row]]),
            *(names[starts.source[row]], starts.digests[row].tobytes().hex()),
            *(starts.transferred_bytes[row], starts.cache[row], starts.wait_ns[row]),
            *(starts.expected_p50_ns[row], starts.expected_p90_ns[row]),
        ) == (
            *(item.time_ns, item.store_time_ns, fact.machine_id, item.event.region),
            *(fact.repository, fact.source_region, fact.digest.split(":")[1]),
            *(fact.transferred_bytes, fact.cache, said(fact.image_wait_ns)),
            *(said(fact.expected_wait_p50_ns), said(fact.expected_wait_p90_ns)),
        )
    for row, place in enumerate(stops.index.tolist()):
        item = block.recorded(place)
        fact = item.event.fact
        assert isinstance(fact, MachineStopped)
        assert not item.event.app + item.event.organization
        assert (
            *(stops.time_ns[row], stops.store_time_ns[row], stops.machines[row]),
            stops.names[stops.region[row]],
        ) == (item.time_ns, item.store_time_ns, fact.machine_id, item.event.region)


def said(value: int | None) -> int:
    """Return *value* as columns hold it."""
    return -1 if value is None else value


def told(block: Block, row: int) -> tuple[object, ...]:
    """Return what the columns say in one row."""
    pulls = block.pulls
    names = [*pulls.names, None]  # -1 is the last: nothing
    return (
        *(pulls.time_ns[row], pulls.store_time_ns[row], names[pulls.region[row]]),
        Digest(f"sha256:{pulls.digests[row].tobytes().hex()}"),
        *(names[pulls.repository[row]], names[pulls.client[row]]),
        *(names[pulls.source[row]], names[pulls.media[row]]),
        *(pulls.transferred_bytes[row], pulls.duration_ns[row]),
        pulls.client_kind[row],
    )


@WAYS
@examples(100)
@given(told=st.lists(plain | pulls | machines | events(), max_size=12))
def test_block_says_what_its_messages_say(told: list[Event], read: Read) -> None:
    """Every event, in order, whichever of them stand in columns."""
    messages = stored([*told, *every_fact(rounds=1)[:1]])

    expect_same(messages, read)


@WAYS
@examples(50)
@given(told=st.lists(plain, min_size=1, max_size=12))
def test_plain_events_stand_in_columns(told: list[Event], read: Read) -> None:
    """All that are in time do: else nothing here would be tried."""
    timeless = [replace(event, occur_time_ns=None) for event in told]

    block = expect_same(stored(timeless), read)

    columns = len(block.pulls) + len(block.starts) + len(block.stops)
    assert columns == len(told)


@WAYS
def test_fuzzed_blocks_say_what_their_messages_say(read: Read) -> None:
    """Whatever the bytes are, also of messages that are pulls but for a few bits."""
    random = Random(20261203)
    columns = 0

    for messages in fuzzed_blocks(random):
        columns += len(expect_same(messages, read).pulls)

    assert columns > FUZZED_COUNT // 10


def fuzzed_blocks(random: Random) -> Iterator[list[Message]]:
    """Yield blocks of messages that something is wrong with, now and then."""
    told = [pull(number) for number in range(9)]
    valid = [encode_message([event])[:2] for event in every_fact(rounds=1)]
    valid += [encode_message(told)[:2], encode_message(told[:1])[:2]] * 20
    sequence = 0
    while sequence < FUZZED_COUNT:
        block = []
        for _ in range(random.randrange(1, 20)):
            sequence += 1
            odd = random.randrange(2)
            subject, body = fuzzed(random, valid) if odd else random.choice(valid)
            block.append(Message(sequence, START_NS + sequence, subject, body))
        yield block


def pull(number: int) -> Event:
    """Return a plain pull of that number, which says all that columns can hold."""
    fact = ContentPulled(
        digest(str(number)),
        Repository("acme/web"),
        None,
        FRA,
        IAD,
        10 * number,
        DurationNs(1_500_000_000 * number),
        ClientKind(number % len(ClientKind)),
        Name(LAYER),
        10,
    )
    return Event(
        Identifier(f"pull-{number}"),
        AMS,
        fact,
        TimeNs(START_NS - number) if number % 2 else None,
        Name("agent é"),
    )


@WAYS
def test_places_that_are_skipped_are_left_out(read: Read) -> None:
    """As ``decode_message`` leaves them out, with the others where they were."""
    told = [pull(number) for number in range(6)]
    subject, body, _ = encode_message(told)
    messages = [Message(n, START_NS + n, subject, body) for n in (1, 2, 3)]
    skipped = {2: {0, 4}, 3: set(range(6))}

    block = decode_block(messages, lambda n: skipped.get(n, ()), read)

    expected = [decode_message(m, skipped.get(m.sequence, ())) for m in messages]
    assert objects(block) == [item for each in expected for item in each.items]
    assert [frame.count for frame in block.frames] == [6, 4, 0]
    assert np.array_equal(block.pulls.index, range(6))


@WAYS
def test_text_that_is_no_utf8_spoils_its_message_alone(read: Read) -> None:
    """As protobuf decides: all of the message is set aside, and nothing around it."""
    told = [pull(number) for number in range(3)]
    subject, body, _ = encode_message(told)
    media = b"application/vnd"
    assert body.count(media) == 3
    spoiled = body.replace(media, b"\xff" + media[1:], 1)
    bodies = [body, spoiled, body]
    messages = [Message(n, START_NS + n, subject, b) for n, b in enumerate(bodies, 1)]

    block = expect_same(messages, read)

    assert [frame.count for frame in block.frames] == [3, 1, 3]
    assert len(block.pulls) == 6
