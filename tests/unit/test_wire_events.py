"""Bytes of the stream: every limit with one too many, and its documented reason."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from placement.adapters.log_message import matches
from placement.core.errors import InputError
from placement.core.event import (
    DECIDING_FACTS,
    CacheKind,
    ContentPulled,
    Event,
    Fact,
    MachineStarted,
    Recorded,
    ReplicationPaused,
    ReplicationPlanned,
    SetAside,
    is_deciding,
)
from placement.ports import Message
from placement.v1 import events_pb2 as pb
from placement.wire.events import (
    BATCH,
    DECISIONS_SUBJECTS,
    FACT_NAMES,
    SUBJECT_FORBIDDEN,
    batched,
    decode_event,
    decode_message,
    encode_event,
    encode_message,
    fact_name,
    message_hash,
    subject_of,
)
from tests.builders import AMS, FRA, START_NS, A, pulled, pushed, stopped
from tests.golden_logs import every_fact

DAY_NS = 86_400_000_000_000
HEX = "a" * 64
LONG_REPOSITORY = "a/" * 127 + "b"
DECIDING: list[type] = sorted(DECIDING_FACTS, key=fact_name)
Spoil = Callable[[pb.Event], object]


def valid() -> pb.Event:
    """Return an event that nothing is wrong with."""
    proto = pb.Event(event_id="e", region="ams")
    proto.content_pushed.repository = "acme/web"
    proto.content_pushed.content.digest = f"sha256:{HEX}"
    return proto


def stored(proto: pb.Event, subject: str = subject_of("ams", "any")) -> Message:
    """Return the event as a message of the log."""
    return Message(1, START_NS, subject, proto.SerializeToString())


def set_time(proto: pb.Event, time_ns: int) -> None:
    """Let the event have happened at *time_ns*."""
    proto.occur_time.CopyFrom(
        Timestamp(seconds=time_ns // 10**9, nanos=time_ns % 10**9)
    )


def set_wait(proto: pb.Event, seconds: int, nanos: int = 0) -> None:
    """Let the push have taken so long."""
    proto.content_pushed.push_duration.seconds = seconds
    proto.content_pushed.push_duration.nanos = nanos


def evict(proto: pb.Event, reason: str = "", count: int = 1) -> None:
    """Let *count* contents have left for *reason*."""
    proto.content_evicted.repository = "acme/web"
    proto.content_evicted.reason = reason
    proto.content_evicted.digests.extend([f"sha256:{HEX}"] * count)


def change_policy(proto: pb.Event, length: int) -> None:
    """Put a policy of *length* characters in force."""
    proto.policy_changed.content = "x" * length


def plan_eviction(proto: pb.Event, value: float) -> None:
    """Plan an eviction for a factor of *value*."""
    proto.eviction_planned.eviction_id = "v"
    proto.eviction_planned.repository = "acme/web"
    proto.eviction_planned.digest = f"sha256:{HEX}"
    proto.eviction_planned.target_region = "ams"
    proto.eviction_planned.factors.add(name="value", value=value)


def refer(proto: pb.Event, count: int) -> None:
    """Let the pushed content refer to *count* others."""
    for _ in range(count):
        proto.content_pushed.references.add(digest=f"sha256:{HEX}")


AT_THE_LIMIT: dict[str, Spoil] = {
    "id of 128": lambda p: setattr(p, "event_id", "x" * 128),
    "publisher of 255": lambda p: setattr(p, "publisher", "é" * 255),
    "region of 32": lambda p: setattr(p, "region", "ams"),
    "reason of 1024": lambda p: evict(p, reason="line\n\t" * 170 + "four"),
    "policy of 8192": lambda p: change_policy(p, 8192),
    "1024 digests": lambda p: evict(p, count=1024),
    "1024 references": lambda p: refer(p, 1024),
    "size of 2^50": lambda p: setattr(p.content_pushed.content, "size_bytes", 2**50),
    "size of 0": lambda p: setattr(p.content_pushed.content, "size_bytes", 0),
    "repository of 255": lambda p: setattr(
        p.content_pushed, "repository", LONG_REPOSITORY
    ),
    "tag of 128": lambda p: setattr(p.content_pushed, "tag", "T" * 128),
    "sha512": lambda p: setattr(
        p.content_pushed.content, "digest", "sha512:" + HEX * 2
    ),
    "after 1970": lambda p: set_time(p, 1),
    "24 h ahead": lambda p: set_time(p, START_NS + DAY_NS),
    "wait of nothing": lambda p: set_wait(p, 0),
    "wait of 366 d": lambda p: set_wait(p, 366 * 86_400),
    "any finite factor": lambda p: plan_eviction(p, -1.7e308),
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_value_at_its_limit_is_accepted(name: str) -> None:
    """The greatest and the smallest that are allowed are allowed."""
    proto = valid()
    AT_THE_LIMIT[name](proto)

    decided = subject_of("ams", "any", deciding=True)  # there all facts are read
    [item] = decode_message(stored(proto, decided)).items

    assert isinstance(item, Recorded)


ONE_TOO_MANY: list[tuple[str, str, Spoil]] = [
    ("event_id", "TEXT_INVALID", lambda p: setattr(p, "event_id", "x" * 129)),
    ("event_id", "TEXT_INVALID", lambda p: setattr(p, "event_id", "")),
    ("event_id", "TEXT_INVALID", lambda p: setattr(p, "event_id", "a b")),
    ("event_id", "TEXT_INVALID", lambda p: setattr(p, "event_id", "é")),
    ("region", "REGION_INVALID", lambda p: setattr(p, "region", "a" * 33)),
    ("region", "REGION_INVALID", lambda p: setattr(p, "region", "")),
    ("region", "REGION_INVALID", lambda p: setattr(p, "region", "AMS")),
    ("publisher", "TEXT_INVALID", lambda p: setattr(p, "publisher", "x" * 256)),
    ("publisher", "TEXT_INVALID", lambda p: setattr(p, "publisher", "two\nlines")),
    ("organization", "TEXT_INVALID", lambda p: setattr(p, "organization", "\0")),
    ("app", "TEXT_INVALID", lambda p: setattr(p, "app", "x" * 256)),
    ("content_evicted.reason", "TEXT_INVALID", lambda p: evict(p, "x" * 1025)),
    ("content_evicted.reason", "TEXT_INVALID", lambda p: evict(p, "bell \a")),
    ("content_evicted.digests", "LIMIT_INVALID", lambda p: evict(p, count=1025)),
    ("policy_changed.content", "TEXT_INVALID", lambda p: change_policy(p, 8193)),
    ("content_pushed.references", "LIMIT_INVALID", lambda p: refer(p, 1025)),
    (
        "content_pushed.content.size_bytes",
        "NUMBER_INVALID",
        lambda p: setattr(p.content_pushed.content, "size_bytes", 2**50 + 1),
    ),
    (
        "content_pushed.content.size_bytes",
        "NUMBER_INVALID",
        lambda p: setattr(p.content_pushed.content, "size_bytes", -1),
    ),
    (
        "content_pushed.content.media_type",
        "TEXT_INVALID",
        lambda p: setattr(p.content_pushed.content, "media_type", "x" * 256),
    ),
    (
        "content_pushed.content.digest",
        "DIGEST_INVALID",
        lambda p: setattr(p.content_pushed.content, "digest", "sha256:" + HEX[1:]),
    ),
    (
        "content_pushed.repository",
        "NAME_INVALID",
        lambda p: setattr(p.content_pushed, "repository", LONG_REPOSITORY + "b"),
    ),
    (
        "content_pushed.tag",
        "TAG_INVALID",
        lambda p: setattr(p.content_pushed, "tag", "T" * 129),
    ),
    (
        "content_pushed.client_region",
        "REGION_INVALID",
        lambda p: setattr(p.content_pushed, "client_region", "-ams"),
    ),
    ("occur_time", "TIME_INVALID", lambda p: set_time(p, 0)),
    ("occur_time", "TIME_INVALID", lambda p: set_time(p, -1)),
    ("occur_time", "TIME_INVALID", lambda p: set_time(p, 2**62 + 1)),
    (
        "occur_time",
        "TIME_INVALID",
        lambda p: setattr(p.occur_time, "nanos", 1_000_000_000),
    ),
    (
        "content_pushed.push_duration",
        "TIME_INVALID",
        lambda p: set_wait(p, 366 * 86_400, 1),
    ),
    ("content_pushed.push_duration", "TIME_INVALID", lambda p: set_wait(p, -1)),
    (
        "eviction_planned.factors[0].value",
        "NUMBER_INVALID",
        lambda p: plan_eviction(p, float("nan")),
    ),
    (
        "eviction_planned.factors[0].value",
        "NUMBER_INVALID",
        lambda p: plan_eviction(p, float("-inf")),
    ),
    (
        "content_pushed.content",
        "INPUT_INVALID",
        lambda p: p.content_pushed.ClearField("content"),
    ),
    ("fact", "FACT_UNKNOWN", lambda p: p.ClearField("content_pushed")),
]


@pytest.mark.parametrize(
    ("field", "reason", "spoil"), ONE_TOO_MANY, ids=map(str, range(len(ONE_TOO_MANY)))
)
def test_one_too_many_is_refused(field: str, reason: str, spoil: Spoil) -> None:
    """The field at fault is named from the outside in, with a documented reason."""
    proto = valid()
    spoil(proto)

    with pytest.raises(InputError) as refused:
        decode_event(proto)
    [item] = decode_message(stored(proto)).items

    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert item == SetAside(1, 0, START_NS, reason)


def test_future_by_more_than_a_day_is_set_aside() -> None:
    """One nanosecond past 24 hours after the log's time is no clock error any more."""
    proto = valid()
    set_time(proto, START_NS + DAY_NS + 1)

    [item] = decode_message(stored(proto)).items

    assert item == SetAside(1, 0, START_NS, "TIME_INVALID")


def test_region_of_32_characters_is_accepted() -> None:
    """The longest code there can be, in the event and in the subject."""
    proto = valid()
    proto.region = "a" * 32

    [item] = decode_message(stored(proto, subject_of("a" * 32, "any"))).items

    assert isinstance(item, Recorded)


@pytest.mark.parametrize(("count", "reasons"), [(512, []), (513, ["LIMIT_INVALID"])])
def test_batch_holds_512_events(count: int, reasons: list[str]) -> None:
    """One event more and the whole message is set aside, as one item."""
    batch = pb.EventBatch(events=[valid()] * count)
    body = batch.SerializeToString()

    items = decode_message(Message(1, START_NS, subject_of("ams", "batch"), body)).items

    assert len(items) == (1 if reasons else count)
    assert [item.reason for item in items if isinstance(item, SetAside)] == reasons


@pytest.mark.parametrize(
    ("subject", "body", "reason"),
    [
        ("placement.events.v1.ams", b"", "SUBJECT_UNKNOWN"),
        ("placement.events.v1.ams.content_pushed.more", b"", "SUBJECT_UNKNOWN"),
        ("placement.events.v2.ams.content_pushed", b"", "SUBJECT_UNKNOWN"),
        ("placement.events.v1.ams.batch", b"", "LIMIT_INVALID"),
        ("placement.events.v1.ams.content_pushed", b"\xff", "BYTES_UNREADABLE"),
        ("placement.events.v1.ams.content_pushed", b"\x0a\x01\xff", "BYTES_UNREADABLE"),
        ("placement.events.v1.ams.content_pushed", b"", "TEXT_INVALID"),
        ("placement.events.v1.fra.content_pushed", None, "REGION_INVALID"),
    ],
)
def test_message_that_is_none_of_ours_is_set_aside(
    subject: str, body: bytes | None, reason: str
) -> None:
    """Wrong subjects, bytes that are no event, and another region's events."""
    body = valid().SerializeToString() if body is None else body

    items = decode_message(Message(9, START_NS, subject, body)).items

    assert items == (SetAside(9, 0, START_NS, reason),)


def test_bad_event_leaves_the_others_of_its_batch() -> None:
    """What cannot be read is set aside by its place; the rest of the batch counts."""
    spoiled = valid()
    spoiled.content_pushed.repository = "Acme"
    batch = pb.EventBatch(events=[valid(), spoiled, valid()])

    items = decode_message(
        Message(4, START_NS, subject_of("ams", "batch"), batch.SerializeToString())
    ).items

    assert [type(item) for item in items] == [Recorded, SetAside, Recorded]
    assert items[1] == SetAside(4, 1, START_NS, "NAME_INVALID")


def test_decisions_have_a_subject_of_their_own() -> None:
    """Both prefixes are of the one stream."""
    subject = "placement.decisions.v1.ams.content_pushed"

    [item] = decode_message(stored(valid(), subject)).items

    assert isinstance(item, Recorded)


def test_fact_of_a_newer_publisher_is_set_aside() -> None:
    """A field number that this version does not know is no fact that it can fold."""
    proto = valid()
    proto.ClearField("content_pushed")
    newer = proto.SerializeToString() + b"\xca\x3e\x00"  # field 1001, an empty message

    [item] = decode_message(Message(1, START_NS, subject_of("ams", "new"), newer)).items

    assert item == SetAside(1, 0, START_NS, "FACT_UNKNOWN")


def test_kind_of_a_newer_publisher_is_unspecified() -> None:
    """An enum's value that this version does not know does not cost the fact."""
    proto = valid()
    proto.machine_started.digest = f"sha256:{HEX}"
    proto.machine_started.repository = "acme/web"
    proto.machine_started.machine_id = "m1"
    pb.Event.MergeFromString(proto, b"\x72\x03\x50\xe7\x07")  # cache = 999

    fact = decode_event(proto).fact

    assert isinstance(fact, MachineStarted)
    assert fact.cache is CacheKind.UNSPECIFIED


def test_empty_text_is_no_value_where_there_may_be_none() -> None:
    """An empty tag or region in protobuf is None in the domain."""
    proto = encode_event(pulled("a", AMS, tag=None))

    fact = decode_event(proto_named(proto)).fact

    assert isinstance(fact, ContentPulled)
    assert (fact.digest, fact.tag, fact.client_region) == (A, None, None)


def proto_named(proto: pb.Event) -> pb.Event:
    """Return *proto* with an id."""
    proto.event_id = "e"
    return proto


def test_subject_names_region_and_fact() -> None:
    """One event goes under its fact's name, several of a region as a batch."""
    subject, _, message_id = encode_message([pushed("a", AMS)])
    several, _, batch_id = encode_message([pushed("a", AMS), stopped("m1", AMS)])

    assert (subject, message_id) == (
        "placement.events.v1.ams.content_pushed",
        "events.ams.unnamed",
    )
    assert several == "placement.events.v1.ams.batch"
    assert batch_id == "events.ams.batch-29ba8ad0e6502797749374af24cc647b"


@pytest.mark.parametrize("kind", DECIDING, ids=fact_name)
def test_decisions_and_orders_have_their_own_subjects(kind: type[Fact]) -> None:
    """One goes under its name, several as a batch; what they say is read from both."""
    told = [event for event in every_fact(1) if isinstance(event.fact, kind)]

    subject, body, _ = encode_message(told[:1])
    several, _, _ = encode_message([told[0], told[0]])
    [item] = decode_message(Message(1, START_NS + DAY_NS, subject, body)).items

    region = told[0].region
    assert subject == f"placement.decisions.v1.{region}.{fact_name(kind)}"
    assert several == f"placement.decisions.v1.{region}.batch"
    assert isinstance(item, Recorded)
    assert item.event == told[0]


def test_subjects_of_decisions_are_those_that_an_append_expects() -> None:
    """Every decision's subject is one of the pattern, and no other fact's is."""
    names = {fact_name(kind) for kind in DECIDING_FACTS}

    found = {
        name
        for name in FACT_NAMES
        if matches(DECISIONS_SUBJECTS, subject_of("a", name))
    }

    assert found == names
    assert matches(DECISIONS_SUBJECTS, subject_of("a", BATCH, deciding=True))
    assert not matches(DECISIONS_SUBJECTS, subject_of("a", BATCH))


@pytest.mark.parametrize("name", FACT_NAMES)
def test_decisions_are_read_among_decisions_alone(name: str) -> None:
    """A region's agents may publish events: what they say there decides nothing."""
    [event, *_] = [e for e in every_fact(1) if fact_name(type(e.fact)) == name]
    body = encode_event(event).SerializeToString()
    time_ns = (event.occur_time_ns or START_NS) + DAY_NS

    items = [
        decode_message(
            Message(1, time_ns, f"placement.{kind}.v1.{event.region}.{name}", body)
        ).items
        for kind in ("events", "decisions")
    ]

    assert isinstance(items[1][0], Recorded)
    if is_deciding(event):
        assert items[0] == (SetAside(1, 0, time_ns, SUBJECT_FORBIDDEN),)
    else:
        assert items[0] == items[1]


def test_batch_is_of_one_kind() -> None:
    """Decisions between events become a message of their own, each kind in order."""
    plan, pause = (
        next(event for event in every_fact(1) if isinstance(event.fact, kind))
        for kind in (ReplicationPlanned, ReplicationPaused)
    )
    told: list[Event] = [
        pushed("a", AMS),
        replace(plan, region=AMS),
        pushed("b", AMS),
        replace(pause, region=AMS),
    ]

    batches = list(batched(told))

    assert batches == [[told[0], told[2]], [told[1], told[3]]]
    assert [encode_message(batch)[0] for batch in batches] == [
        "placement.events.v1.ams.batch",
        "placement.decisions.v1.ams.batch",
    ]


def test_batches_are_of_one_region() -> None:
    """Events of two regions become two messages, each in its own order."""
    told = [pushed("a", AMS), pushed("b", FRA), pushed("c", AMS)]

    assert list(batched(told)) == [[told[0], told[2]], [told[1]]]


def test_batch_ends_at_512_events() -> None:
    """The next event begins another message."""
    sizes = [len(batch) for batch in batched([stopped("m1", AMS)] * 1025)]

    assert sizes == [512, 512, 1]


def test_batch_ends_where_its_bytes_would_pass_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What events take in a batch besides their own bytes counts, too."""
    told = [stopped("m1", AMS)] * 2
    length = encode_event(told[0]).ByteSize()
    monkeypatch.setattr("placement.wire.events.BATCH_BYTES_MAX", 2 * length)

    assert list(batched(told)) == [[told[0]], [told[1]]]


def test_hash_tells_messages_apart() -> None:
    """Other bytes, or another time, are another message."""
    message = Message(1, START_NS, "s", b"body")
    same_place = [
        Message(1, START_NS, "s", b"body!"),
        Message(1, START_NS + 1, "s", b"body"),
    ]

    hashes = {message_hash(item) for item in [message, *same_place]}

    assert len(hashes) == 3
    assert all(len(found) == 16 for found in hashes)


def test_requests_ticks_and_quarantines_count_from_services_alone() -> None:
    """As decisions and orders do: an agent may store events of its region only."""
    names = {"replication_requested", "tick_passed", "event_quarantined"}

    assert names <= {fact_name(kind) for kind in DECIDING_FACTS}
    assert {subject_of("a", name) for name in names} == {
        f"placement.decisions.v1.a.{name}" for name in names
    }
