"""What the service says of its decisions to Prometheus; docs/metrics.md is the list."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.core.tables.cells import Decision, DecisionStatus
from placement.core.tables.table import ABSENT
from placement.core.topology import Topology
from placement.runtime.planner import Planner, PlannerCounts
from placement.runtime.view import View


def register_planning(
    registry: CollectorRegistry,
    view: View,
    topology: Topology,
    planner: Planner | None,
) -> None:
    """Let *registry* tell what was decided, and what *planner* does about it.

    Without a planner its figures are 0: others decide.
    """
    registry.register(_PlanningCollector(view, topology, planner))


class _PlanningCollector(Collector):
    """The decisions in the state, and the planner of this service."""

    def __init__(self, view: View, topology: Topology, planner: Planner | None) -> None:
        self._view = view
        self._regions = sorted(filter(topology.stores, topology.regions))
        self._planner = planner

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        yield self._by_status()
        yield self._open()
        planner = self._planner
        counts = PlannerCounts() if planner is None else planner.counts
        for name, text, value in (
            ("rounds", "Rounds of this service's planner.", counts.rounds),
            ("considered", "Contents that it looked at.", counts.considered),
            ("decided", "Decisions that it stored, closings too.", counts.decided),
            ("refused", "Rounds in which others had decided before.", counts.refused),
        ):
            yield CounterMetricFamily(f"placement_planner_{name}", text, value=value)
        yield GaugeMetricFamily(
            "placement_planner_put_off",
            "What waits for a budget, or until copies may be made again.",
            value=0 if planner is None else planner.put_off_count,
        )

    def _by_status(self) -> Metric:
        family = GaugeMetricFamily(
            "placement_decisions",
            "Decisions that the state remembers, by how far they have come.",
            labels=["status"],
        )
        found = self._view.state.decisions.tally(Decision.STATUS)
        for status in DecisionStatus:
            family.add_metric([status.name.lower()], found[status])
        return family

    def _open(self) -> Metric:
        family = GaugeMetricFamily(
            "placement_decisions_open",
            "Copies and removals that are to be carried out, by region.",
            labels=["region"],
        )
        state = self._view.state
        index = state.indexes.decisions
        for region in self._regions:
            row = state.regions.find(region.encode())
            count = 0
            if row != ABSENT:
                count = len(index.copies_into(row)) + len(index.removals_from(row))
            family.add_metric([region], count)
        return family
