"""A replicator as a process of its own, to be killed: decisions and reports by NATS.

    python -m tests.replicator_process '{"nats": URL, "own": URL, "source": URL}'

It copies from iad into syd. Decisions come again half a minute after a kill in real
life; here after two seconds.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.agent.registry.opening import opened
from placement.agent.registry.settings import RegistrySettings
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.core.event import Event
from placement.core.topology import Region
from placement.wire.events import encoded_batches

IAD, SYD = Region("iad"), Region("syd")
ACK_WAIT_SECONDS = 2.0


async def run(nats: str, own: str, source: str) -> None:
    """Carry out decisions for ever."""
    settings = JetStreamSettings(servers=(nats,))
    log = JetStreamLog(settings)
    queue = WorkQueue(
        settings,
        WorkQueueSettings(
            subjects="placement.decisions.v1.syd.>",
            name="replicator-syd",
            ack_wait_seconds=ACK_WAIT_SECONDS,
        ),
    )

    async def report(events: Sequence[Event]) -> None:
        for _, (subject, body, message_id) in encoded_batches(events):
            await log.append(subject, body, message_id)

    async with (
        opened(RegistrySettings(region=SYD, url=own)) as here,
        opened(RegistrySettings(region=IAD, url=source)) as there,
    ):
        replicator = Replicator(
            ReplicatorSettings(region=SYD),
            {SYD: here, IAD: there},
            report,
            decisions=QueueDecisions(queue, SYD),
        )
        await replicator.run()


if __name__ == "__main__":
    asyncio.run(run(**json.loads(sys.argv[1])))
