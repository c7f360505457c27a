"""What is taken from peers and given to them, for Prometheus."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.runtime.bootstrap import Bootstrap
from placement.runtime.exchange import Exchange
from placement.runtime.sharing import Sharing

BOOTSTRAP_OUTCOMES: Final = ("adopted", "refused", "broken", "gave_up")
STREAM_OUTCOMES: Final = ("whole", "broken", "busy", "unshared")


def register_bootstrapping(registry: CollectorRegistry, exchange: Exchange) -> None:
    """Let *registry* read both directions whenever it is asked."""
    bootstrap, sharing = exchange.bootstrap, exchange.sharing
    assert bootstrap is not None and sharing is not None, "a service has both"  # noqa: PT018 - one fact
    registry.register(_BootstrapCollector(bootstrap, sharing))


class _BootstrapCollector(Collector):
    """Always the same families, of which most stay at zero."""

    def __init__(self, bootstrap: Bootstrap, sharing: Sharing) -> None:
        self._bootstrap = bootstrap
        self._sharing = sharing

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        received = self._bootstrap.received
        yield GaugeMetricFamily(
            "placement_bootstrap_running",
            "1 while a checkpoint is taken over from a peer, else 0.",
            value=received is not None,
        )
        yield GaugeMetricFamily(
            "placement_bootstrap_expected_bytes",
            "How large the checkpoint is that is being taken over; 0: none.",
            value=0 if received is None else received.total_bytes,
        )
        yield CounterMetricFamily(
            "placement_bootstrap_received_bytes",
            "Bytes of checkpoints that this process received and kept.",
            value=self._bootstrap.received_bytes,
        )
        outcomes = CounterMetricFamily(
            "placement_bootstraps",
            "Peers that were asked for a checkpoint, by what came of it.",
            labels=["outcome"],
        )
        for outcome in BOOTSTRAP_OUTCOMES:
            outcomes.add_metric([outcome], self._bootstrap.counts[outcome])
        yield outcomes
        yield from self._given()

    def _given(self) -> Iterator[Metric]:
        sharing = self._sharing
        yield GaugeMetricFamily(
            "placement_checkpoint_readers",
            "How many services read this one's checkpoint now.",
            value=sharing.readers,
        )
        yield CounterMetricFamily(
            "placement_checkpoint_sent_bytes",
            "Bytes of checkpoints that were sent to other services.",
            value=sharing.counts["sent_bytes"],
        )
        streams = CounterMetricFamily(
            "placement_checkpoint_streams",
            "Streams of the checkpoint to other services, by how they ended.",
            labels=["outcome"],
        )
        for outcome in STREAM_OUTCOMES:
            streams.add_metric([outcome], sharing.counts[outcome])
        yield streams
