"""Targets that read what registries and schedulers post: feeds, starts, the door."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from starlette.types import Message as AsgiMessage

from placement.adapters.memory_spool import MemorySpool
from placement.agent.feeds.captured import REGION_HEADER, envelopes_in
from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.request_log import parse_request_log, pulls_in
from placement.agent.feeds.times import parse_go_duration_ns, parse_timestamp_ns
from placement.agent.feeds.translation import FeedSettings, Translation
from placement.agent.receiver import (
    Receiver,
    ReceiverSettings,
    health_of,
    receiver_app,
)
from placement.agent.starts.catalogue import checks, starts
from placement.agent.starts.images import parse_image
from placement.agent.starts.settings import StartSettings
from placement.core.event import Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.spooling import SpoolLimits
from placement.wire.events import decode_event, encode_event
from tests.fuzz.target import Target
from tests.fuzz.texts import spoiled_headers, spoiled_json, spoiled_text

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
CAPTURES = ROOT / "placement/data/notifications"
IAD = Region("iad")
FEED = FeedSettings(region=IAD, publisher=Name("agent/iad"))
STARTS = StartSettings(
    region=IAD,
    publisher=Name("agent/iad"),
    images={"*": parse_image("registry.example.com/acme/web:v1")},
)
DIGEST = Digest(f"sha256:{'d' * 64}")
NOW_NS = 1_795_428_000_000_000_000
OWN = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "ours",
    "type": "placement.event",
    "time": "2026-08-01T10:00:00Z",
    "data": {"tag_moved": {"repository": "acme/web", "tag": "v1"}},
}
MACHINE = {
    "machine_id": "m-1",
    "image": "r.io/acme/web:v1",
    "time": "2026-08-01T10:00:00Z",
    "region": "iad",
}
MACHINES = {
    "started": [{**MACHINE, "image_wait": "3s", "platform": "linux/amd64"}],
    "stopped": MACHINE,
    "counted": {"scan_time": "2026-08-01T10:00:00Z", "machines": [MACHINE]},
    "requested": {"image": "a/b", "regions": ["syd"], "request_id": "r"},
}
ENVELOPE = [
    ("Content-Type", "application/cloudevents+json; charset=utf-8"),
    ("Ce-Id", "e-1"),
    ("Ce-Source", "/zot"),
    ("Ce-Type", "zotregistry.image.updated"),
    ("Ce-Time", "2026-08-01T10:00:00Z"),
    ("Ce-Specversion", "1.0"),
]
HTTP_HEADERS = [
    ("Host", "127.0.0.1"),
    ("Authorization", "Bearer secret"),
    ("X-Placement-Signature", "sha256=" + "0" * 64),
    (REGION_HEADER, "iad"),
    ("Content-Length", "10"),
    *ENVELOPE,
]


def captured(folder: Path) -> list[Any]:
    """Return the bodies of a feed's captures and documented examples."""
    documents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if folder.name == "distribution" or folder == CAPTURES:
        found: list[Any] = [one for each in documents for _, one in envelopes_in(each)]
        return [{"events": envelope["events"][:3]} for envelope in found]
    return [each.get("body", each) for each in documents]


def check_storable(translation: Translation) -> bool:
    """Check that every event is a whole one; say whether all of it was understood."""
    assert translation.events or translation.ignored or translation.malformed
    for event in translation.events:
        assert decode_event(encode_event(event)) == event
    return not translation.malformed


def feed(kind: str, count: int, documents: list[Any]) -> Callable[[], Target]:
    """Return the target of one feed; it raises nothing, whatever it is given."""

    def target() -> Target:
        told = feeds(FEED)[kind]

        def make(chance: Random) -> tuple[bytes, Mapping[str, str]]:
            headers = spoiled_headers(chance, ENVELOPE) if chance.random() < 0.3 else []
            plain = {n.decode(): value.decode("latin-1") for n, value in headers}
            return spoiled_json(chance, chance.choice(documents)), plain

        def read(given: tuple[bytes, Mapping[str, str]]) -> bool:
            translation = told(*given)
            return translation == Translation() or check_storable(translation)

        return Target(f"feed {kind}", count, make, read, refusals=())

    return target


distribution = feed(
    "distribution", 4_000, captured(CAPTURES) + captured(GOLDEN / "distribution")
)
harbor = feed("harbor", 4_000, captured(GOLDEN / "harbor"))
zot = feed("zot", 4_000, captured(GOLDEN / "zot"))
ecr = feed("ecr", 4_000, captured(GOLDEN / "ecr"))
cloudevents = feed("cloudevents", 4_000, [OWN, [OWN, OWN]])


def machines() -> Target:
    """Starts and stops as plain JSON, and what is said of their faults beforehand."""
    told, check = starts(STARTS, _found)["machines"], checks(STARTS)["machines"]

    async def read(body: bytes) -> bool:
        check(body)
        translation = await told(body, {})
        return translation == Translation() or check_storable(translation)

    def make(chance: Random) -> bytes:
        return spoiled_json(chance, MACHINES)

    return Target("starts as JSON", 3_000, make, read, refusals=())


def log_lines() -> Target:
    """A scheduler's log lines, and a registry's own: a line is one, or it is none."""
    told = starts(STARTS, _found)["fly"]
    lines = (GOLDEN / "starts/fly.log").read_text().splitlines()
    lines.append(
        json.dumps(
            {
                "msg": "response completed",
                "http.request.id": "r-1",
                "http.response.duration": "1m2.3s",
                "http.response.status": 200,
                "http.response.written": 100,
            }
        )
    )

    async def read(line: str) -> bool:
        known = parse_request_log(line) is not None
        parse_go_duration_ns(line)
        translation = await told(line.encode("utf-8", "replace"), {})
        assert not (known and translation.events)
        return known or bool(translation.events or translation.ignored)

    def make(chance: Random) -> str:
        return spoiled_text(chance, chance.choice(lines))

    return Target("log lines", 3_000, make, read, refusals=())


def moments() -> Target:
    """Times with their offsets, and the requests that an envelope tells of."""

    def make(chance: Random) -> str:
        return spoiled_text(chance, "2026-08-01T10:00:00.123456789+02:00")

    def read(text: str) -> int:
        pulls_in({"events": [{"request": text, "action": "pull"}, text]})
        return parse_timestamp_ns(text, "time")

    return Target("times", 3_000, make, read)


def receiver() -> Target:
    """The door itself: paths, headers and bodies; never an answer of 500."""
    spool = MemorySpool(lambda: NOW_NS, SpoolLimits(waiting_bytes_max=1 << 20))
    settings = ReceiverSettings(
        region=IAD,
        feeds=("distribution", "harbor", "starts/machines"),
        token="secret",  # noqa: S106 - a test's own
        signature_key=b"key",
        checks={"starts/machines": checks(STARTS)["machines"]},
    )
    door = Receiver(settings, spool.put, lambda: NOW_NS)
    app = receiver_app(door, lambda: health_of(spool.figures, NOW_NS))
    paths = ("/v1/notifications/harbor", "/v1/starts/machines", "/", "/healthz")

    def make(chance: Random) -> tuple[dict[str, Any], bytes]:
        path = chance.choice(paths)
        path = spoiled_text(chance, path) if chance.random() < 0.2 else path
        scope = {
            **HTTP,
            "method": chance.choice(("POST", "POST", "POST", "GET", "PUT")),
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "headers": spoiled_headers(chance, HTTP_HEADERS),
        }
        return scope, spoiled_json(chance, MACHINES)

    async def read(given: tuple[dict[str, Any], bytes]) -> bool:
        status = await asked(app, *given)
        assert status < 500 or (status == 503 and door.counts["unspooled"])
        return status < 400

    return Target("receiver", 3_000, make, read, refusals=())


HTTP: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "scheme": "http",
    "query_string": b"",
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 80),
    "root_path": "",
}


async def asked(app: Any, scope: dict[str, Any], body: bytes) -> int:  # noqa: ANN401 - ASGI
    """Return the status that *app* answers with; the body comes in two pieces."""
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
    sent: list[AsgiMessage] = []

    async def receive() -> AsgiMessage:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


async def _found(_repository: Repository, _tag: Tag) -> Digest:
    return DIGEST
