"""The parts that act in the agent's region: scans, copies, the mirror, the door."""

import random
import time
from collections.abc import Callable

import structlog

from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.agent.door.door import Door
from placement.agent.inventory.inventory import Inventory
from placement.agent.inventory.known import ServiceKnown
from placement.agent.replicator.duties import Decisions
from placement.agent.replicator.local_lookup import LocalLookup
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.replicator import Replicator
from placement.agent.replicator.watched_decisions import WatchedDecisions
from placement.agent.router.router import Router
from placement.agent.starts.kubernetes_reader import KubernetesReader
from placement.agent.starts.nomad_reader import NomadReader
from placement.agent.supervision import Part
from placement.agent_app.around import Around
from placement.agent_app.settings import (
    door_settings,
    inventory_settings,
    replicator_settings,
    router_settings,
)
from placement.agent_app.starts import start_parts
from placement.core.errors import InputError
from placement.nats_authority.names import (
    agent_inbox,
    work_queue_name,
    work_queue_subjects,
)
from placement.nats_settings import nats_settings
from placement.telemetry.agents import (
    register_inventory,
    register_replicator,
    register_router,
)
from placement.telemetry.calls import register_calls

Reader = KubernetesReader | NomadReader

log = structlog.get_logger(__name__)


def schedulers(around: Around) -> list[Part]:
    """Return what follows schedulers and counts machines, as far as any is named."""
    return start_parts(
        around.config.agent.starts,
        around.starts,
        around.report,
        around.find,
        around.stack,
    )


def replicator(around: Around) -> list[Part]:
    """Return what carries out the region's decisions, from where it is told."""
    chosen = around.config.agent.replicator
    if chosen.source == "none":
        return []
    _check_own_registry(around, "agent.replicator.source", chosen.source)
    by: dict[str, Callable[[Around], Decisions]] = {"nats": _queued, "grpc": _watched}
    assert around.local is not None, "a replicator asks locally"
    part = Replicator(
        replicator_settings(chosen, around.region),
        around.registries,
        around.report,
        decisions=by[chosen.source](around),
        lookup=LocalLookup(around.local, around.region),
        underway=around.underway,
        quiet=around.quiet,
    )
    register_replicator(around.registry, part)
    return [Part("replicator", part.run)]


def inventory(around: Around) -> list[Part]:
    """Return what reads the whole registry once in a while, if it may.

    A pull-through cache is left alone: it would ask its upstream for what it lacks.
    """
    agent, region = around.config.agent, around.region
    registry = around.registries.get(region)
    if not agent.inventory.interval_seconds or registry is None:
        return []
    if agent.receiver.proxy:
        log.info("inventory_left_out", region=region, reason="pull-through cache")
        return []
    part = Inventory(
        inventory_settings(agent, region),
        registry,
        around.report,
        ServiceKnown(around.client, region),
        time.time_ns,
        random.random,
        serving=around.serving,
    )
    register_inventory(around.registry, part)
    return [Part("inventory", part.run)]


def _queued(around: Around) -> Decisions:
    nats = around.config.nats
    if not nats.url:
        remedy = 'give nats.url too, or "grpc"'
        raise InputError("agent.replicator.source", "nats", remedy)
    settings = WorkQueueSettings(
        subjects=work_queue_subjects(around.region),
        name=work_queue_name(around.region),
    )
    queue = WorkQueue(nats_settings(nats, agent_inbox(around.region)), settings)
    around.stack.push_async_callback(queue.close)
    return QueueDecisions(queue, around.region)


def _watched(around: Around) -> Decisions:
    removals = around.config.agent.replicator.evict
    return WatchedDecisions(around.client, around.region, removals=removals)


def router(around: Around) -> list[Part]:
    """Return the mirror, if it is to listen."""
    agent = around.config.agent
    if not agent.router.listen:
        return []
    assert around.local is not None, "a router asks locally"
    settings = router_settings(agent, around.region)
    part = Router(
        settings,
        around.local,
        around.registries,
        around.report,
        underway=around.underway,
        quiet=around.quiet,
        serving=around.serving,
    )
    register_router(around.registry, part)
    return [Part("router", part.run)]


def door(around: Around) -> list[Part]:
    """Return what answers on this machine, if it is to listen."""
    settings = door_settings(around.config.agent.door)
    if settings is None:
        return []
    assert around.local is not None, "a door asks locally"
    service = around.service
    part = Door(settings, around.local, service.target, service.tls)
    register_calls(around.registry, part.calls)
    return [Part("door", part.run)]


def _check_own_registry(around: Around, field: str, value: str) -> None:
    if around.region not in around.registries:
        remedy = "give agent.registry.url too: where the copies go"
        raise InputError(field, value, remedy)
