"""Damaged notifications: no translator raises, and every event can be stored."""

import json
from pathlib import Path
from typing import Any

import pytest

from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.translation import FeedSettings
from placement.core.event import Name
from placement.core.topology import Region
from placement.wire.events import decode_event, encode_event
from tests.mutations import damaged_bodies

GOLDEN = Path(__file__).parents[1] / "golden"
FEED = FeedSettings(region=Region("iad"), publisher=Name("agent/iad"))
COUNT = 5_000
EMPTY_BATCH = b"[]"  # says nothing, rightly
OWN = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "ours",
    "type": "placement.event",
    "time": "2026-08-01T10:00:00Z",
    "data": {"tag_moved": {"repository": "acme/web", "tag": "v1"}},
}


def examples(kind: str) -> list[Any]:
    """The documents of one feed that are damaged."""
    if kind == "cloudevents":
        return [OWN]
    found: list[Any] = []
    for path in sorted((GOLDEN / kind).glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        attributes = {
            name.lower().removeprefix("ce-"): value
            for name, value in document.get("headers", {}).items()
        }
        body = document["body"]
        found.append({**attributes, "data": body} if attributes else body)
    return found


@pytest.mark.parametrize("kind", ["harbor", "zot", "ecr", "cloudevents"])
def test_damaged_notification_never_raises(kind: str) -> None:
    """It is understood, ignored or malformed, and what is an event is a whole one."""
    told = feeds(FEED)[kind]

    bodies = damaged_bodies(examples(kind), 8, COUNT)
    translations = [told(body, {}) for body in bodies if body != EMPTY_BATCH]

    assert all(part.events or part.ignored or part.malformed for part in translations)
    assert sum(bool(part.malformed) for part in translations) > COUNT / 10
    for part in translations:
        for event in part.events:
            assert decode_event(encode_event(event)) == event
