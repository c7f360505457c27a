"""How a log is read by nats-py's own manual: fetch, a message at a time.

What replay is compared with. The only module beside the adapters that speaks NATS: it
is what somebody would write who had no adapter.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from placement.bench.settings import BrokerAddress
from placement.ports import Message

FETCH_MESSAGES: Final = 500
FETCH_SECONDS_MAX: Final = 30.0
EVERYTHING: Final = "placement.events.v1.>"


@asynccontextmanager
async def fetched(
    address: BrokerAddress, count: int
) -> AsyncIterator[AsyncIterator[Sequence[Msg]]]:
    """Give the first *count* messages of the log as they are fetched."""
    client = await nats.connect(
        address.url, user=address.user, password=address.password
    )
    try:
        yield _fetches(client, address.stream, count)
    finally:
        await client.close()


async def _fetches(
    client: Client, stream: str, count: int
) -> AsyncIterator[Sequence[Msg]]:
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE)
    subscription = await client.jetstream().pull_subscribe(
        EVERYTHING, stream=stream, config=config
    )
    left = count
    while left:
        batch = min(left, FETCH_MESSAGES)
        messages = await subscription.fetch(batch, FETCH_SECONDS_MAX)
        left -= len(messages)
        yield messages


def stored(message: Msg) -> Message:
    """Return a fetched message as the decoder wants it."""
    found = message.metadata
    stored_ns = round(found.timestamp.timestamp() * 1e9)
    return Message(found.sequence.stream, stored_ns, message.subject, message.data)
