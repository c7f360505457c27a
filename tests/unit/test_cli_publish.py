"""What ``placement publish`` makes of files: documents, events, faults."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from placement.agent.feeds.networks import parse_networks
from placement.cli.documents import (
    LINE_BYTES_MAX,
    Document,
    Fault,
    Reading,
    read_documents,
)
from placement.cli.sending import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, batched
from placement.cli.translating import Prepared, Translator, rebased
from placement.core.errors import InputError
from placement.core.event import ContentPulled, Event
from placement.core.topology import Region
from placement.wire.event_json import event_from_json

NOTIFICATIONS = Path(__file__).parents[2] / "placement" / "data" / "notifications"
DIGEST = f"sha256:{'a' * 64}"
STOP = {"region": "syd", "machine_stopped": {"machine_id": "m1"}}


def read(text: str | bytes) -> list[tuple[str, object]]:
    """Return the documents in *text*, a fault being the field that it names."""
    stream = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    return [
        (item.where, item.error.field if isinstance(item, Fault) else item.value)
        for item in read_documents("f", stream, lambda _: None)
    ]


def translated(value: object, translator: Translator) -> list[Prepared | Fault]:
    """Return what *translator* makes of one document."""
    return list(translator.events_of([Document("f:1", value)]))


def events(found: list[Prepared | Fault]) -> list[Event]:
    """Return the events, of which all of *found* are."""
    assert not [item for item in found if isinstance(item, Fault)]
    return [item.event for item in found if isinstance(item, Prepared)]


def captured(name: str) -> Any:  # noqa: ANN401 - JSON
    """Return a captured file, decoded."""
    return json.loads((NOTIFICATIONS / name).read_text())


def test_each_line_is_a_document() -> None:
    """Numbers are those of the file, empty lines count and say nothing."""
    assert read('{"a": 1}\n\n  \n{"b": 2}') == [("f:1", {"a": 1}), ("f:4", {"b": 2})]


def test_malformed_line_does_not_stop_the_rest() -> None:
    """It is told by its number."""
    text = b'{"a": 1}\nnot json\n\xff\xfe\n{"b": 2}\n'

    assert read(text) == [
        ("f:1", {"a": 1}),
        ("f:2", "line"),
        ("f:3", "line"),
        ("f:4", {"b": 2}),
    ]


def test_whole_file_may_be_one_document() -> None:
    """As captures and curl's output are; an array is its items."""
    assert read('{\n  "a":\n 1\n}\n') == [("f", {"a": 1})]
    assert read('[\n{"a": 1},\n{"b": 2}]') == [("f[0]", {"a": 1}), ("f[1]", {"b": 2})]


def test_first_line_may_be_the_malformed_one() -> None:
    """A file of lines stays one when its first line is broken."""
    assert read('{"a": \n{"b": 2}\n') == [("f:1", "line"), ("f:2", {"b": 2})]


def test_line_without_end_is_refused() -> None:
    """One over the limit is told, and the next is read."""
    text = b" " * 5 + b"x" * LINE_BYTES_MAX + b'\n{"b": 2}\n'

    assert read(text) == [("f:1", "line"), ("f:2", {"b": 2})]


def test_deep_nesting_is_a_fault() -> None:
    """A line that no event can be is one malformed line."""
    assert read('{"a": 1}\n' + "[" * 100_000)[1] == ("f:2", "line")


def test_file_that_cannot_be_read_is_named() -> None:
    """The error says which one."""
    with pytest.raises(InputError, match="nowhere"), Reading(["nowhere.jsonl"]):
        pass


def test_captured_notifications_become_events() -> None:
    """A real capture, its registry's name mapped to a region; HEADs are no event."""
    translator = Translator(region_map={"a": Region("iad")})

    found = events(translated(captured("04-push-other-repository.json"), translator))

    assert {event.region for event in found} == {"iad"}
    assert len(found) == 6
    assert translator.ignored == {"head-is-no-use": 4}


def test_request_log_of_a_capture_is_joined() -> None:
    """A pull has the bytes and the duration that the registry logged."""
    translator = Translator(region_map={"a": Region("iad")})

    found = events(translated(captured("05-pull-image.json"), translator))

    pulls = [event.fact for event in found if isinstance(event.fact, ContentPulled)]
    assert all(pull.transferred_bytes and pull.pull_duration_ns for pull in pulls)


def test_envelope_as_posted_needs_a_region() -> None:
    """A registry does not say where it is."""
    envelope = captured("01-push-first.json")["envelopes"][0]["body"]

    (fault,) = translated(envelope, Translator())
    found = events(translated(envelope, Translator(region=Region("fra"))))

    assert isinstance(fault, Fault)
    assert "--region" in fault.error.remedy
    assert [event.region for event in found] == ["fra"]


def test_notification_inside_an_envelope_is_told_by_its_place() -> None:
    """One bad notification does not touch the others."""
    envelope = captured("01-push-first.json")["envelopes"][0]["body"]
    broken = {**envelope["events"][0], "target": {"digest": "x"}}
    both = {"events": [broken, *envelope["events"]]}

    found = translated(both, Translator(region=Region("fra")))

    assert [type(item).__name__ for item in found] == ["Prepared", "Fault"]
    assert found[1].where == "f:1 events[0]"


def test_event_line_needs_a_region_of_its_own_or_the_flag() -> None:
    """The line goes first."""
    bare = {"machine_stopped": {"machine_id": "m1"}}

    (fault,) = translated(bare, Translator())
    (there,) = events(translated(bare, Translator(region=Region("gru"))))
    (own,) = events(translated(STOP, Translator(region=Region("gru"))))

    assert isinstance(fault, Fault)
    assert "--region" in fault.error.remedy
    assert (there.region, own.region) == ("gru", "syd")


def test_event_that_the_log_would_refuse_is_told_by_its_line() -> None:
    """It is not sent, since it would take the others of its request with it."""
    contents = [{"repository": "a/b", "content": {"digest": DIGEST}}] * 1000
    taken = {"scan_time": "2026-11-23T15:40:00Z", "contents": contents}
    wide: Any = {"region": "syd", "inventory_taken": taken}
    wide["inventory_taken"]["contents"][0] = {
        "repository": "a/b",
        "content": {"digest": DIGEST},
        "references": [{"digest": DIGEST, "media_type": "x" * 250}] * 1000,
    }

    (fault,) = translated(wide, Translator())

    assert isinstance(fault, Fault)
    assert fault.error.reason == "LIMIT_INVALID"


def test_clients_are_placed_by_their_address() -> None:
    """--client-region says where a registry's clients are."""
    networks = parse_networks(["127.0.0.0/8=syd"], "--client-region")
    translator = Translator(Region("iad"), client_regions=networks)

    found = events(translated(captured("05-pull-image.json"), translator))

    assert {getattr(event.fact, "client_region", None) for event in found} == {"syd"}
    with pytest.raises(InputError, match="NETWORK=REGION"):
        parse_networks(["syd"], "--client-region")


def test_rebasing_keeps_distances_and_ids() -> None:
    """The newest is now, the others as long before it as they were."""
    times = ["2026-11-23T15:40:00Z", "2026-11-23T15:41:00Z"]
    start = {"repository": "a/b", "digest": DIGEST, "machine_id": "m"}
    start["request_time"] = "2026-11-23T15:39:00Z"
    lines = [
        {**STOP, "occur_time": times[0]},
        {"region": "syd", "occur_time": times[1], "machine_started": start},
        {**STOP, "event_id": "timeless"},
    ]
    found = [Prepared("f", event_from_json(line)) for line in lines]

    now_ns = 1_800_000_000_000_000_000
    shifted = [item.event for item in rebased(found, now_ns)]

    minute_ns = 60_000_000_000
    assert shifted[1].occur_time_ns == now_ns
    assert shifted[0].occur_time_ns == now_ns - minute_ns
    assert shifted[2].occur_time_ns is None
    assert getattr(shifted[1].fact, "request_time_ns", 0) == now_ns - 2 * minute_ns
    assert [event.event_id for event in shifted] == [
        item.event.event_id for item in found
    ]


def test_requests_stay_within_the_service_s_limits() -> None:
    """At most 512 events, and a bounded number of bytes, in the order given."""
    event = event_from_json(STOP)
    evicted = {"repository": "a/b", "digests": [DIGEST] * 1000}
    large = event_from_json({"region": "syd", "content_evicted": evicted})

    many = list(batched((number, event) for number in range(BATCH_EVENTS_MAX + 1)))
    wide = list(batched((number, large) for number in range(50)))

    assert [len(batch) for _, batch in many] == [BATCH_EVENTS_MAX, 1]
    assert many[1][0] == [BATCH_EVENTS_MAX]
    sizes = [sum(one.ByteSize() for one in batch) for _, batch in wide]
    assert len(wide) > 1
    assert max(sizes) <= BATCH_BYTES_MAX
    assert [mark for marks, _ in wide for mark in marks] == list(range(50))
    assert list(batched([])) == []
