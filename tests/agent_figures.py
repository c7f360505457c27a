"""The registry of an agent of which every part runs, with figures that a test gives."""

from collections import Counter
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from placement.agent.replicator.account import Account
from placement.agent.router.meter import Meter
from placement.agent.serving import Serving
from placement.runtime.calls import Calls
from placement.runtime.view import ServingState
from placement.spooling import SpoolFigures
from placement.telemetry.agents import (
    register_inventory,
    register_replica,
    register_replicator,
    register_router,
)
from placement.telemetry.calls import register_calls
from placement.telemetry.spooling import (
    Delivery,
    build_agent_registry,
    register_delivery,
)
from tests.builders import START_NS


def whole_agent(
    figures: SpoolFigures,
    received: Mapping[str, int] | None = None,
    sent: Mapping[str, int] | None = None,
) -> CollectorRegistry:
    """Return a registry that tells of a spool, and of every other part."""
    registry = build_agent_registry()
    delivery = Delivery(
        figures=lambda: figures,
        received=received or {},
        by_feed={("harbor", "spooled"): 3, ("other", "refused"): 1},
        feeds=["distribution", "harbor"],
        sent=sent or {},
        success_ns=lambda: START_NS,
    )
    register_delivery(registry, delivery, lambda: START_NS)
    inventory: Any = SimpleNamespace(
        outcomes=Counter(complete=2), found=None, complete_ns=START_NS
    )
    register_inventory(registry, inventory)
    replicator: Any = SimpleNamespace(
        account=Account(),
        removals=Counter(),
        collections=Counter(),
        waiting_count=4,
        flying_count=2,
    )
    register_replicator(registry, replicator)
    counts = Counter(local=5, streamed=2, fell_back=1, far_bytes=70)
    meter = Meter(Serving())
    meter.sent_bytes = 100
    router: Any = SimpleNamespace(counts=counts, meter=meter)
    register_router(registry, router)
    calls = Calls()
    calls.method("/placement.v1.PlacementService/RankSources")
    register_calls(registry, calls)
    basis = SimpleNamespace(state=ServingState.LIVE, staleness_ns=2 * 10**9, sequence=9)
    local: Any = SimpleNamespace(basis=basis)
    register_replica(registry, local)
    return registry
