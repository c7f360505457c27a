"""What the service says of machines that waited for images to Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.core.tables.waits import LIMITS_SECONDS, CameFrom
from placement.core.topology import Topology
from placement.runtime.view import View
from placement.telemetry.histograms import add_counts


def register_waits(registry: CollectorRegistry, view: View, topology: Topology) -> None:
    """Let *registry* tell how long starts in each region waited."""
    registry.register(_WaitsCollector(view, topology))


class _WaitsCollector(Collector):
    """The starts that the log stored while this service ran."""

    def __init__(self, view: View, topology: Topology) -> None:
        self._view = view
        self._regions = sorted(topology.regions)

    def collect(self) -> Iterator[Metric]:
        """Yield the family, with the same series always."""
        family = HistogramMetricFamily(
            "placement_start_wait_seconds",
            "How long machines waited for their images.",
            labels=["region", "came_from"],
        )
        state = self._view.state
        for region in self._regions:
            row = state.regions.find(region.encode())
            for came_from in CameFrom:
                counted = state.indexes.waits.of(row, came_from)
                labels = [region, came_from.name.lower()]
                add_counts(family, labels, LIMITS_SECONDS, counted)
        yield family
