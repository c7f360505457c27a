"""A real NATS server whose store is put back from a backup, as the service meets it."""

import asyncio
import time

from placement.adapters.jetstream.log import JetStreamLog
from placement.core.fingerprint import fingerprint
from placement.runtime.replay import replay
from tests.nats_server import NatsServer
from tests.projecting import Host, pushes

NOTICED_S_MAX = 5.0


async def test_store_put_back_begins_an_epoch_of_its_own(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Noticed within 5 s, folded beside, taken over; the next run keeps the name."""
    host = Host()
    async with host.running(nats_log) as run:
        await run.publish(pushes(50))
        await asyncio.to_thread(nats.stop)
        await asyncio.to_thread(nats.keep_store)
        await asyncio.to_thread(nats.start)
        lost = await run.publish(pushes(600, 50))
        await run.until_live_at(lost.sequence)

        await asyncio.to_thread(nats.stop)
        await asyncio.to_thread(nats.put_store_back)
        await asyncio.to_thread(nats.start)
        began = time.monotonic()
        await run.until(lambda: run.view.epoch_broken or run.view.generation > 1)
        assert time.monotonic() - began < NOTICED_S_MAX
        kept = await run.publish(pushes(3, 5_000))
        await run.until(lambda: run.view.epoch == kept.epoch)
        await run.until_live_at(kept.sequence)

        assert kept.sequence == 2
        assert "~1-" in kept.epoch
        token = lost.token
        assert not await run.view.wait_for(token, 0.01)
        assert run.fingerprint == (await replay(nats_log)).fingerprint
    assert len(host.store.discarded) == 1

    async with host.running(nats_log) as again:
        await again.until_live_at(kept.sequence)
        assert again.view.epoch == kept.epoch
        assert again.fingerprint == fingerprint(run.view.state)
