"""Headers that nobody reads are left alone, and a server's status is not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from placement.adapters.jetstream.client import LeanClient
from tests.nats_server import NatsServer

HEADERS = {"Nats-Msg-Id": "e-1", "ce-id": "e-1"}


@pytest.fixture(params=[Client, LeanClient])
async def client(
    nats: NatsServer, request: pytest.FixtureRequest
) -> AsyncIterator[Client]:
    """Yield a connected client, nats-py's own or its heir."""
    made: Client = request.param()
    await made.connect(servers=list(nats.settings.servers))
    yield made
    await made.close()


async def test_headers_of_a_message_are_left_unread(client: Client) -> None:
    """What nats-py reads, its heir does not: else most of the work is back."""
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    await client.subscribe("a.b", cb=arrived.put)

    await client.publish("a.b", b"body", headers=HEADERS)
    message = await arrived.get()

    assert (message.subject, message.data) == ("a.b", b"body")
    assert message.headers == (None if isinstance(client, LeanClient) else HEADERS)


async def test_status_of_the_server_is_read(client: Client) -> None:
    """Who asks nobody learns that at once, by a status among the headers."""
    with pytest.raises(NoRespondersError):
        await client.request("nobody.listens", b"", timeout=5)


async def test_messages_are_taken_at_once_and_what_asks_for_no_reply_is_not(
    nats: NatsServer,
) -> None:
    """Until the subscription ends: then nobody holds on to who took them."""
    client, taken = LeanClient(), list[tuple[bytes, ...]]()
    called: asyncio.Queue[Msg] = asyncio.Queue()
    await client.connect(servers=list(nats.settings.servers))
    subscription = await client.subscribe("a.*", cb=called.put)
    client.let_take(subscription, lambda *told: taken.append(told))

    await client.publish("a.b", b"one", reply="c", headers=HEADERS)
    await client.publish("a.b", b"two", reply="c")
    await client.publish("a.b", b"three")
    assert (await called.get()).data == b"three"

    assert [(subject, reply, body) for subject, reply, _, body in taken] == [
        (b"a.b", b"c", b"one"),
        (b"a.b", b"c", b"two"),
    ]
    assert [b"ce-id: e-1" in headers for _, _, headers, _ in taken] == [True, False]
    await subscription.unsubscribe()
    assert not client.takes
    await client.close()
