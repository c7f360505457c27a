"""The composition root: builds every part from the configuration, and runs them."""

import asyncio
import os
import platform
import secrets
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import structlog

from placement import faults
from placement.adapters.broker.ownership import own_broker_on
from placement.adapters.data_directory import lock_data_directory
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.peers import NatsPeers
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.run_file import RunFile
from placement.adapters.sqlite.generations import CheckpointGenerations
from placement.adapters.sqlite.sharing import CheckpointCopies
from placement.adapters.sqlite.staging import CheckpointStaging
from placement.api.server import (
    PlacementServer,
    ServerSettings,
    build_server,
    new_pressure,
)
from placement.client import ClientTls
from placement.client.peers import GrpcPeer
from placement.config import Config, load_prices, load_topology, split_address
from placement.config.limits import limit_settings, watch_settings
from placement.event_loop import loop_factory
from placement.guarding import guarded
from placement.instruments import (
    build_registry,
    measure_server,
    measure_state,
)
from placement.nats_authority.names import Role
from placement.pages import console_pages, metrics_pages
from placement.ports import EventLog
from placement.runtime.bootstrap import Bootstrap, BootstrapSettings
from placement.runtime.exchange import Exchange
from placement.runtime.figures import FigureKeeper
from placement.runtime.garbage import leave_alone_what_is_loaded
from placement.runtime.past import Past
from placement.runtime.planner import Planner, PlannerSettings
from placement.runtime.pressure import Pressure
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Publisher
from placement.runtime.sharing import Sharing, SharingSettings
from placement.runtime.view import View
from placement.runtime.witness import Witness
from placement.stores import checkpoint_path, open_broker, open_generations
from placement.telemetry.checkpoints import MeasuredCheckpointStore
from placement.telemetry.tracers import trace_to
from placement.time_travel import open_past

NAME_LENGTH_MAX = 255
STOP_GRACE_SECONDS = 5.0
"""Calls that are under way when the service is told to stop may take so long."""

log_events = structlog.get_logger(__name__)


class Runs(Protocol):
    """A part of the service that works beside the fold, for ever."""

    async def run(self) -> None:
        """Work until cancelled."""


def run(config: Config) -> None:
    """Run the service on the event loop that the configuration names."""
    ended = trace_to(config.trace.endpoint, config.trace.sample, "placement")
    try:
        with asyncio.Runner(loop_factory=loop_factory(config.event_loop)) as runner:
            runner.run(serve(config))
    finally:
        ended()


async def serve(config: Config) -> None:
    """Run the service until it is told to stop (SIGTERM, SIGINT) or cannot go on."""
    if config.fault_points:
        faults.arm(faults.Plan(config.fault_points))
    async with AsyncExitStack() as stack:
        _own(config, stack)
        broker = await open_broker(config, stack, Role.SERVICE)
        log = JetStreamLog(broker)
        stack.push_async_callback(log.close)
        generations = open_generations(config)
        stack.push_async_callback(generations.close)
        records = RunFile(config.data_dir / "run-record")
        stack.callback(records.close)
        view = View(time.time_ns)
        view.witness = _witness(config, broker, stack)
        registry = build_registry(view, generations.counts)
        store = MeasuredCheckpointStore(generations, registry)
        await stack.enter_async_context(metrics_pages(config, registry, view))
        settings = _projector_settings(config)
        projector = Projector(log, store, view, time.time_ns, settings, records)
        publisher = Publisher(log, view)
        exchange = await _exchange(config, (projector, log, generations), stack)
        pressure = new_pressure(limit_settings(config.limits).pressure)
        past = open_past(config, (log, view, generations.older), registry, stack)
        server = _server(config, view, publisher, (pressure, exchange, past))
        planner = _planner(config, view, publisher, pressure)
        topology = load_topology(config)
        figures = FigureKeeper(view, topology, load_prices(config, topology))
        measure_server(registry, server, pressure, exchange)
        measure_state(registry, view, topology, planner, figures)
        await stack.enter_async_context(
            console_pages(config, view, (server, planner, registry))
        )
        await projector.restore()
        leave_alone_what_is_loaded()
        port = await server.start()
        stack.push_async_callback(server.stop, STOP_GRACE_SECONDS)
        guard = guarded(config.watchdog_seconds, view, projector.note_blocked)
        await stack.enter_async_context(guard)
        log_events.info("service_started", port=port, data_dir=str(config.data_dir))
        await _run(projector, (planner, view.witness, figures))
        log_events.info("service_stopping", sequence=view.state.sequence)


def _own(config: Config, stack: AsyncExitStack) -> None:
    """Own the data directory, and the broker of our own where we may share a port."""
    lock = lock_data_directory(config.data_dir, config.data_dir / "lock")
    stack.callback(os.close, lock)
    if config.reuse_port and not config.nats.url:
        stack.enter_context(own_broker_on(config.listen))


def _projector_settings(config: Config) -> ProjectorSettings:
    return ProjectorSettings(
        checkpoint_interval_seconds=config.checkpoint.interval_seconds,
        checkpoint_message_count=config.checkpoint.message_count,
        accept_partial_log=config.accept_partial_log,
        home_region=load_topology(config).home,
        seed=secrets.randbits(63),
    )


def _planner(
    config: Config, view: View, publisher: Publisher, pressure: Pressure
) -> Planner | None:
    """Return what decides on copies, or None where this service does not."""
    if not config.planner.enabled:
        return None
    settings = PlannerSettings(
        name=f"planner-{platform.node()}", tick_seconds=config.planner.tick_seconds
    )
    topology = load_topology(config)
    return Planner(
        view,
        topology,
        publisher,
        time.time_ns,
        settings,
        pressed=lambda: pressure.pressed,
    )


def _witness(
    config: Config, broker: JetStreamSettings, stack: AsyncExitStack
) -> Witness | None:
    """Return what compares this service's state with others', if that is wanted."""
    if not config.compare_interval_seconds:
        return None
    peers = NatsPeers(broker)
    stack.push_async_callback(peers.close)
    service = f"{platform.node()}/{config.listen}/{os.getpid()}"[:NAME_LENGTH_MAX]
    return Witness(service, peers, time.time_ns, config.compare_interval_seconds)


async def _exchange(
    config: Config,
    parts: tuple[Projector, EventLog, CheckpointGenerations],
    stack: AsyncExitStack,
) -> Exchange:
    """Return what gives our checkpoint to other services, and takes theirs."""
    (projector, log, generations), keys = parts, config.bootstrap
    copies = CheckpointCopies(checkpoint_path(config))
    giving = SharingSettings(keys.streams_max, keys.bytes_per_second)
    sharing = Sharing(projector.offer, copies, giving)
    stack.push_async_callback(sharing.close)
    staging = CheckpointStaging(checkpoint_path(config), generations)
    stack.push_async_callback(staging.close)
    if not keys.peers:
        await staging.clear()
    client = config.client
    files = (client.ca_file, client.cert_file, client.key_file)
    tls = ClientTls(*files) if client.tls or any(files) else None
    peers = [GrpcPeer(each, tls) for each in keys.peers.split(",") if each]
    taking = BootstrapSettings(keys.behind_messages, keys.seconds_max, keys.bytes_max)
    projector.bootstrap = Bootstrap(peers, staging, log, taking)
    return Exchange(sharing, projector.bootstrap)


def _server(
    config: Config,
    view: View,
    publisher: Publisher,
    parts: tuple[Pressure, Exchange, Past],
) -> PlacementServer:
    pressure, exchange, past = parts
    host, port = split_address(config.listen)
    topology = load_topology(config)
    settings = ServerSettings(
        host=host,
        port=port,
        reuse_port=config.reuse_port,
        reflection=config.reflection,
        allow_plaintext=config.allow_plaintext,
        default_deadline_ms=config.default_deadline_ms,
        cert_file=config.tls.cert_file,
        key_file=config.tls.key_file,
        client_ca_file=config.tls.client_ca_file,
        trust_domain=config.tls.trust_domain,
        look_interval_s=config.tls.reload_seconds,
        allow_anonymous=config.allow_anonymous,
        watch=watch_settings(config.limits),
        limits=limit_settings(config.limits),
        prices=load_prices(config, topology),
        exchange=exchange,
        past=past,
    )
    return build_server(
        settings, view, topology, publisher, time.time_ns, pressure=pressure
    )


async def _run(projector: Projector, parts: Sequence[Runs | None]) -> None:
    """Fold, with *parts* beside it, until a signal says stop; then save the state."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    folding = asyncio.create_task(projector.run())
    beside = {asyncio.create_task(part.run()) for part in parts if part is not None}
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({folding, stopping}, return_when="FIRST_COMPLETED")
        if folding.done():
            await folding  # raises why it cannot go on
    finally:
        tasks = {folding, stopping, *beside}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await projector.finish()
