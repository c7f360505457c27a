"""The receiver over HTTP: what each answer promises to the registry that gets it."""

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from placement.adapters.memory_spool import MemorySpool
from placement.agent import receiver as receiver_module
from placement.agent.receiver import (
    BODY_BYTES_MAX,
    Receiver,
    ReceiverSettings,
    health_of,
    receiver_app,
    serve_receiver,
)
from placement.agent.starts.catalogue import checks
from placement.agent.starts.settings import StartSettings
from placement.core.event import Name
from placement.core.topology import Region
from placement.hosting import open_listener
from placement.spooling import Note, SpoolLimits

CAPTURE = Path(__file__).parents[2] / "placement/data/notifications/01-push-first.json"
PATH = "/v1/notifications/distribution"
NOW_NS = 1_795_428_000_000_000_000
CONTENT_TYPE = "application/vnd.docker.distribution.events.v1+json"
FEEDS = ("distribution", "harbor", "starts/machines")


ELSEWHERE = (
    b'{"stopped": {"machine_id": "m", "time": "2026-08-01T10:00:00Z", "region": "fra"}}'
)
"""The agent may not say so: it would wait in the spool, and be set aside."""
STARTS = StartSettings(region=Region("iad"), publisher=Name("tests"))


def settings(token: str = "", key: bytes = b"") -> ReceiverSettings:
    """Return the settings of a door in iad."""
    return ReceiverSettings(
        region=Region("iad"),
        feeds=FEEDS,
        token=token,
        signature_key=key,
        checks={"starts/machines": checks(STARTS)["machines"]},
    )


@pytest.fixture
def spool() -> MemorySpool:
    """The spool that the receiver fills."""
    return MemorySpool(lambda: NOW_NS, SpoolLimits(waiting_bytes_max=3 << 20))


def receiver(spool: MemorySpool, token: str = "", key: bytes = b"") -> Receiver:
    """Return a receiver over *spool*."""
    return Receiver(settings(token, key), spool.put, lambda: NOW_NS)


async def notes(spool: MemorySpool) -> list[Note]:
    """Return what waits."""
    return [entry.note for entry in await spool.waiting(100, 0)]


Open = Callable[[Receiver], httpx.AsyncClient]
Headers = dict[str, str]


@pytest.fixture
async def opened(spool: MemorySpool) -> AsyncIterator[Open]:
    """A way to talk to a receiver without a socket."""
    clients: list[httpx.AsyncClient] = []

    def client(receiver: Receiver) -> httpx.AsyncClient:
        app = receiver_app(receiver, lambda: health_of(spool.figures, NOW_NS))
        transport = httpx.ASGITransport(app)
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://door"))
        return clients[-1]

    yield client
    for one in clients:
        await one.aclose()


@pytest.fixture
def door(opened: Open, spool: MemorySpool) -> httpx.AsyncClient:
    """A client of a receiver that asks for no secret."""
    return opened(receiver(spool))


def envelopes() -> list[bytes]:
    """The six bodies of a captured push."""
    document = json.loads(CAPTURE.read_text(encoding="utf-8"))
    return [json.dumps(item["body"]).encode() for item in document["envelopes"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b'{"began": []}', "began"),
        (b'{"started": [{"machine_id": "m-1"}]}', "started[0]."),
        (ELSEWHERE, "stopped.region"),
    ],
)
async def test_scheduler_is_told_what_it_got_wrong(
    door: httpx.AsyncClient, spool: MemorySpool, body: bytes, field: str
) -> None:
    """It can mend that, unlike a registry: field, value, remedy, and nothing taken."""
    answer = await door.post("/v1/starts/machines", content=body)

    assert answer.status_code == 422
    [fault] = answer.json()["malformed"]
    assert field in fault["field"]
    assert fault["remedy"]
    assert await notes(spool) == []


async def test_spooled_notifications_are_answered_200(
    door: httpx.AsyncClient, spool: MemorySpool
) -> None:
    """200 means: on the disk, as it came, with what says how to read it."""
    headers = {"Content-Type": CONTENT_TYPE, "ce-id": "7", "Cookie": "mine"}

    for body in envelopes():
        answer = await door.post(PATH, content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"spooled": 1})

    kept = {"content-type": CONTENT_TYPE, "ce-id": "7"}
    expected = [Note("distribution", body, NOW_NS, kept) for body in envelopes()]
    assert await notes(spool) == expected


async def test_every_feed_has_its_path(
    door: httpx.AsyncClient, spool: MemorySpool
) -> None:
    """Registries by name, schedulers by kind; the bare address is Distribution's."""
    stop = b'{"stopped": {"machine_id": "m-1", "time": "2026-11-23T15:41:00Z"}}'
    for path in ("/", "/v1/notifications/harbor", "/v1/starts/machines"):
        assert (await door.post(path, content=stop)).status_code == 200

    found = [note.feed for note in await notes(spool)]
    assert found == ["distribution", "harbor", "starts/machines"]


@pytest.mark.parametrize(
    "path", ["/v1/notifications/quay", "/v1/starts/harbor", "/v1/notifications/events"]
)
async def test_unknown_feed_is_refused_so_that_somebody_sets_it_right(
    door: httpx.AsyncClient, spool: MemorySpool, path: str
) -> None:
    """What we could not read later must not be taken now."""
    answer = await door.post(path, content=b"{}")

    assert answer.status_code == 404
    assert "harbor" in answer.json()["error"]
    assert await notes(spool) == []


async def test_spool_that_refuses_is_answered_503_so_that_the_registry_keeps_them(
    door: httpx.AsyncClient, spool: MemorySpool
) -> None:
    """The disk is full, or the spool is: sent again, they are taken."""
    body = envelopes()[0]
    spool.writable = False

    with capture_logs() as lines:
        unwritable = await door.post(PATH, content=body)
        spool.writable = True
        for _ in range(3):
            await spool.put([Note("distribution", b"x" * (1 << 20), NOW_NS)])
        full = await door.post(PATH, content=body)
    entries = await spool.waiting(1, 0)
    spool.limits = SpoolLimits()
    taken = await door.post(PATH, content=body)

    assert (unwritable.status_code, full.status_code) == (503, 503)
    assert unwritable.json() == {"reason": "SPOOL_UNWRITABLE"}
    assert full.json() == {"reason": "SPOOL_FULL"}
    assert full.headers["Retry-After"] == "1"
    assert [line["event"] for line in lines] == ["notifications_unspooled"] * 2
    assert entries
    assert taken.status_code == 200


async def test_spool_that_hangs_is_answered_503_in_time(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry waits for a second by default; the door does not wait for ever."""
    monkeypatch.setattr(receiver_module, "ANSWER_SECONDS_MAX", 0.01)

    async def put(_notes: Sequence[Note]) -> None:
        await asyncio.Event().wait()

    answer = await opened(Receiver(settings(), put, lambda: NOW_NS)).post(
        PATH, content=envelopes()[0]
    )

    assert (answer.status_code, answer.json()["reason"]) == (503, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
async def test_malformed_body_is_answered_200_and_kept(
    door: httpx.AsyncClient, spool: MemorySpool, body: bytes
) -> None:
    """A refusal would make the registry repeat it for ever, and all others wait."""
    answer = await door.post(PATH, content=body)

    assert answer.status_code == 200
    assert [note.body for note in await notes(spool)] == [body]


async def test_body_over_the_limit_is_answered_413(
    door: httpx.AsyncClient, spool: MemorySpool
) -> None:
    """At the limit it is taken; one byte more is not."""
    body = envelopes()[0]

    at_limit = await door.post(PATH, content=body.ljust(BODY_BYTES_MAX))
    over = await door.post(PATH, content=body.ljust(BODY_BYTES_MAX + 1))

    assert (at_limit.status_code, over.status_code) == (200, 413)
    assert len(await notes(spool)) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "secret"}, 401),
        ({"Authorization": "Bearer secret"}, 200),
    ],
)
async def test_token_is_asked_for_where_one_is_configured(
    opened: Open, spool: MemorySpool, headers: dict[str, str], status: int
) -> None:
    """The registry sends it as a header of its endpoint; it is never logged."""
    door = opened(receiver(spool, token="secret"))  # noqa: S106 - not one

    with capture_logs() as lines:
        answer = await door.post(PATH, content=envelopes()[0], headers=headers)

    assert answer.status_code == status
    assert len(await notes(spool)) == (status == 200)
    assert "secret" not in str(lines).replace("the receiver's token", "")


def signed(body: bytes, key: bytes = b"secret") -> str:
    """Return the signature of *body*."""
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


NOW_S = NOW_NS // 10**9


def timed(seconds: int | str, body: bytes = b"{}", key: bytes = b"secret") -> Headers:
    """Return the headers of a body that was signed at *seconds*."""
    signature = signed(f"{seconds}.".encode() + body, key)
    return {"X-Placement-Signature": signature, "X-Placement-Timestamp": str(seconds)}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (timed(NOW_S), 200),
        (timed(NOW_S - 300), 200),
        (timed(NOW_S + 300), 200),
        (timed(NOW_S - 301), 401),
        (timed(NOW_S + 301), 401),
        ({**timed(NOW_S - 301), "X-Placement-Timestamp": str(NOW_S)}, 401),
        (timed("9" * 5_000), 401),
        (timed("-1"), 401),
        (timed(""), 401),
        (timed(NOW_S, b"{} "), 401),
        (timed(NOW_S, b"{}", b"another"), 401),
        ({"X-Placement-Signature": signed(b"{}")}, 401),
        ({"X-Hub-Signature-256": signed(b"{}")}, 200),
        ({"X-Hub-Signature-256": signed(b"{}").upper()}, 200),
        ({"X-Hub-Signature-256": signed(b"{}").removeprefix("sha256=")}, 401),
        ({"X-Hub-Signature-256": signed(b"{}").replace("sha256", "sha1")}, 401),
        ({"X-Hub-Signature-256": signed(b"{}").replace("sha256", "none")}, 401),
        ({"X-Hub-Signature-256": "sha256="}, 401),
        ({"X-Hub-Signature-256": "none="}, 401),
        ({"X-Hub-Signature-256": signed(b"{}", b"")}, 401),
        ({"X-Hub-Signature": signed(b"{}")}, 401),
        ({"Authorization": "Bearer secret"}, 401),
        ({"Authorization": signed(b"{}")}, 401),
    ],
)
async def test_signature_is_asked_for_where_a_key_is_configured(
    opened: Open, spool: MemorySpool, headers: Headers, status: int
) -> None:
    """Over the time and the body, by whom the key is known, not long ago."""
    door = opened(receiver(spool, key=b"secret"))

    answer = await door.post(PATH, content=b"{}", headers=headers)

    assert answer.status_code == status
    assert len(await notes(spool)) == (status == 200)


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer token"}, timed(NOW_S)])
async def test_either_proof_will_do_where_both_are_configured(
    opened: Open, spool: MemorySpool, headers: Headers
) -> None:
    """One registry signs, another can only send a header."""
    door = opened(receiver(spool, "token", b"secret"))

    assert (await door.post(PATH, content=b"{}", headers=headers)).status_code == 200
    assert (await door.post(PATH, content=b"{}")).status_code == 401


async def test_nothing_is_read_of_who_cannot_be_let_in(
    opened: Open, spool: MemorySpool
) -> None:
    """A stranger's body takes no memory: the headers alone say no."""
    door = opened(receiver(spool, "token"))
    read = []

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            read.append(1)
            yield b"x" * 65_536

    answer = await door.post(PATH, content=endless())

    assert answer.status_code == 401
    assert len(read) <= 1


async def test_compressed_body_is_refused(door: httpx.AsyncClient) -> None:
    """A kilobyte of it may become a gigabyte; no registry compresses."""
    answer = await door.post(PATH, content=b"", headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415


def test_secrets_are_not_shown() -> None:
    """Settings may be printed and logged."""
    assert "hidden" not in repr(settings("hidden", b"hidden"))


@pytest.mark.parametrize(("region", "status"), [("iad", 200), ("syd", 403), ("", 403)])
async def test_registry_of_another_region_is_refused(
    door: httpx.AsyncClient, spool: MemorySpool, region: str, status: int
) -> None:
    """Its events would place content where it is not; refused, it keeps them."""
    headers = {"X-Placement-Region": region, "Content-Type": CONTENT_TYPE}

    answer = await door.post(PATH, content=envelopes()[0], headers=headers)

    assert answer.status_code == status
    assert len(await notes(spool)) == (status == 200)


async def test_health_tells_what_became_of_everything(
    door: httpx.AsyncClient, spool: MemorySpool
) -> None:
    """Counts of the door and of the spool, for people and probes."""
    await spool.put([Note("distribution", b"{}", NOW_NS - 1_500_000_000)])
    await door.post(PATH, content=b"{}")
    await door.post("/v1/notifications/quay", content=b"{}")

    health = (await door.get("/healthz")).json()

    assert health == {
        "status": "SERVING",
        "received": 2,
        "spooled": 1,
        "refused": 1,
        "waiting": 2,
        "waiting_bytes": 4,
        "oldest_waiting_seconds": 1.5,
        "sent": 0,
        "kept": 0,
        "set_aside": 0,
    }


def test_answers_are_sent_at_once() -> None:
    """A registry posts one by one: 40 ms more for each would be all that it waits."""
    with (
        open_listener("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_server_serves_until_cancelled_and_finishes_what_it_began(
    spool: MemorySpool,
) -> None:
    """Cancelling lets the open answer out, and frees the port."""
    began = asyncio.Event()

    async def put(notes: Sequence[Note]) -> None:
        began.set()
        await asyncio.sleep(0.2)
        await spool.put(notes)

    app = receiver_app(Receiver(settings(), put, lambda: NOW_NS), dict)
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    serving = asyncio.create_task(serve_receiver(app, listener))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        posting = asyncio.create_task(client.post(PATH, content=envelopes()[0]))
        await began.wait()
        serving.cancel()
        answer = await posting
    with suppress(asyncio.CancelledError):
        await serving

    assert answer.status_code == 200
    assert len(await notes(spool)) == 1
    with socket.create_server(("127.0.0.1", port)):
        pass
