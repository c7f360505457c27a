"""Shards that work today: an account of the broker each; see docs/scaling.md."""

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.ports import LogConfigurationError
from tests.nats_server import NatsServer, StartServer

ACCOUNTS = """
accounts {
  ANTS { jetstream: enabled, users: [ { user: ants, password: secret-of-ants } ] }
  BEES { jetstream: enabled, users: [ { user: bees, password: secret-of-bees } ] }
}
"""
PUSHED = "placement.events.v1.lhr.content_pushed"


async def log_of(server: NatsServer, owner: str) -> JetStreamLog:
    """Return the log of the account *owner*."""
    settings = server.settings
    named = replace(settings, user=owner, password=f"secret-of-{owner}")
    return await JetStreamLog.connect(named)


async def test_each_account_has_a_log_of_its_own(start_nats: StartServer) -> None:
    """The same subjects in two accounts: two epochs, two orders, nothing shared."""
    server = start_nats(ACCOUNTS)
    async with AsyncExitStack() as stack:
        ants, bees = await log_of(server, "ants"), await log_of(server, "bees")
        stack.push_async_callback(ants.close)
        stack.push_async_callback(bees.close)

        for number in range(3):
            await ants.append(PUSHED, b"of ants", f"ants-{number}")
        stored = await bees.append(PUSHED, b"of bees", "bees-0")

        assert stored.sequence == 1
        assert (await ants.status()).last_sequence == 3
        assert (await ants.status()).epoch != (await bees.status()).epoch


async def test_two_streams_of_one_account_are_refused(nats: NatsServer) -> None:
    """Their subjects are the same; so a shard cannot yet be a stream of that name."""
    first = await JetStreamLog.connect(nats.settings)

    with pytest.raises(LogConfigurationError, match="overlap"):
        await JetStreamLog.connect(replace(nats.settings, stream="PLACEMENT_V1_1"))

    await first.close()
