"""An agent with a replicator and a router, as ``placement agent`` will compose it."""

import asyncio
import sys
from pathlib import Path

from placement import agent_app
from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.agent.replicator.local_lookup import LocalLookup
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.agent.router.router import Router
from placement.agent.router.settings import RouterSettings
from placement.agent.supervision import Part
from placement.client import PlacementClient
from placement.client.local import LocalPlacements
from placement.config import load_config, split_address
from placement.nats_settings import nats_settings
from placement.telemetry.logs import configure_logs


def moving(around: agent_app.Around) -> list[Part]:
    """Return what copies and what routes; both know what the service tells them."""
    chosen = around.config.agent
    started: list[asyncio.Task[LocalPlacements]] = []

    async def local() -> LocalPlacements:
        if not started or (started[0].done() and started[0].exception()):
            starting = LocalPlacements.start(around.config.server)
            started[:] = [asyncio.create_task(starting)]
        return await asyncio.shield(started[0])

    async def replicate() -> None:
        queue = WorkQueue(
            nats_settings(around.config.nats),
            WorkQueueSettings(
                subjects=f"placement.decisions.v1.{around.region}.>",
                name=f"replicator-{around.region}",
            ),
        )
        part = Replicator(
            ReplicatorSettings(region=around.region),
            around.registries,
            around.report,
            decisions=QueueDecisions(queue, around.region),
            lookup=LocalLookup(await local(), around.region),
        )
        await part.run()

    async def route() -> None:
        host, port = split_address(chosen.router.listen)
        settings = RouterSettings(
            region=around.region,
            directory=chosen.state_dir / "router",
            host=host,
            port=port,
            source_seconds=chosen.router.source_seconds,
            redirect_user_agents=chosen.router.redirect_user_agents,
        )
        part = Router(settings, await local(), around.registries, around.report)
        await part.run()

    return [Part("replicator", replicate), Part("router", route)]


async def main() -> None:
    """Run it by the configuration that is named."""
    agent_app.PARTS = (*agent_app.PARTS, moving)  # type: ignore[misc]  # a trial
    config = load_config(Path(sys.argv[1]), {})
    configure_logs(config.log_format, config.log_level)
    async with PlacementClient(config.server) as client:
        await agent_app.run_agent(config, client)


if __name__ == "__main__":
    asyncio.run(main())
