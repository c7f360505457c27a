"""What the service says of its load to Prometheus; docs/metrics.md is the list."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.runtime.limits import REFUSALS
from placement.runtime.pressure import Pressure


class Watched(Protocol):
    """What tells how many watch."""

    @property
    def watch_count(self) -> int:
        """How many watches are open."""

    @property
    def snapshot_count(self) -> int:
        """How many of them are told a snapshot."""


def register_admission(
    registry: CollectorRegistry, pressure: Pressure, watched: Watched
) -> None:
    """Let *registry* tell how long calls wait, and how many were refused, and why."""
    registry.register(_AdmissionCollector(pressure, watched))


class _AdmissionCollector(Collector):
    """The queue of calls, and who watches."""

    def __init__(self, pressure: Pressure, watched: Watched) -> None:
        self._pressure = pressure
        self._watched = watched

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        pressure, watched = self._pressure, self._watched
        yield CounterMetricFamily(
            "placement_calls", "Calls that came.", value=pressure.entered
        )
        refused = CounterMetricFamily(
            "placement_calls_refused",
            "Calls that were refused before anything of them was done.",
            labels=["reason"],
        )
        for reason in REFUSALS:
            refused.add_metric([reason], pressure.refused[reason])
        yield refused
        yield GaugeMetricFamily(
            "placement_queue_seconds",
            "For how long calls wait for their turn.",
            value=pressure.delay_ns / 1e9,
        )
        yield GaugeMetricFamily(
            "placement_watches", "Watches that are open.", value=watched.watch_count
        )
        yield GaugeMetricFamily(
            "placement_snapshots",
            "Watches that are told a snapshot.",
            value=watched.snapshot_count,
        )
