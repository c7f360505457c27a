"""Events as people write them, and answers as scripts read them."""

import random
from typing import Any

import pytest

from placement.core.errors import InputError
from placement.core.event import CacheKind, MachineStarted
from placement.v1 import placement_service_pb2 as pb
from placement.wire.event_json import event_from_json, event_to_json
from placement.wire.json import plain

DIGEST = f"sha256:{'a' * 64}"
START: dict[str, Any] = {
    "region": "syd",
    "machine_started": {
        "repository": "acme/web",
        "digest": DIGEST,
        "machine_id": "m1",
        "image_wait": "1.5s",
        "cache": "host",
    },
}


def refusal(value: object) -> InputError:
    """Return why *value* is no event."""
    with pytest.raises(InputError) as caught:
        event_from_json(value)
    return caught.value


def test_line_is_read_as_people_write_it() -> None:
    """The fact's name is the key, durations have a unit, enums need no prefix."""
    event = event_from_json({**START, "occur_time": "2026-11-23T15:40:00.5Z"})

    assert isinstance(event.fact, MachineStarted)
    assert event.fact.image_wait_ns == 1_500_000_000
    assert event.fact.cache is CacheKind.HOST
    assert event.occur_time_ns == 1_795_448_400_500_000_000


def test_protobuf_names_are_understood_too() -> None:
    """What another program's JSON mapping wrote is the same event."""
    fact = {
        "repository": "acme/web",
        "digest": DIGEST,
        "machineId": "m1",
        "imageWait": "1.500s",
        "cache": "CACHE_KIND_HOST",
    }

    assert event_from_json({"machineStarted": fact, "region": "syd"}) == (
        event_from_json(START)
    )


def test_event_without_id_is_the_same_event_again() -> None:
    """Its id is made of its content: publishing a file twice changes nothing."""
    other = {**START, "region": "nrt"}

    assert event_from_json(START).event_id == event_from_json(START).event_id
    assert event_from_json(START).event_id != event_from_json(other).event_id
    assert event_from_json({**START, "event_id": "mine"}).event_id == "mine"


def test_region_is_filled_where_none_is_named() -> None:
    """The region of the line goes first."""
    nowhere = {"machine_started": START["machine_started"]}

    assert event_from_json(nowhere, "gru").region == "gru"
    assert event_from_json(START, "gru").region == "syd"


def test_every_item_of_a_list_is_kept() -> None:
    """Texts and objects alike, in their order."""
    digests = [DIGEST, f"sha256:{'b' * 64}", f"sha512:{'c' * 128}"]
    evicted = {"repository": "a/b", "digests": digests}
    pushed = {
        "repository": "a/b",
        "content": {"digest": DIGEST},
        "references": [{"digest": digest} for digest in digests],
    }

    one = event_to_json(event_from_json({"region": "syd", "content_evicted": evicted}))
    other = event_to_json(event_from_json({"region": "syd", "content_pushed": pushed}))

    assert one["content_evicted"] == evicted
    assert other["content_pushed"]["references"] == pushed["references"]


def test_event_comes_back_as_it_was() -> None:
    """What tail prints can be published again."""
    event = event_from_json({**START, "occur_time": "2026-11-23T15:40:00Z"})

    assert event_from_json(event_to_json(event)) == event


@pytest.mark.parametrize(
    ("change", "field", "remedy"),
    [
        ({"cache": "warm"}, "cache", "CACHE_KIND_HOST"),
        ({"image_wait": "1.5"}, "image_wait", '"1.5s"'),
        ({"request_time": "yesterday"}, "request_time", "RFC 3339"),
        ({"digest": "abc"}, "digest", "sha256:"),
        ({"digest": 7}, "digest", "give a text"),
        ({"digests": DIGEST}, "digests", "is it digest?"),
        ({"transferred_bytes": "many"}, "transferred_bytes", "whole number"),
        ({"transferred_bytes": -1}, "transferred_bytes", "give 0 to"),
        ({"platform": {"osx": "linux"}}, "platform.osx", "is it os?"),
        ({"platform": "linux"}, "platform", "give a JSON object"),
    ],
)
def test_fault_names_field_and_remedy(
    change: dict[str, object], field: str, remedy: str
) -> None:
    """Whoever wrote the line knows what to correct."""
    found = refusal(
        {**START, "machine_started": {**START["machine_started"], **change}}
    )

    assert found.field == f"machine_started.{field}"
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (3, "event"),
        ([], "event"),
        ({"region": "syd"}, "fact"),
        ({**START, "machine_stopped": {"machine_id": "m"}}, "fact"),
        ({**START, "machine_started": []}, "machine_started"),
        (
            {"region": "syd", "inventory_taken": {"contents": 3}},
            "inventory_taken.contents",
        ),
        (
            {"region": "syd", "inventory_taken": {"contents": [{}, 3]}},
            "inventory_taken.contents[1]",
        ),
        ({**START, "": 1}, ""),
    ],
)
def test_what_is_no_event_is_refused(value: object, field: str) -> None:
    """One event has one fact, and every field its own shape."""
    assert refusal(value).field == field


def test_answer_has_numbers_words_and_empty_fields() -> None:
    """Scripts find every field, and 64-bit numbers are numbers."""
    response = pb.RankSourcesResponse(size_bytes=2**40)
    response.sources.add(region="iad", phase=pb.REPLICA_PHASE_COMPLETE)
    response.sources[0].expected_duration.p50.FromMilliseconds(1500)

    answer = plain(response)

    assert answer["size_bytes"] == 2**40
    assert answer["mounts"] == []
    assert "basis" not in answer
    assert answer["sources"][0]["phase"] == "REPLICA_PHASE_COMPLETE"
    assert answer["sources"][0]["expected_duration"] == {"p50": "1.500s"}


def test_any_json_is_an_event_or_a_named_fault() -> None:
    """Ten thousand damaged lines cause no other error."""
    chance = random.Random(2)
    values: list[object] = [None, -1, 2**70, 1.5, "", "x", [], {}, True, [START], START]
    for _ in range(10_000):
        fact = dict(START["machine_started"])
        event = {**START, "machine_started": fact}
        target = chance.choice([event, fact])
        key = chance.choice([*target, "platform", "occur_time", "request_time", "é"])
        target[key] = chance.choice(values)
        try:
            event_from_json(event)
        except InputError as error:
            assert error.remedy  # noqa: PT017 - an event is as good
