"""Histograms for Prometheus, of what was counted in buckets elsewhere."""

from collections.abc import Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from placement.timings import Timings


def add_timings(
    family: HistogramMetricFamily, labels: Sequence[str], timings: Timings
) -> None:
    """Add what *timings* counted to *family*."""
    add_counts(
        family, labels, timings.limits_seconds, (timings.counts, timings.seconds)
    )


def add_counts(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    limits_seconds: Sequence[float],
    counted: tuple[Sequence[int], float],
) -> None:
    """Add what was *counted*: how many took at most each limit, then all; seconds."""
    counts, seconds = counted
    names = [*map(floatToGoString, limits_seconds), "+Inf"]
    family.add_metric(labels, list(zip(names, counts, strict=True)), seconds)
