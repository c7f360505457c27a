"""A core NATS subject, as zot publishes to it, into the spool."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from placement.adapters.jetstream.subject import NatsSubject
from placement.ports import LogUnavailableError
from tests.nats_server import NatsServer

DEADLINE_SECONDS = 20.0


@pytest.fixture
async def received(nats: NatsServer) -> AsyncIterator[list[bytes]]:
    """What a listener on ``zot.>`` was given so far."""
    found: list[bytes] = []

    async def take(body: bytes) -> None:
        found.append(body)

    subject = NatsSubject(nats.settings, "zot.>")
    listening = asyncio.create_task(subject.listen(take))
    await until_given(nats, found)
    found.clear()
    yield found
    listening.cancel()
    await asyncio.wait([listening])


async def publish(nats: NatsServer, subject: str, *bodies: bytes) -> None:
    """Publish as zot does: to a plain subject, without an answer."""
    client = Client()
    await client.connect(nats.url)
    for body in bodies:
        await client.publish(subject, body)
    await client.flush()
    await client.close()


async def until_given(nats: NatsServer, found: list[bytes]) -> None:
    """Publish until the listener gets something."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not found:
            await publish(nats, "zot.ready", b"ready")
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)


async def test_messages_come_in_order(nats: NatsServer, received: list[bytes]) -> None:
    """Each body as it was published; other subjects are none of ours."""
    await publish(nats, "zot.events", *(b"%d" % number for number in range(100)))
    await publish(nats, "other", b"x")

    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(received) < 100:  # noqa: ASYNC110 - filled elsewhere
            await asyncio.sleep(0.01)
    assert received == [b"%d" % number for number in range(100)]


async def test_listening_goes_on_after_a_restart_of_the_server(
    nats: NatsServer, received: list[bytes]
) -> None:
    """What is published meanwhile is lost: zot does not keep it, nor does NATS."""
    nats.kill()
    await asyncio.to_thread(nats.start)

    await until_given(nats, received)

    assert set(received) == {b"ready"}


async def test_server_that_is_not_there_is_said(nats: NatsServer) -> None:
    """Whoever supervises tries again."""
    nats.kill()

    async def take(body: bytes) -> None:
        raise AssertionError(body)

    with pytest.raises(LogUnavailableError):
        await NatsSubject(nats.settings, "zot").listen(take)
