"""What the service says of its callers and certificates to Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

RELOAD_OUTCOMES: Final = ("reloaded", "failed")


@dataclass(frozen=True, slots=True)
class AuthorityFigures:
    """Where figures are read whenever somebody asks; each label is a closed list."""

    denied: Mapping[tuple[str, str], int]
    """Calls that were denied, by the caller's role and the reason."""
    cross_region: Mapping[str, int]
    """Calls that spoke of another region than the caller's, by that one."""
    expiry_seconds: Callable[[], Mapping[str, int]]
    """When certificates run out, by what they are for; Unix seconds."""
    reloads: Callable[[], Mapping[str, int]]
    """How often new certificates were taken up, or could not be."""


def register_authority(registry: CollectorRegistry, figures: AuthorityFigures) -> None:
    """Let *registry* tell who was denied what, and until when certificates hold."""
    registry.register(_AuthorityCollector(figures))


class _AuthorityCollector(Collector):
    """Denials and certificates of one server."""

    def __init__(self, figures: AuthorityFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        figures = self._figures
        denied = CounterMetricFamily(
            "placement_calls_denied",
            "Calls that the caller's certificate does not allow.",
            labels=["role", "reason"],
        )
        for (role, reason), count in sorted(figures.denied.items()):
            denied.add_metric([role, reason], count)
        yield denied
        cross = CounterMetricFamily(
            "placement_cross_region_denied",
            "Calls denied because they spoke of another region than the caller's.",
            labels=["region"],
        )
        for region, count in sorted(figures.cross_region.items()):
            cross.add_metric([region], count)
        yield cross
        expiry = GaugeMetricFamily(
            "placement_certificate_expiry_timestamp_seconds",
            "When the first certificate of each file in use runs out.",
            labels=["role"],
        )
        for role, seconds in sorted(figures.expiry_seconds().items()):
            expiry.add_metric([role], seconds)
        yield expiry
        reloads = CounterMetricFamily(
            "placement_certificate_reloads",
            "New certificate files, by what became of them.",
            labels=["outcome"],
        )
        found = figures.reloads()
        for outcome in RELOAD_OUTCOMES:
            reloads.add_metric([outcome], found.get(outcome, 0))
        yield reloads
