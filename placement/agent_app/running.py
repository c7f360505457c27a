"""Runs an agent: opens what its parts share, builds them, and keeps them going.

To add a part: write what builds it from ``Around``, and name that in ``PARTS``.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette

from placement import faults
from placement.adapters.data_directory import lock_data_directory
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.sqlite.spool import SqliteSpool
from placement.agent.finding import Finder, asking_registry, asking_service
from placement.agent.outlets import LogOutlet, Outlet
from placement.agent.registry.client import Registry
from placement.agent.registry.opening import opened
from placement.agent.request_tail import RequestLogTail
from placement.agent.service_outlet import ServiceOutlet
from placement.agent.spooled import spooled_report
from placement.agent.supervision import Part, supervise
from placement.agent_app.around import Around, Registries, ServiceAddress
from placement.agent_app.delivery import delivery, request_log, zot
from placement.agent_app.regional import door, inventory, replicator, router, schedulers
from placement.agent_app.settings import (
    asks_locally,
    feed_settings,
    registries,
    spool_limits,
)
from placement.agent_app.starts import start_settings
from placement.client import LocalPlacements, PlacementClient
from placement.config import Config, load_topology, split_address, supervisor
from placement.core.errors import InputError
from placement.core.topology import Region, Topology, parse_region
from placement.nats_authority.names import agent_inbox
from placement.nats_settings import nats_settings
from placement.ports import LogConfigurationError
from placement.supervised import supervised
from placement.telemetry.agents import register_replica
from placement.telemetry.exposition import metrics_page
from placement.telemetry.listener import listening
from placement.telemetry.spooling import build_agent_registry
from placement.telemetry.tracers import trace_to

CONNECTIONS_MAX: Final = 1_024
"""To each registry: the mirror has one for each client that it reads for."""
CALL_SECONDS: Final = 5.0
"""For a call to the service; who waits for it tries again."""

log = structlog.get_logger(__name__)


PARTS: Final[tuple[Callable[[Around], list[Part]], ...]] = (
    delivery,
    request_log,
    zot,
    schedulers,
    inventory,
    replicator,
    router,
    door,
)
"""What builds the parts of an agent; each returns those that the configuration asks."""


async def run_agent(config: Config, service: ServiceAddress) -> None:
    """Run an agent until it is told to stop (SIGTERM, SIGINT) or cannot go on.

    *service* need not be there. Raises InputError.
    """
    if config.fault_points:
        faults.arm(faults.Plan(config.fault_points))
    async with AsyncExitStack() as stack:
        traced = config.trace
        stack.callback(trace_to(traced.endpoint, traced.sample, "placement-agent"))
        around = await _around(config, service, stack)
        parts = [part for build in PARTS for part in build(around)]
        if config.agent.metrics_listen:
            pages = listening(
                Starlette(routes=[metrics_page(around.registry)]),
                *split_address(config.agent.metrics_listen),
                field="agent.metrics_listen",
            )
            await stack.enter_async_context(pages)
        log.info(
            "agent_started", region=around.region, parts=[part.name for part in parts]
        )
        async with supervised(supervisor(), partial(_status, around)):
            await _until_told(supervise(parts, random.random))
        figures = around.spool.figures
        log.info(
            "agent_stopped", sent=figures.sent_count, waiting=figures.waiting_count
        )


async def _around(
    config: Config, service: ServiceAddress, stack: AsyncExitStack
) -> Around:
    """Open what the parts share; *stack* closes it."""
    agent = config.agent
    region = parse_region(agent.region, "agent.region")
    _own(agent.state_dir, stack)
    path = agent.state_dir / "spool.sqlite"
    spool = await SqliteSpool.open(path, spool_limits(agent.spool), time.time_ns)
    stack.push_async_callback(spool.close)
    client = PlacementClient(service.target, timeout_s=CALL_SECONDS, tls=service.tls)
    await stack.enter_async_context(client)
    topology = load_topology(config)
    outlet: Outlet = ServiceOutlet(client, region)
    if config.nats.url:
        settings = nats_settings(config.nats, agent_inbox(region))
        another = partial(JetStreamLog, settings)
        # Whoever is known by name to the server has its region's rights and no others.
        reads, regions = not settings.identified, topology.regions
        outlet = LogOutlet(another(), another, region, regions=regions, reads=reads)
        stack.push_async_callback(outlet.close)
    registry, local = build_agent_registry(), None
    if asks_locally(agent):
        local = LocalPlacements.follow(service.target, topology, tls=service.tls)
        await stack.enter_async_context(local)
        register_replica(registry, local)
    known = await _registries(config, region, topology, stack)
    ask = asking_registry(known[region]) if region in known else asking_service(client)
    return Around(
        config=config,
        region=region,
        topology=topology,
        feed=feed_settings(agent.receiver, region),
        starts=start_settings(agent.starts, region),
        find=Finder(ask, time.monotonic),
        spool=spool,
        report=spooled_report(spool, time.time_ns),
        outlet=outlet,
        client=client,
        service=service,
        local=local,
        registries=known,
        registry=registry,
        stack=stack,
        request_log=RequestLogTail(agent.receiver.request_log)
        if agent.receiver.request_log
        else None,
    )


def _status(around: Around) -> str:
    """Return in one line how much waits to be sent."""
    figures = around.spool.figures
    return f"{around.region}: {figures.waiting_count} wait, {figures.sent_count} sent"


def _own(directory: Path, stack: AsyncExitStack) -> None:
    """Own the agent's directory; raises InputError where another agent does."""
    try:
        lock = lock_data_directory(directory, directory / "lock")
    except LogConfigurationError as error:
        remedy = f"give each agent a directory of its own ({error})"
        raise InputError("agent.state_dir", str(directory), remedy) from error
    stack.callback(os.close, lock)


async def _registries(
    config: Config, region: Region, topology: Topology, stack: AsyncExitStack
) -> Registries:
    """Return each region's registry, as far as its address is known."""
    found: dict[Region, Registry] = {}
    for settings in registries(config.agent, region, topology):
        opening = opened(settings, CONNECTIONS_MAX)
        found[settings.region] = await stack.enter_async_context(opening)
    return found


async def _until_told(running: Coroutine[None, None, None]) -> None:
    """Run until a signal says stop, or what runs raises."""
    task = asyncio.ensure_future(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("agent_stopping")
