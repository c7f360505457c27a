"""What an agent says of its spool to Prometheus; docs/metrics.md is the list."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.agent.receiver import OTHER
from placement.ports import Clock
from placement.spooling import SpoolFigures

NS_PER_SECOND = 1_000_000_000
RECEIVED = ("received", "spooled", "refused", "unspooled")
EVENTS = ("published", "rejected")
FEED_OUTCOMES = ("spooled", "refused", "unspooled")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes into one agent's spool and out of it, read whenever somebody asks."""

    figures: Callable[[], SpoolFigures]
    received: Mapping[str, int]
    """What the door was given."""
    by_feed: Mapping[tuple[str, str], int]
    """What became of it, by feed and outcome."""
    feeds: Sequence[str]
    """All feeds that there are."""
    sent: Mapping[str, int]
    """What the sender did."""
    success_ns: Callable[[], int]
    """When it last sent something; 0: not since the start."""


def register_delivery(
    registry: CollectorRegistry, delivery: Delivery, clock: Clock
) -> None:
    """Let *registry* tell how the spool is, and what goes in and out."""
    registry.register(_SpoolCollector(delivery, clock))


def build_agent_registry() -> CollectorRegistry:
    """Return a registry of our own, which tells of the process and of nothing else."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # its stub lacks types
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _SpoolCollector(Collector):
    """The spool, and what goes in and out."""

    def __init__(self, delivery: Delivery, clock: Clock) -> None:
        self._delivery = delivery
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        figures = self._delivery.figures()
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
            (
                "resent",
                "Entries that waited again, since the log lost them.",
                self._delivery.sent.get("entries_resent", 0),
            ),
        ):
            yield CounterMetricFamily(f"placement_spool_{name}", text, value=total)
        yield GaugeMetricFamily(
            "placement_spool_success_timestamp_seconds",
            "When something was last sent, since 1970; 0: not since the start.",
            value=self._delivery.success_ns() / NS_PER_SECOND,
        )
        yield from self._requests()

    def _requests(self) -> Iterator[Metric]:
        delivery = self._delivery
        requests = CounterMetricFamily(
            "placement_agent_requests",
            "What was posted, by what became of it.",
            labels=["outcome"],
        )
        for outcome in RECEIVED:
            requests.add_metric([outcome], delivery.received.get(outcome, 0))
        yield requests
        by_feed = CounterMetricFamily(
            "placement_agent_feed_requests",
            "The same, by whose words they are in.",
            labels=["feed", "outcome"],
        )
        for feed in (*sorted(delivery.feeds), OTHER):
            for outcome in FEED_OUTCOMES:
                count = delivery.by_feed.get((feed, outcome), 0)
                by_feed.add_metric([feed, outcome], count)
        yield by_feed
        events = CounterMetricFamily(
            "placement_agent_events",
            "Events, by what the log or the service did with them.",
            labels=["outcome"],
        )
        for outcome in EVENTS:
            events.add_metric([outcome], delivery.sent.get(f"events_{outcome}", 0))
        yield events
