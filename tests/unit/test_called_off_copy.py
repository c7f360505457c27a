"""What is called off before it began is settled, too, and never held for ever."""

import asyncio
from contextlib import suppress

import httpx

from placement.agent.registry.client import Registry
from placement.agent.registry.settings import RegistrySettings
from placement.agent.replicator.duties import Withdrawal
from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.core.topology import Region
from tests.builders import digest
from tests.copiers import IAD, SYD, Orders, Told, copy_of

SECONDS_MAX = 20.0


def registry(region: Region) -> Registry:
    """Return a registry that fails whoever asks it."""
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    settings = RegistrySettings(region=region, url="http://registry.test")
    return Registry(settings, httpx.AsyncClient(transport=transport))


async def test_copy_called_off_before_it_began_is_settled() -> None:
    """Decision and withdrawal come at once, as after a while without the broker."""
    orders, told = Orders(), Told()
    registries = {region: registry(region) for region in (IAD, SYD)}
    replicator = Replicator(
        ReplicatorSettings(region=SYD), registries, told.report, decisions=orders
    )
    copy = orders.give(copy_of(digest("a")))
    withdrawal = orders.give(Withdrawal("r-1"))

    running = asyncio.create_task(replicator.run())
    async with asyncio.timeout(SECONDS_MAX):
        await withdrawal.settled.wait()
        await copy.settled.wait()

    assert not told.events
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
