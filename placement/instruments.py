"""Builds what a service tells of itself: its metrics, and the pages that show them."""

from prometheus_client import CollectorRegistry

from placement.api.server import PlacementServer
from placement.core.topology import Topology
from placement.runtime.exchange import Exchange
from placement.runtime.figures import FigureKeeper
from placement.runtime.planner import Planner
from placement.runtime.pressure import Pressure
from placement.runtime.view import View
from placement.telemetry.admission import register_admission
from placement.telemetry.authority import AuthorityFigures, register_authority
from placement.telemetry.bootstrapping import register_bootstrapping
from placement.telemetry.calls import register_calls
from placement.telemetry.inventories import register_inventories
from placement.telemetry.metrics import build_registry
from placement.telemetry.outcomes import register_outcomes
from placement.telemetry.planning import register_planning
from placement.telemetry.refusals import register_refusals
from placement.telemetry.waits import register_waits

__all__ = ["build_registry", "measure_server", "measure_state"]


def measure_state(
    registry: CollectorRegistry,
    view: View,
    topology: Topology,
    planner: Planner | None,
    figures: FigureKeeper,
) -> None:
    """Measure what the state holds of each region of *topology*, and of decisions."""
    register_planning(registry, view, topology, planner)
    register_inventories(registry, view, topology)
    register_refusals(registry, view, topology)
    register_waits(registry, view, topology)
    register_outcomes(registry, figures, topology)


def measure_server(
    registry: CollectorRegistry,
    server: PlacementServer,
    pressure: Pressure,
    exchange: Exchange,
) -> None:
    """Measure who is let in, who is not, and who gives or takes a checkpoint."""
    register_bootstrapping(registry, exchange)
    register_admission(registry, pressure, server)
    register_calls(registry, server.calls)
    denials = server.denials
    figures = AuthorityFigures(
        denials.by_role,
        denials.cross_region,
        server.certificate_expiry,
        server.certificate_reloads,
    )
    register_authority(registry, figures)
