"""What questions about the past cost, for Prometheus."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.runtime.past import Past

FOLD_OUTCOMES: Final = ("whole", "failed")
CHECKPOINT_OUTCOMES: Final = ("loaded", "damaged")


def register_past(registry: CollectorRegistry, past: Past) -> None:
    """Let *registry* read *past* whenever it is asked."""
    registry.register(_PastCollector(past))


class _PastCollector(Collector):
    """Always the same families."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        past, counts = self._past, self._past.counts
        yield GaugeMetricFamily(
            "placement_past_states",
            "States of the past in memory, each as large as the live one.",
            value=past.states.count,
        )
        yield GaugeMetricFamily(
            "placement_past_folding",
            "States of the past that are being folded, or wait for their turn.",
            value=len(past.states.waiting),
        )
        folds = CounterMetricFamily(
            "placement_past_folds",
            "Folds of a state of the past, by what came of them.",
            labels=["outcome"],
        )
        for outcome in FOLD_OUTCOMES:
            folds.add_metric([outcome], counts[outcome])
        yield folds
        yield CounterMetricFamily(
            "placement_past_found",
            "Questions about the past whose state was there, or on its way.",
            value=counts["found"],
        )
        yield CounterMetricFamily(
            "placement_past_messages",
            "Messages that were folded for states of the past.",
            value=counts["messages"],
        )
        yield CounterMetricFamily(
            "placement_past_fold_seconds",
            "How long those folds took that became whole, pauses included.",
            value=past.seconds,
        )
        checkpoints = CounterMetricFamily(
            "placement_past_checkpoints",
            "Older checkpoints that folds began from, or found damaged.",
            labels=["outcome"],
        )
        for outcome in CHECKPOINT_OUTCOMES:
            checkpoints.add_metric([outcome], counts[outcome])
        yield checkpoints
