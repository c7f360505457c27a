"""What an agent says of its spool to Prometheus; docs/metrics.md is the list."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.ports import Clock
from placement.spooling import SpoolFigures

NS_PER_SECOND = 1_000_000_000
RECEIVED = ("received", "spooled", "refused", "unspooled")
EVENTS = ("published", "rejected")


def build_agent_registry(
    figures: Callable[[], SpoolFigures],
    received: Mapping[str, int],
    sent: Mapping[str, int],
    clock: Clock,
) -> CollectorRegistry:
    """Return a registry of our own that reads all of this whenever it is asked.

    *received* counts what the door was given, *sent* what the sender did.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # its stub lacks types
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SpoolCollector(figures, received, sent, clock))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _SpoolCollector(Collector):
    """The spool, and what goes in and out."""

    def __init__(
        self,
        figures: Callable[[], SpoolFigures],
        received: Mapping[str, int],
        sent: Mapping[str, int],
        clock: Clock,
    ) -> None:
        self._figures = figures
        self._received = received
        self._sent = sent
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        figures = self._figures()
        oldest_ns = figures.oldest_waiting_ns
        age_ns = 0 if oldest_ns is None else max(0, self._clock() - oldest_ns)
        for name, text, value in (
            ("waiting", "Entries that wait to be sent.", figures.waiting_count),
            ("waiting_bytes", "The bytes of their bodies.", figures.waiting_bytes),
            (
                "oldest_waiting_seconds",
                "For how long the oldest of them waits; 0: none does.",
                age_ns / NS_PER_SECOND,
            ),
            ("kept", "Entries that were sent and are kept.", figures.kept_count),
            ("kept_bytes", "The bytes of their bodies.", figures.kept_bytes),
        ):
            yield GaugeMetricFamily(f"placement_spool_{name}", text, value=value)
        for name, text, total in (
            ("sent", "Entries that were sent, ever.", figures.sent_count),
            ("set_aside", "What can never be sent, ever.", figures.set_aside_count),
        ):
            yield CounterMetricFamily(f"placement_spool_{name}", text, value=total)
        requests = CounterMetricFamily(
            "placement_agent_requests",
            "What was posted, by what became of it.",
            labels=["outcome"],
        )
        for outcome in RECEIVED:
            requests.add_metric([outcome], self._received.get(outcome, 0))
        yield requests
        events = CounterMetricFamily(
            "placement_agent_events",
            "Events, by what the log or the service did with them.",
            labels=["outcome"],
        )
        for outcome in EVENTS:
            events.add_metric([outcome], self._sent.get(f"events_{outcome}", 0))
        yield events
