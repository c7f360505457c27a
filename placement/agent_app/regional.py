"""The parts that act in the agent's region: schedulers read, copies, the mirror."""

from collections.abc import Callable
from typing import Final

from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.agent.lookup import LocalLookup
from placement.agent.replicator.duties import Decisions
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.replicator import Replicator
from placement.agent.replicator.watched_decisions import WatchedDecisions
from placement.agent.router.router import Router
from placement.agent.starts.kubernetes_reader import KubernetesReader
from placement.agent.starts.nomad_reader import NomadReader
from placement.agent.supervision import Part
from placement.agent_app.around import Around
from placement.agent_app.settings import (
    replicator_settings,
    router_settings,
)
from placement.agent_app.starts import start_parts
from placement.core.errors import InputError
from placement.nats_settings import nats_settings

DECISIONS: Final = "placement.decisions.v1"

Reader = KubernetesReader | NomadReader


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
    )
    return [Part("replicator", part.run)]


def _queued(around: Around) -> Decisions:
    nats = around.config.nats
    if not nats.url:
        remedy = 'give nats.url too, or "grpc"'
        raise InputError("agent.replicator.source", "nats", remedy)
    settings = WorkQueueSettings(
        subjects=f"{DECISIONS}.{around.region}.>", name=f"replicator-{around.region}"
    )
    return QueueDecisions(WorkQueue(nats_settings(nats), settings), around.region)


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
    part = Router(settings, around.local, around.registries, around.report)
    return [Part("router", part.run)]


def _check_own_registry(around: Around, field: str, value: str) -> None:
    if around.region not in around.registries:
        remedy = "give agent.registry.url too: where the copies go"
        raise InputError(field, value, remedy)
