"""Damaged words of schedulers: no translator raises, and every event can be stored."""

import json
import random
from pathlib import Path
from typing import Any

from placement.agent.feeds.translation import Translation
from placement.agent.starts import fly
from placement.agent.starts.catalogue import starts
from placement.agent.starts.images import parse_image
from placement.agent.starts.kubernetes import PULL_TOLD_NS, Pods
from placement.agent.starts.nomad import Allocations
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Found, resolved
from placement.core.event import Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import decode_event, encode_event
from tests.kubernetes_objects import container, pod, pulled
from tests.mutations import damaged_bodies, damaged_many

GOLDEN = Path(__file__).parents[1] / "golden/starts"
WEB = parse_image("registry.example.com/acme/web:v1")
SETTINGS = StartSettings(
    region=Region("iad"), publisher=Name("agent/iad"), images={"*": WEB}
)
DIGEST = Digest(f"sha256:{'d' * 64}")
COUNT = 5_000
NOW_NS = 1_785_578_412 * 10**9


def resolve(_repository: Repository, _tag: Tag) -> Digest:
    """Every tag is the same image."""
    return DIGEST


async def find(_repository: Repository, _tag: Tag) -> Digest:
    """Every tag is the same image."""
    return DIGEST


def check_storable(translation: Translation) -> int:
    """Every event is a whole one; return how many there are."""
    for event in translation.events:
        assert decode_event(encode_event(event)) == event
    return len(translation.events)


def check_found(found: Found) -> int:
    """The same of what is still to be resolved."""
    return check_storable(resolved(found, resolve, SETTINGS))


def test_damaged_pods_and_events_never_raise() -> None:
    """Nor does what was told before stand in the way of what comes after."""
    pods = Pods(SETTINGS, {})
    documents = [
        pod(container(), container("proxy", ended="2026-08-01T10:00:11Z")),
        pod(container(run=2, restarts=1), uid="u-2"),
    ]
    events = [pulled('Successfully pulled image "x" in 3s'), pulled("", uid="u-2")]
    told = 0

    for number, document in enumerate(damaged_many(documents, 8, COUNT)):
        told += check_found(pods.pod(document, NOW_NS, deleted=number % 9 == 0))
    for document in damaged_many(events, 9, COUNT):
        told += check_found(pods.event(document))
    told += check_found(pods.due(NOW_NS + PULL_TOLD_NS))

    assert told > 10


def test_damaged_allocations_never_raise() -> None:
    """Whatever a task's events are."""
    captured = json.loads((GOLDEN / "nomad-allocation.json").read_text())["body"]
    allocation = captured["Events"][0]["Payload"]["Allocation"]
    told = Allocations(SETTINGS, {})

    count = sum(
        check_found(told.allocation(document, lambda _task: WEB, 1_678_984_380 * 10**9))
        for document in damaged_many([allocation], 8, COUNT)
    )

    assert count > 10


def test_damaged_log_lines_never_raise() -> None:
    """Lines are cut, doubled and mixed up."""
    chance = random.Random(8)
    lines = (GOLDEN / "fly.log").read_text().splitlines()
    shipped = {
        "fly": {"app": {"instance": "m1", "name": "a"}, "region": "syd"},
        "message": "Successfully prepared image (1.5s)",
        "timestamp": "2023-08-04T22:31:59.7Z",
    }
    posted = [
        body.decode("utf-8", "replace") for body in damaged_bodies([shipped], 8, COUNT)
    ]

    count = check_found(fly.translate(posted[: COUNT // 2], SETTINGS, {}))
    for _ in range(COUNT // 2):
        line = chance.choice(lines)
        at, to = sorted(chance.randrange(len(line)) for _ in range(2))
        count += check_found(fly.translate([line[:at] + line[to:], line], SETTINGS, {}))

    assert count > COUNT / 10


async def test_damaged_plain_json_never_raises() -> None:
    """It is understood, ignored or malformed."""
    machine = {"machine_id": "m-1", "image": "r.io/acme/web:v1"}
    times: dict[str, Any] = {"time": "2026-08-01T10:00:00Z", "region": "iad"}
    document = {
        "started": [
            {**machine, **times, "image_wait": "3s", "platform": "linux/amd64"}
        ],
        "stopped": {**machine, **times},
        "counted": {"scan_time": "2026-08-01T10:00:00Z", "machines": [machine]},
        "requested": {"image": "a/b", "regions": ["syd"], "request_id": "r"},
    }
    told = starts(SETTINGS, find)["machines"]

    translations = [
        await told(body, {}) for body in damaged_bodies([document], 8, COUNT)
    ]

    assert sum(check_storable(one) for one in translations) > COUNT / 2
    assert all(one.events or one.ignored or one.malformed for one in translations)
