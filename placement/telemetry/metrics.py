"""What the service says of itself to Prometheus; docs/metrics.md is the list.

Every figure is read from memory when it is asked for, so the log, the disk and all
peers may be gone. Every label's values are a closed list: no event can add a series.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.core.fold import FOLD_VERSION
from placement.runtime.view import ServingState, View

NS_PER_SECOND: Final = 1_000_000_000
SERVED: Final = tuple(each for each in ServingState if each is not ServingState.PAST)
"""What a service may be in; PAST is of single answers."""
EVENT_OUTCOMES: Final = ("folded", "duplicate", "set_aside")
COMPARISON_OUTCOMES: Final = ("compared", "divergent")
COPY_OUTCOMES: Final = ("made", "failed", "fallen_back_to")


def build_registry(
    view: View, copy_counts: Mapping[str, int] | None = None
) -> CollectorRegistry:
    """Return a registry of our own that reads *view* whenever it is asked.

    *copy_counts* says how often older checkpoints were made, failed, and were fallen
    back to.
    """
    # Else each counter brings one more series, which nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # its stub lacks types
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ViewCollector(view, copy_counts or {}))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _ViewCollector(Collector):
    """The state, and how far it may be trusted."""

    def __init__(self, view: View, copy_counts: Mapping[str, int]) -> None:
        self._view = view
        self._copy_counts = copy_counts

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        yield _build()
        yield from self._serving()
        yield from self._folding()
        yield from self._compared()
        yield _by_outcome(
            "placement_checkpoint_copies",
            "Older checkpoints, by what became of them.",
            COPY_OUTCOMES,
            self._copy_counts,
        )

    def _serving(self) -> Iterator[Metric]:
        view = self._view
        now = view.serving_state()
        states = GaugeMetricFamily(
            "placement_serving_state",
            "1 for the state that every answer carries, 0 for the others.",
            labels=["state"],
        )
        for state in SERVED:
            states.add_metric([state.name.lower()], state is now)
        yield states
        yield _gauge(
            "placement_staleness_seconds",
            "For how long the state may lack what was stored in the log.",
            view.staleness_ns() / NS_PER_SECOND,
        )
        yield _gauge(
            "placement_fold_lag_seconds",
            "How old the last message is that was folded, while the log has more.",
            view.lag_ns() / NS_PER_SECOND,
        )
        yield _gauge(
            "placement_state_generation",
            "How often another state was put in place of the one before.",
            view.generation,
        )

    def _compared(self) -> Iterator[Metric]:
        witness = self._view.witness
        yield _by_outcome(
            "placement_comparisons",
            "Comparisons with other services' states: made, and those that differed.",
            COMPARISON_OUTCOMES,
            witness.counts if witness else {},
        )
        found = witness.divergence if witness else None
        yield _gauge(
            "placement_divergence_found",
            "1 once this state differed from another service's, since the start.",
            found is not None,
        )
        yield _gauge(
            "placement_divergence_sequence",
            "The message at which it last did; 0: never.",
            found.sequence if found else 0,
        )

    def _folding(self) -> Iterator[Metric]:
        view = self._view
        yield _gauge(
            "placement_fold_sequence",
            "The last message that answers rest on.",
            view.state.sequence,
        )
        yield _gauge(
            "placement_log_end_sequence",
            "The last message of the log when it was last heard; 0: never heard.",
            view.last_sequence or 0,
        )
        yield _gauge(
            "placement_rebuild_running",
            "1 while the log is folded again beside the state that answers, else 0.",
            bool(view.rebuilding),
        )
        yield _gauge(
            "placement_rebuild_sequence",
            "Up to which message it is folded again; 0: no rebuild runs.",
            view.rebuilt_sequence if view.rebuilding else 0,
        )
        events = CounterMetricFamily(
            "placement_events",
            "Events in the state, by what the fold did with them.",
            labels=["outcome"],
        )
        for outcome in EVENT_OUTCOMES:
            events.add_metric([outcome], view.state.count(outcome))
        yield events
        yield CounterMetricFamily(
            "placement_events_late",
            "Events folded that were too old to count as demand.",
            value=view.state.count("late"),
        )
        rows = GaugeMetricFamily(
            "placement_state_rows",
            "Rows of each table of the state.",
            labels=["table"],
        )
        for name, table in view.state.tables().items():
            rows.add_metric([name], len(table))
        yield rows


def _by_outcome(
    name: str, text: str, outcomes: tuple[str, ...], counts: Mapping[str, int]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=["outcome"])
    for outcome in outcomes:
        family.add_metric([outcome], counts.get(outcome, 0))
    return family


def _build() -> Metric:
    family = GaugeMetricFamily(
        "placement_build_info",
        "Always 1; its labels say which version runs and by which rules it folds.",
        labels=["version", "fold_version"],
    )
    family.add_metric([version("placement"), str(FOLD_VERSION)], 1)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
