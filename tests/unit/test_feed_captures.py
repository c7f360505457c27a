"""What real registries posted: translated exactly, and to what each capture shows.

Run with PLACEMENT_REWRITE=1 to write the golden translations anew; then read the diff.
All captures are in ../shared, which a bare clone does not have; a small set is carried.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, fields
from ipaddress import ip_network
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from placement.agent.feeds.captured import envelopes_in, records_in
from placement.agent.feeds.distribution import translate
from placement.agent.feeds.translation import FeedSettings, IgnoredReason, Translation
from placement.core.event import ContentPulled, ContentPushed, Name
from placement.core.oci import Descriptor
from placement.core.topology import Region

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/distribution"
CARRIED = sorted((ROOT / "placement/data/notifications").glob("*.json"))
CAPTURED = ROOT.parent / "shared/data/distribution-notifications"
ALL = sorted(CAPTURED.glob("[0-8]*.json*"))

needs_captures = pytest.mark.skipif(
    not ALL, reason=f"the whole capture is not here: {CAPTURED}"
)


def documents(path: Path) -> Iterator[object]:
    """The documents of one captured file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    yield from map(json.loads, lines)


def translations(path: Path, *, joined: bool = True) -> Iterator[Translation]:
    """What each envelope of one captured file means."""
    for document in documents(path):
        log = records_in(document) if joined else None
        for region, envelope in envelopes_in(document):
            feed = FeedSettings(region=region or Region("iad"), publisher=Name(""))
            yield translate(envelope, feed, log)


def notifications(document: object) -> Iterator[dict[str, Any]]:
    """The notifications in a captured document, as the registry wrote them."""
    for _, envelope in envelopes_in(document):
        events = envelope["events"]
        assert isinstance(events, list)
        yield from events


def described(translation: Translation) -> Iterator[str]:
    """A translation as people read it: every field that is not empty."""
    for event in translation.events:
        yield f"{event.region} {event.occur_time_ns} {event.event_id}"
        yield f"  {type(event.fact).__name__}"
        for item in fields(event.fact):
            value = getattr(event.fact, item.name)
            values = value if isinstance(value, tuple) else (value,)
            for part in filter(None, values):
                shown = astuple(part) if isinstance(part, Descriptor) else (part,)
                yield f"    {item.name}: {' '.join(map(str, filter(None, shown)))}"
    for ignored in translation.ignored:
        yield f"ignored {ignored.event_id} {ignored.reason}"
    for malformed in translation.malformed:
        yield f"malformed {malformed}"


@pytest.mark.parametrize(
    "path", [*CARRIED, *sorted(GOLDEN.glob("*.json"))], ids=lambda path: path.stem
)
def test_capture_is_translated_exactly(path: Path) -> None:
    """Every field of every event of the carried captures is as it was reviewed."""
    golden = GOLDEN / f"{path.stem}.txt"
    lines = [line for part in translations(path) for line in described(part)]
    text = "\n".join([*lines, ""])

    if os.environ.get("PLACEMENT_REWRITE"):
        golden.write_text(text, encoding="utf-8")

    assert text == golden.read_text(encoding="utf-8")


@needs_captures
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_captured_notification_is_understood(path: Path) -> None:
    """A HEAD is never a use, and nothing is lost, whatever the request log adds."""
    said = Counter(
        f"{event['action']} {event['request']['method']}"
        for document in documents(path)
        for event in notifications(document)
    )

    meant = list(translations(path, joined=False))

    facts = Counter(type(event.fact) for part in meant for event in part.events)
    ignored = Counter(item.reason for part in meant for item in part.ignored)
    assert not any(part.malformed for part in meant)
    assert ignored[IgnoredReason.HEAD_IS_NO_USE] == ignored.total() == said["pull HEAD"]
    assert facts[ContentPulled] == said["pull GET"]
    assert facts[ContentPushed] == said["push PUT"] + said["mount POST"]
    assert facts.total() + ignored.total() == said.total()


@needs_captures
def test_redelivered_notifications_are_the_same_events() -> None:
    """17 deliveries of 4 notifications: one HEAD, and three events to store once."""
    parts = list(translations(CAPTURED / "70-redelivery.json"))

    events = [event for part in parts for event in part.events]
    assert len(parts) == 17
    assert len(events) == 16
    assert len(set(events)) == len({event.event_id for event in events}) == 3


@needs_captures
def test_request_log_joins_every_notification_of_the_commands() -> None:
    """138 of 138 have their line, and what the lines say was written is what moved."""
    joined, written, moved = 0, 0, 0
    for path in (path for path in ALL if path.suffix == ".json"):
        for document in documents(path):
            log = records_in(document)
            asked = [
                log[event["request"]["id"]]
                for event in notifications(document)
                if event["request"]["id"] in log
            ]
            joined += len(asked)
            gets = [record for record in asked if record.method == "GET"]
            written += sum(record.written_bytes for record in gets)
        for event in chain(*(part.events for part in translations(path))):
            if isinstance(event.fact, ContentPulled):
                moved += event.fact.transferred_bytes

    assert joined == 138
    assert moved == written == 29_208_151


@needs_captures
def test_forged_addresses_say_nothing_of_where_clients_are() -> None:
    """Even where the operator configured the network that the forger claims."""
    feed = FeedSettings(
        region=Region("syd"),
        publisher=Name(""),
        client_regions={
            ip_network("203.0.113.0/24"): Region("fra"),
            ip_network("10.60.2.0/24"): Region("syd"),
        },
    )
    regions: Counter[Region | None] = Counter()
    for document in documents(CAPTURED / "81-wan-edge.jsonl"):
        for _, envelope in envelopes_in(document):
            for event in translate(envelope, feed).events:
                assert isinstance(event.fact, ContentPulled | ContentPushed)
                regions[event.fact.client_region] += 1

    assert regions == {None: 2, Region("syd"): 150}
