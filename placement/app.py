"""The composition root: builds every part from the configuration, and runs them."""

import asyncio
import gc
import os
import platform
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from placement import faults
from placement.adapters.broker.child import NatsChild, attach
from placement.adapters.broker.ownership import own_broker_on
from placement.adapters.data_directory import lock_data_directory
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.peers import NatsPeers
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.run_file import RunFile
from placement.adapters.sqlite.generations import (
    CheckpointGenerations,
    GenerationSettings,
)
from placement.api.server import PlacementServer, ServerSettings, build_server
from placement.bench.settings import BrokerAddress
from placement.config import Config, load_prices, load_topology, split_address
from placement.event_loop import loop_factory
from placement.nats_settings import nats_settings
from placement.ports import CheckpointStore, EventLog, LogUnavailableError
from placement.runtime.planner import Planner, PlannerSettings
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Publisher
from placement.runtime.view import View
from placement.runtime.watchdog import watchdog
from placement.runtime.witness import Witness
from placement.telemetry.checkpoints import MeasuredCheckpointStore
from placement.telemetry.metrics import build_registry
from placement.telemetry.planning import register_planning

GARBAGE_THRESHOLDS = (20_000, 20, 100)
"""What is new is looked at after so many objects, what is older after so many looks."""
NAME_LENGTH_MAX = 255
STOP_GRACE_SECONDS = 5.0
"""Calls that are under way when the service is told to stop may take so long."""

log_events = structlog.get_logger(__name__)


def run(config: Config) -> None:
    """Run the service on the event loop that the configuration names."""
    with asyncio.Runner(loop_factory=loop_factory(config.event_loop)) as runner:
        runner.run(serve(config))


async def serve(config: Config) -> None:
    """Run the service until it is told to stop (SIGTERM, SIGINT) or cannot go on."""
    if config.fault_points:
        faults.arm(faults.Plan(config.fault_points))
    async with AsyncExitStack() as stack:
        lock = lock_data_directory(config.data_dir, config.data_dir / "lock")
        stack.callback(os.close, lock)
        if config.reuse_port and not config.nats.url:
            stack.enter_context(own_broker_on(config.listen))
        broker = await _broker(config, stack)
        log = JetStreamLog(broker)
        stack.push_async_callback(log.close)
        generations = _generations(config)
        stack.push_async_callback(generations.close)
        records = RunFile(config.data_dir / "run-record")
        stack.callback(records.close)
        view = View(time.time_ns)
        view.witness = _witness(config, broker, stack)
        registry = build_registry(view, generations.counts)
        store = MeasuredCheckpointStore(generations, registry)
        if config.metrics_listen:
            await stack.enter_async_context(_pages(config, registry, view))
        settings = _projector_settings(config)
        projector = Projector(log, store, view, time.time_ns, settings, records)
        publisher = Publisher(log, view)
        server = _server(config, view, publisher)
        planner = _planner(config, view, publisher)
        register_planning(registry, view, load_topology(config), planner)
        await projector.restore()
        _leave_alone_what_is_loaded()
        port = await server.start()
        stack.push_async_callback(server.stop, STOP_GRACE_SECONDS)
        blocked = partial(projector.note_blocked, "the event loop stood still")
        stack.enter_context(watchdog(config.watchdog_seconds, blocked))
        log_events.info("service_started", port=port, data_dir=str(config.data_dir))
        await _run(projector, planner, view.witness)
        log_events.info("service_stopping", sequence=view.state.sequence)


def _leave_alone_what_is_loaded() -> None:
    """Keep the garbage collector off the state: it looks at what is new, and seldom.

    With ten million digests it would stand still for seconds to find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@asynccontextmanager
async def open_log(config: Config, *, may_start: bool) -> AsyncIterator[EventLog]:
    """Give the log that the configuration names, for reading beside a service.

    Attaches to a running service's own broker; when none runs and *may_start*, starts
    one on the data directory for as long as the log is open. Raises
    LogUnavailableError when there is none.
    """
    async with AsyncExitStack() as stack:
        settings = attach(config.data_dir) if not config.nats.url else None
        if settings is None and not config.nats.url and not may_start:
            message = (
                f"no service runs on data directory {config.data_dir}: start it, or "
                "name the right one with data_dir or nats.url"
            )
            raise LogUnavailableError(message)
        log = JetStreamLog(settings or await _broker(config, stack))
        stack.push_async_callback(log.close)
        yield log


@asynccontextmanager
async def open_scratch(
    directory: Path, *, synced: bool = True
) -> AsyncIterator[tuple[EventLog, CheckpointStore]]:
    """Give an empty log, over a broker of its own, and a checkpoint in *directory*.

    What is *synced* is on the disk before the log says that it is stored.
    """
    async with AsyncExitStack() as stack:
        child = await NatsChild.start(directory, synced=synced)
        stack.push_async_callback(child.stop)
        log = JetStreamLog(child.settings)
        stack.push_async_callback(log.close)
        store = scratch_store(directory)
        stack.push_async_callback(store.close)
        yield log, store


def scratch_store(directory: Path) -> CheckpointStore:
    """Return the checkpoint in *directory*, as a service would keep it there."""
    return _generations(Config(data_dir=directory))


def broker_address(directory: Path) -> BrokerAddress:
    """Return where the broker of the log in *directory* listens; it must be open."""
    settings = attach(directory)
    assert settings is not None, "its log is open"
    [server] = settings.servers
    user, password = settings.user or "", settings.password or ""
    return BrokerAddress(server, user, password, settings.stream)


async def _broker(config: Config, stack: AsyncExitStack) -> JetStreamSettings:
    """Return how to reach the log; starts a broker of our own if none is named."""
    nats = config.nats
    if nats.url:
        return nats_settings(nats)
    child = await NatsChild.start(config.data_dir, nats.port or -1)
    stack.push_async_callback(child.stop)
    return replace(child.settings, max_bytes=nats.max_bytes or None)


def _generations(config: Config) -> CheckpointGenerations:
    settings = GenerationSettings(
        copies=config.checkpoint.generation_count - 1,
        interval_seconds=config.checkpoint.generation_interval_seconds,
    )
    return CheckpointGenerations(config.data_dir / "checkpoint.sqlite", settings)


def _pages(
    config: Config, registry: CollectorRegistry, view: View
) -> AbstractAsyncContextManager[int]:
    from placement.telemetry.listener import (  # noqa: PLC0415 - costs 0.15 s
        listening,
        metrics_app,
    )

    return listening(metrics_app(registry, view), *split_address(config.metrics_listen))


def _projector_settings(config: Config) -> ProjectorSettings:
    return ProjectorSettings(
        checkpoint_interval_seconds=config.checkpoint.interval_seconds,
        checkpoint_message_count=config.checkpoint.message_count,
        accept_partial_log=config.accept_partial_log,
        home_region=load_topology(config).home,
        seed=secrets.randbits(63),
    )


def _planner(config: Config, view: View, publisher: Publisher) -> Planner | None:
    """Return what decides on copies, or None where this service does not."""
    if not config.planner.enabled:
        return None
    settings = PlannerSettings(
        name=f"planner-{platform.node()}", tick_seconds=config.planner.tick_seconds
    )
    topology = load_topology(config)
    return Planner(view, topology, publisher, time.time_ns, settings)


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


def _server(config: Config, view: View, publisher: Publisher) -> PlacementServer:
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
        prices=load_prices(config, topology),
    )
    return build_server(settings, view, topology, publisher, time.time_ns)


async def _run(
    projector: Projector, planner: Planner | None, witness: Witness | None
) -> None:
    """Fold, decide and compare, until a signal says stop; then save what is folded."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    folding = asyncio.create_task(projector.run())
    beside = {
        asyncio.create_task(part.run())
        for part in (planner, witness)
        if part is not None
    }
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
