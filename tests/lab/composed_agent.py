"""An agent with a replicator and a router, as ``placement agent`` will compose it."""

import asyncio
import sys
from pathlib import Path

from placement import agent_app
from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
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


def replicator(around: agent_app.Around) -> list[Part]:
    """Return what carries out decisions."""
    name = f"replicator-{around.region}"
    queue = WorkQueue(
        nats_settings(around.config.nats),
        WorkQueueSettings(
            subjects=f"placement.decisions.v1.{around.region}.>", name=name
        ),
    )
    part = Replicator(
        ReplicatorSettings(region=around.region),
        around.registries,
        around.report,
        decisions=QueueDecisions(queue, around.region),
    )
    return [Part("replicator", part.run)]


def router(around: agent_app.Around) -> list[Part]:
    """Return the mirror."""
    chosen = around.config.agent
    host, port = split_address(chosen.router.listen)
    settings = RouterSettings(
        region=around.region,
        directory=chosen.state_dir / "router",
        host=host,
        port=port,
        source_seconds=chosen.router.source_seconds,
        redirect_user_agents=chosen.router.redirect_user_agents,
    )

    async def run() -> None:
        async with await LocalPlacements.start(around.config.server) as local:
            part = Router(settings, local, around.registries, around.report)
            await part.run()

    return [Part("router", run)]


async def main() -> None:
    """Run it by the configuration that is named."""
    agent_app.PARTS = (*agent_app.PARTS, replicator, router)  # type: ignore[misc]  # a trial
    config = load_config(Path(sys.argv[1]), {})
    configure_logs(config.log_format, config.log_level)
    async with PlacementClient(config.server) as client:
        await agent_app.run_agent(config, client)


if __name__ == "__main__":
    asyncio.run(main())
