"""The receiver over HTTP: what each answer promises to the registry that gets it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from placement.agent import receiver as receiver_module
from placement.agent.feeds.translation import FeedSettings
from placement.agent.receiver import (
    BODY_BYTES_MAX,
    Receiver,
    ReceiverSettings,
    receiver_app,
    serve_receiver,
)
from placement.core.event import Event, Name
from placement.core.topology import Region
from placement.ports import LogUnavailableError
from placement.runtime.publisher import Outcome, Published

CAPTURE = Path(__file__).parents[2] / "placement/data/notifications/01-push-first.json"
PATH = "/v1/notifications/distribution"
FEED = FeedSettings(region=Region("iad"), publisher=Name("agent/iad"))
CONTENT_TYPE = "application/vnd.docker.distribution.events.v1+json"


class FakeLog:
    """Stores events by id, as the log does; *failure* is raised instead."""

    def __init__(self) -> None:
        """Begin empty."""
        self.events: dict[str, Event] = {}
        self.failure: Exception | None = None

    async def publish(self, events: Sequence[Event]) -> Published:
        """Store *events*, or fail."""
        if self.failure is not None:
            raise self.failure
        known = [event.event_id in self.events for event in events]
        self.events |= {event.event_id: event for event in events}
        outcomes = [Outcome.DUPLICATE if old else Outcome.STORED for old in known]
        return Published(tuple(outcomes), "epoch", len(self.events))


@pytest.fixture
def log() -> FakeLog:
    """The log that the receiver publishes to."""
    return FakeLog()


Open = Callable[[Receiver], httpx.AsyncClient]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """A way to talk to a receiver without a socket."""
    clients: list[httpx.AsyncClient] = []

    def client(receiver: Receiver) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(receiver_app(receiver))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://door"))
        return clients[-1]

    yield client
    for one in clients:
        await one.aclose()


@pytest.fixture
def door(opened: Open, log: FakeLog) -> httpx.AsyncClient:
    """A client of a receiver that asks for no token."""
    return opened(Receiver(ReceiverSettings(FEED), log.publish))


def envelopes() -> list[bytes]:
    """The six bodies of a captured push."""
    document = json.loads(CAPTURE.read_text(encoding="utf-8"))
    return [json.dumps(item["body"]).encode() for item in document["envelopes"]]


async def test_stored_notifications_are_answered_200(
    door: httpx.AsyncClient, log: FakeLog
) -> None:
    """200 means: in the log. Redelivered ones are duplicates, and 200 too."""
    for path in (PATH, "/", PATH):
        for body in envelopes():
            answer = await door.post(path, content=body)
            assert answer.status_code == 200

    assert len(log.events) == 6
    counts = (await door.get("/healthz")).json()
    assert (counts["status"], counts["stored"], counts["duplicate"]) == (
        "SERVING",
        6,
        12,
    )


async def test_unavailable_log_is_answered_503_so_that_the_registry_keeps_them(
    door: httpx.AsyncClient, log: FakeLog
) -> None:
    """The registry sends them again, and then they are stored."""
    log.failure = LogUnavailableError("no broker")

    with capture_logs() as lines:
        refused = await door.post(PATH, content=envelopes()[0])
    log.failure = None
    accepted = await door.post(PATH, content=envelopes()[0])

    assert (refused.status_code, refused.json()) == (503, {"reason": "LOG_UNAVAILABLE"})
    assert refused.headers["Retry-After"] == "1"
    assert [line["event"] for line in lines] == ["notifications_unstored"]
    assert accepted.json()["stored"] == 1


async def test_publish_that_hangs_is_answered_503_in_time(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry waits for a second by default; the door does not wait for ever."""
    monkeypatch.setattr(receiver_module, "ANSWER_SECONDS_MAX", 0.01)

    async def publish(_events: Sequence[Event]) -> Published:
        await asyncio.Event().wait()
        return Published((), "", 0)

    answer = await opened(Receiver(ReceiverSettings(FEED), publish)).post(
        PATH, content=envelopes()[0]
    )

    assert (answer.status_code, answer.json()["reason"]) == (503, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"events": [{"id": "n-1"}]}', "target.repository"),
        (b'{"events": 1}', "events"),
        (b"[]", "envelope"),
        (b"{", "body"),
        (b"[" * 100_000, "body"),
        (b"\xff", "body"),
    ],
)
async def test_malformed_notification_is_answered_200_counted_and_logged(
    door: httpx.AsyncClient, body: bytes, field: str
) -> None:
    """A refusal would make the registry repeat it for ever, and all others wait."""
    with capture_logs() as lines:
        answer = await door.post(PATH, content=body)

    assert (answer.status_code, answer.json()["malformed"]) == (200, 1)
    (line,) = lines
    assert (line["event"], line["field"]) == ("notification_malformed", field)
    assert line["remedy"]
    assert (await door.get("/healthz")).json()["malformed"] == 1


async def test_body_over_the_limit_is_answered_413(
    door: httpx.AsyncClient, log: FakeLog
) -> None:
    """At the limit it is read; one byte more is not."""
    body = envelopes()[0]

    at_limit = await door.post(PATH, content=body.ljust(BODY_BYTES_MAX))
    over = await door.post(PATH, content=body.ljust(BODY_BYTES_MAX + 1))

    assert (at_limit.status_code, over.status_code) == (200, 413)
    assert len(log.events) == 1


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
    opened: Open, log: FakeLog, headers: dict[str, str], status: int
) -> None:
    """The registry sends it as a header of its endpoint; it is never logged."""
    door = opened(Receiver(ReceiverSettings(FEED, token="secret"), log.publish))  # noqa: S106 - not one

    with capture_logs() as lines:
        answer = await door.post(PATH, content=envelopes()[0], headers=headers)

    assert answer.status_code == status
    assert len(log.events) == (status == 200)
    assert "secret" not in str(lines).replace("the receiver's token", "")


@pytest.mark.parametrize(("region", "status"), [("iad", 200), ("syd", 403), ("", 403)])
async def test_registry_of_another_region_is_refused(
    door: httpx.AsyncClient, log: FakeLog, region: str, status: int
) -> None:
    """Its events would place content where it is not; refused, it keeps them."""
    headers = {"X-Placement-Region": region, "Content-Type": CONTENT_TYPE}

    answer = await door.post(PATH, content=envelopes()[0], headers=headers)

    assert answer.status_code == status
    assert len(log.events) == (status == 200)


async def test_server_serves_until_cancelled_and_finishes_what_it_began(
    log: FakeLog,
) -> None:
    """Cancelling lets the open answer out, and frees the port."""
    began = asyncio.Event()
    ports: asyncio.Queue[int] = asyncio.Queue()

    async def publish(events: Sequence[Event]) -> Published:
        began.set()
        await asyncio.sleep(0.2)
        return await log.publish(events)

    app = receiver_app(Receiver(ReceiverSettings(FEED), publish))
    serving = asyncio.create_task(serve_receiver(app, "127.0.0.1", 0, ports.put_nowait))
    port = await ports.get()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        posting = asyncio.create_task(client.post(PATH, content=envelopes()[0]))
        await began.wait()
        serving.cancel()
        answer = await posting
    with suppress(asyncio.CancelledError):
        await serving

    assert answer.status_code == 200
    assert len(log.events) == 1
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_port_that_is_taken_is_an_error_that_can_be_caught() -> None:
    """The server library would end the process."""
    app = receiver_app(Receiver(ReceiverSettings(FEED), FakeLog().publish))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(OSError, match=str(port)):
            await serve_receiver(app, "127.0.0.1", port)
