"""What the service says of calls to Prometheus: rate, errors and duration."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from placement.runtime.calls import Calls
from placement.telemetry.histograms import add_timings

CODES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""gRPC's, by their numbers."""
PACKAGE: Final = "/placement.v1."
"""How the name of each method begins, which says nothing in a label."""


def register_calls(registry: CollectorRegistry, calls: Calls) -> None:
    """Let *registry* tell how the calls of each method went."""
    registry.register(_CallsCollector(calls))


class _CallsCollector(Collector):
    """The calls of one server."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def collect(self) -> Iterator[Metric]:
        """Yield every family; most of a method's codes once calls ended with them."""
        seconds = HistogramMetricFamily(
            "placement_rpc_seconds",
            "How long calls took, by their method and how they ended.",
            labels=["method", "code"],
        )
        streams = GaugeMetricFamily(
            "placement_rpc_streams_open",
            "Streams that are being answered.",
            labels=["method"],
        )
        messages = CounterMetricFamily(
            "placement_rpc_stream_messages",
            "Messages that were sent in streams.",
            labels=["method"],
        )
        for name, calls in self._calls:
            method = name.removeprefix(PACKAGE)
            for code, took in sorted(calls.took.items()):
                add_timings(seconds, [method, CODES[code]], took)
            if calls.streams:
                streams.add_metric([method], calls.open_streams)
                messages.add_metric([method], calls.messages)
        yield seconds
        yield streams
        yield messages
