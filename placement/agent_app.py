"""The composition root of an agent: builds its parts from the configuration, runs them.

To add a part: write what builds it from ``Around``, and name that in ``PARTS``.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from placement import faults
from placement.adapters.data_directory import lock_data_directory
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.subject import NatsSubject
from placement.adapters.sqlite.spool import SqliteSpool
from placement.agent.feeds import distribution
from placement.agent.feeds.request_log import RequestRecord
from placement.agent.feeds.translation import FeedSettings, Malformed, Translation
from placement.agent.outlets import LogOutlet, Outlet, ServiceOutlet
from placement.agent.receiver import (
    DISTRIBUTION,
    Receiver,
    health_of,
    open_listener,
    receiver_app,
    serve_receiver,
)
from placement.agent.registry.known import Registries, known_registry
from placement.agent.reporting import Report
from placement.agent.request_tail import RequestLogTail
from placement.agent.sender import Sender
from placement.agent.spooled import EVENTS, spooled_messages, spooled_report
from placement.agent.supervision import Part, supervise
from placement.agent.translators import (
    Feed,
    Translate,
    at_once,
    from_bundle,
    once_logged,
)
from placement.agent_settings import (
    feed_settings,
    receiver_settings,
    registries,
    spool_limits,
)
from placement.client import PlacementClient
from placement.config import Config, load_topology, split_address
from placement.core.errors import InputError
from placement.core.topology import Region, Topology, parse_region
from placement.nats_settings import nats_settings
from placement.ports import LogConfigurationError
from placement.spooling import Spool
from placement.telemetry.spooling import build_agent_registry, metrics_page

ZOT: Final = "zot"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What every part is built from."""

    config: Config
    region: Region
    topology: Topology
    feed: FeedSettings
    spool: Spool
    report: Report
    outlet: Outlet
    client: PlacementClient
    registries: Registries
    request_log: RequestLogTail | None

    def translators(self) -> dict[str, Translate]:
        """Return every feed's translation, by the name that it is posted under."""
        known = _feeds(self.feed, self.request_log)
        found = {name: at_once(feed) for name, feed in known.items()}
        if self.request_log is not None:
            found[DISTRIBUTION] = once_logged(
                known[DISTRIBUTION], self.request_log, time.time_ns
            )
        return {EVENTS: from_bundle, **found}


def _feeds(
    settings: FeedSettings, request_log: Mapping[str, RequestRecord] | None
) -> dict[str, Feed]:
    """Return every feed of a registry by its name."""

    def from_distribution(body: bytes, _headers: Mapping[str, str]) -> Translation:
        try:
            envelope = json.loads(body)
        except (ValueError, RecursionError):
            error = InputError("body", f"{len(body)} bytes", "post JSON")
            return Translation(malformed=(Malformed.of(None, error),))
        return distribution.translate(envelope, settings, request_log)

    return {DISTRIBUTION: from_distribution}


async def run_agent(config: Config, client: PlacementClient) -> None:
    """Run an agent until it is told to stop (SIGTERM, SIGINT) or cannot go on.

    *client* is entered, and asks the service. Raises InputError.
    """
    if config.fault_points:
        faults.arm(faults.Plan(config.fault_points))
    async with AsyncExitStack() as stack:
        around = await _around(config, client, stack)
        parts = [part for build in PARTS for part in build(around)]
        log.info(
            "agent_started", region=around.region, parts=[part.name for part in parts]
        )
        await _until_told(supervise(parts, random.random))
        figures = around.spool.figures
        log.info(
            "agent_stopped", sent=figures.sent_count, waiting=figures.waiting_count
        )


async def _around(
    config: Config, client: PlacementClient, stack: AsyncExitStack
) -> Around:
    """Open what the parts share; *stack* closes it."""
    agent = config.agent
    region = parse_region(agent.region, "agent.region")
    _own(agent.state_dir, stack)
    path = agent.state_dir / "spool.sqlite"
    spool = await SqliteSpool.open(path, spool_limits(agent.spool), time.time_ns)
    stack.push_async_callback(spool.close)
    outlet: Outlet = ServiceOutlet(client)
    if config.nats.url:
        another = partial(JetStreamLog, nats_settings(config.nats))
        outlet = LogOutlet(another(), another)
        stack.push_async_callback(outlet.close)
    topology = load_topology(config)
    return Around(
        config=config,
        region=region,
        topology=topology,
        feed=feed_settings(agent.receiver, region),
        spool=spool,
        report=spooled_report(spool, time.time_ns),
        outlet=outlet,
        client=client,
        registries=_registries(config, region, topology, stack),
        request_log=RequestLogTail(agent.receiver.request_log)
        if agent.receiver.request_log
        else None,
    )


def _own(directory: Path, stack: AsyncExitStack) -> None:
    """Own the agent's directory; raises InputError where another agent does."""
    try:
        lock = lock_data_directory(directory, directory / "lock")
    except LogConfigurationError as error:
        remedy = f"give each agent a directory of its own ({error})"
        raise InputError("agent.state_dir", str(directory), remedy) from error
    stack.callback(os.close, lock)


def _delivery(around: Around) -> list[Part]:
    """Return the door, and the sender of what comes through it."""
    config, spool = around.config.agent, around.spool
    feeds = around.translators()
    posted = feeds.keys() - {EVENTS}
    settings = receiver_settings(config.receiver, around.region, posted)
    receiver = Receiver(settings, spool.put, time.time_ns)
    sender = Sender(spool, around.outlet, feeds, random.random)
    page = metrics_page(
        build_agent_registry(
            lambda: spool.figures, receiver.counts, sender.counts, time.time_ns
        )
    )

    def health() -> dict[str, object]:
        trouble = {"trouble": sender.trouble} if sender.trouble else {}
        return health_of(spool.figures, time.time_ns()) | dict(sender.counts) | trouble

    host, port = split_address(config.listen)
    try:
        listeners = [open_listener(host, port)]
    except OSError as error:
        remedy = f"{error.strerror}: listen somewhere else"
        raise InputError("agent.listen", config.listen, remedy) from None

    async def receive() -> None:
        listener = listeners.pop() if listeners else open_listener(host, port)
        await serve_receiver(receiver_app(receiver, health, page), listener)

    return [Part("receiver", receive), Part("sender", sender.run)]


def _request_log(around: Around) -> list[Part]:
    """Return what follows the registry's own log, if it is named."""
    if around.request_log is None:
        return []
    return [Part("request_log", around.request_log.run)]


def _zot(around: Around) -> list[Part]:
    """Return what listens to a zot that publishes to NATS, if its subject is named."""
    subject = around.config.agent.receiver.zot_subject
    if not subject:
        return []
    if not around.config.nats.url:
        remedy = "give nats.url too: the servers that zot publishes to"
        raise InputError("agent.receiver.zot_subject", subject, remedy)
    listened = NatsSubject(nats_settings(around.config.nats), subject)
    taken = spooled_messages(around.spool, ZOT, time.time_ns)
    return [Part("zot", partial(listened.listen, taken))]


PARTS: Final[tuple[Callable[[Around], list[Part]], ...]] = (
    _delivery,
    _request_log,
    _zot,
)
"""What builds the parts of an agent; each returns those that the configuration asks."""


def _registries(
    config: Config, region: Region, topology: Topology, stack: AsyncExitStack
) -> Registries:
    """Return each region's registry, as far as its address is known."""
    found = {}
    for settings in registries(config.agent, region, topology):
        found[settings.region], http = known_registry(settings)
        stack.push_async_callback(http.aclose)
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
