"""What the service says of refused events to Prometheus, as in docs/metrics.md."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.core.topology import Topology
from placement.runtime.view import View

OTHER: Final = "other"
WHYS: Final = (("region", True), (OTHER, False))


def register_refusals(
    registry: CollectorRegistry, view: View, topology: Topology
) -> None:
    """Let *registry* tell what was refused on each region's subjects."""
    registry.register(_RefusalsCollector(view, topology))


class _RefusalsCollector(Collector):
    """What the line that is shown has refused."""

    def __init__(self, view: View, topology: Topology) -> None:
        self._view = view
        self._regions = sorted(topology.regions)

    def collect(self) -> Iterator[Metric]:
        """Yield the family, with the same series always."""
        refused = self._view.refused
        family = CounterMetricFamily(
            "placement_events_refused",
            "Events that could not be read, by the region of their subject.",
            labels=["region", "why"],
        )
        told = 0
        for region in self._regions:
            for why, by_region in WHYS:
                count = refused.count(region, by_region=by_region)
                family.add_metric([region, why], count)
                told += count
        family.add_metric([OTHER, OTHER], refused.total - told)
        yield family
