"""The door in JSON: questions in an address, methods by name, and no 500."""

import asyncio
import json
import random
import shutil
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from placement.agent.door.methods import METHODS
from placement.wire.json import plain
from tests.builders import (
    IAD,
    LATEST,
    SYD,
    WEB,
    A,
)
from tests.doors import OpenDoor, door_of, image_in_two_regions
from tests.serving import Service
from tests.strategies import LONG

GARBAGE_COUNT = 1_000 if LONG else 250
SEED = 71
RANK = {"repository": WEB, "digest": A, "region": SYD}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in two regions."""
    async with image_in_two_regions() as found:
        yield found


@pytest.fixture
async def door(service: Service) -> AsyncIterator[OpenDoor]:
    """A door before it."""
    async with door_of(service) as found:
        yield found


@pytest.mark.parametrize(
    ("question", "method", "request_"),
    [
        (f"sources?repository={WEB}&digest={A}&region=syd", "RankSources", RANK),
        (
            "estimate?image=acme/web:latest&in=syd,fra&count=2&platform=linux/amd64",
            "EstimateStarts",
            {
                "images": [
                    {
                        "repository": WEB,
                        "reference": LATEST,
                        "platform": {"os": "linux", "architecture": "amd64"},
                    }
                ],
                "candidates": "syd,fra",
                "machineCount": 2,
            },
        ),
        (
            f"where?image=acme/web@{A}",
            "GetPlacement",
            {"repository": WEB, "reference": A},
        ),
        (
            "resolve?image=acme/web:latest&max_staleness=60s",
            "ResolveReference",
            {
                "repository": WEB,
                "reference": LATEST,
                "consistency": {"max_staleness": "60s"},
            },
        ),
        ("info", "GetServiceInfo", {}),
    ],
)
async def test_question_is_the_method_with_its_request(
    door: OpenDoor, question: str, method: str, request_: dict[str, object]
) -> None:
    """In an address and in a body; both say what gRPC says, with numbers as numbers."""
    asked = await door.http.get(f"/v1/{question}")
    posted = await door.http.post(f"/v1/{method}", json=request_)

    assert asked.status_code == 200, asked.text
    assert asked.json() == posted.json()
    assert isinstance(asked.json()["basis"]["sequence"], int)


async def test_json_is_what_grpc_says(door: OpenDoor) -> None:
    """Field by field."""
    over_grpc = await door.placement.RankSources(METHODS["RankSources"].request(**RANK))

    posted = await door.http.post("/v1/RankSources", json=RANK)

    assert posted.json() == plain(over_grpc)


@pytest.mark.parametrize(
    ("question", "status", "reason", "field"),
    [
        ("sources?digest=x", 400, "NAME_INVALID", "repository"),
        (f"sources?repository={WEB}&digest=x", 400, "DIGEST_INVALID", "digest"),
        (
            f"sources?repository={WEB}&digest={A}&region=mars",
            404,
            "REGION_UNKNOWN",
            "",
        ),
        ("sources?colour=red", 400, "INPUT_INVALID", "colour"),
        ("sources?region=syd&region=fra", 400, "INPUT_INVALID", "region"),
        ("estimate?image=acme/web", 400, "INPUT_INVALID", "image"),
        ("estimate?image=acme/web:v1&count=two", 400, "INPUT_INVALID", "machine_count"),
        ("estimate?image=acme/web:v1&platform=x", 400, "INPUT_INVALID", "platform"),
        ("estimate", 400, "LIMIT_INVALID", "images"),
        ("estimate?image=acme/web:v9", 404, "MANIFEST_UNKNOWN", ""),
        ("where?image=acme/web:v9", 404, "MANIFEST_UNKNOWN", ""),
        ("where", 400, "INPUT_INVALID", "image"),
        ("info?fail=perhaps", 400, "INPUT_INVALID", "fail"),
        ("info?token=a&max_staleness=1s", 400, "INPUT_INVALID", "max_staleness"),
        (
            "resolve?image=acme/web:latest&token=x",
            400,
            "TOKEN_INVALID",
            "consistency.token",
        ),
        ("nothing", 400, "INPUT_INVALID", "question"),
    ],
)
async def test_refusal_names_reason_field_and_remedy(
    door: OpenDoor, question: str, status: int, reason: str, field: str
) -> None:
    """As the errors of gRPC do."""
    found = await door.http.get(f"/v1/{question}")

    body = found.json()
    assert (found.status_code, body["reason"]) == (status, reason)
    assert body["field"] == field
    assert body["remedy"]
    assert body["message"]


@pytest.mark.parametrize("method", ["Nothing", "WatchPlacements"])
async def test_what_is_no_unary_method_is_refused(door: OpenDoor, method: str) -> None:
    """Streams are for gRPC."""
    found = await door.http.post(f"/v1/{method}", json={})

    assert found.status_code == 400
    assert found.json()["field"] == "method"


async def test_without_its_service_the_door_goes_on(
    service: Service, door: OpenDoor
) -> None:
    """Rankings are STALE, the rest is 503 with a reason."""
    await service.server.stop(0)
    await door.until(lambda: not door.local.basis.live)

    ranked = await door.http.post("/v1/RankSources", json=RANK)
    where = await door.http.get("/v1/where?image=acme/web:latest")
    health = await door.http.get("/healthz")

    assert ranked.json()["basis"]["state"] == "SERVING_STATE_STALE"
    assert (where.status_code, where.json()["reason"]) == (503, "SERVICE_UNREACHABLE")
    assert health.json()["state"] == "STALE"


async def test_web_page_is_kept_out(door: OpenDoor) -> None:
    """By its origin; and by the name that it made of this machine's address."""
    for headers in (
        {"Origin": "https://evil.test"},
        {"Host": "evil.test"},
        {"Host": f"evil.test:{door.ports['agent.door.http_listen']}"},
    ):
        found = await door.http.post("/v1/RankSources", json=RANK, headers=headers)
        assert found.status_code == 400
    for host in ("localhost", "[::1]:80", "127.0.0.1"):
        found = await door.http.get("/v1/info", headers={"Host": host})
        assert found.status_code == 200


async def test_large_body_is_refused(door: OpenDoor) -> None:
    """Before it is read whole."""
    found = await door.http.post("/v1/RankSources", content=b" " * (5 << 20))

    assert found.status_code == 400
    assert found.json()["field"] == "body"


async def test_answer_waits_for_no_acknowledgement(door: OpenDoor) -> None:
    """Which would come 40 ms later: the socket sends what it has at once."""
    took = []
    for _ in range(40):
        began = time.perf_counter()
        await door.http.post("/v1/RankSources", json=RANK)
        took.append(time.perf_counter() - began)

    assert sorted(took)[10] < 0.035


async def test_garbage_is_never_our_fault(door: OpenDoor) -> None:
    """Bodies from bytes to nearly right: all are answered, none by 500."""
    chance = random.Random(SEED)
    names = [name for name, method in METHODS.items() if not method.streams]
    statuses = set()
    for _ in range(GARBAGE_COUNT):
        name = chance.choice(["RankSources", "EstimateStarts", chance.choice(names)])
        body = garbage(chance, METHODS[name].request.DESCRIPTOR)
        found = await door.http.post(f"/v1/{name}", content=body)
        assert found.status_code != 500, (name, body, found.text)
        assert isinstance(found.json(), dict)
        statuses.add(found.status_code)

    assert {200, 400} <= statuses


def garbage(chance: random.Random, descriptor: Any) -> bytes:  # noqa: ANN401 - protobuf's
    """Return a body that is more or less of a message."""
    draw = chance.random()
    if draw < 0.1:
        return chance.randbytes(chance.randint(0, 40))
    if draw < 0.15:
        return b"[" * 5_000
    value = like(chance, descriptor, 3)
    body = json.dumps(value).encode()
    return body[: chance.randint(0, len(body))] if draw < 0.25 else body


def like(chance: random.Random, descriptor: Any, depth: int) -> Any:  # noqa: ANN401 - JSON
    """Return some fields of a message, each with some value."""
    found = {}
    for field in descriptor.fields:
        if chance.random() < 0.5:
            value = some(chance)
            if field.message_type is not None and depth and chance.random() < 0.7:
                value = like(chance, field.message_type, depth - 1)
            if field.is_repeated and chance.random() < 0.8:
                value = [value] * chance.randint(0, 3)
            found[field.name] = value
    if chance.random() < 0.1:
        found[chance.choice(["nope", "", "\ud800", "basis"])] = some(chance)
    return found


def some(chance: random.Random) -> Any:  # noqa: ANN401 - JSON
    """Return a value of any kind."""
    return chance.choice(
        [
            *(None, True, 0, -1, 2**31, 2**63, 10**400, 1e308, float("nan")),
            *("", "\ud800", "\0", "x" * 5_000, "acme/web", "latest", A, "syd", "any"),
            *("1s", "-9e9s", "2026-11-23T15:40:00Z", "AAAA", [], {}, [[]], {"a": 1}),
        ]
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_asks_and_is_answered(door: OpenDoor) -> None:
    """As docs/door.md shows it."""
    where = f"sources?repository={WEB}&digest={A}&region=syd"
    asked = await curl(f"{door.http_url}/v1/{where}")
    posted = await curl(f"{door.http_url}/v1/RankSources", "-d", json.dumps(RANK))

    assert asked == posted
    assert asked["sources"][0]["region"] == IAD


async def curl(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON that the real curl prints."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--fail", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output)
