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
