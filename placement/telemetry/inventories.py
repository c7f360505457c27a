"""What the service says of inventories to Prometheus; docs/metrics.md is the list."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.core.tables import cells
from placement.core.tables.table import ABSENT
from placement.core.topology import Topology
from placement.runtime.view import View

NS_PER_SECOND: Final = 1_000_000_000


def register_inventories(
    registry: CollectorRegistry, view: View, topology: Topology
) -> None:
    """Let *registry* tell when each storage region was last inventoried."""
    registry.register(_InventoryCollector(view, topology))


class _InventoryCollector(Collector):
    """The complete inventories in the state."""

    def __init__(self, view: View, topology: Topology) -> None:
        self._view = view
        self._regions = sorted(filter(topology.stores, topology.regions))

    def collect(self) -> Iterator[Metric]:
        """Yield the one family, with every storage region."""
        family = GaugeMetricFamily(
            "placement_inventory_timestamp_seconds",
            "When a region's last complete inventory began, since 1970; 0: never.",
            labels=["region"],
        )
        regions = self._view.state.regions
        for region in self._regions:
            row = regions.find(region.encode())
            taken_ns = 0
            if row != ABSENT:
                taken_ns = regions.get(row, cells.Region.INVENTORY_TIME)
            family.add_metric([region], taken_ns / NS_PER_SECOND)
        yield family
