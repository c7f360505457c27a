"""What the parts of an agent say of their work to Prometheus; see docs/metrics.md."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from placement.agent.inventory.inventory import Inventory
from placement.agent.replicator.replicator import Replicator
from placement.agent.router.router import Router
from placement.client import LocalPlacements
from placement.telemetry.histograms import add_timings
from placement.telemetry.metrics import SERVED

SCANS: Final = ("complete", "incomplete", "failed")
COPIES: Final = ("completed", "failed", "untold", "called_off")
REMOVALS: Final = ("removed", "absent", "failed", "not_made")
COLLECTIONS: Final = ("collected", "failed")
SOURCES: Final = {
    "local": "local",
    "far": "streamed",
    "origin": "fell_back",
    "joined": "joined",
    "redirected": "redirected",
    "refused": "unknown",
}
"""What a metric calls the router's own counts."""
TROUBLES: Final = (
    "corrupted",
    "fill_failed",
    "image_incomplete",
    "pull_unreported",
    "spool_full",
    "unreported",
)
"""Those of the router's counts that should be zero."""


def register_inventory(registry: CollectorRegistry, inventory: Inventory) -> None:
    """Let *registry* tell how scans of the registry went."""
    registry.register(_InventoryCollector(inventory))


def register_replicator(registry: CollectorRegistry, replicator: Replicator) -> None:
    """Let *registry* tell what was copied and removed."""
    registry.register(_ReplicatorCollector(replicator))


def register_router(registry: CollectorRegistry, router: Router) -> None:
    """Let *registry* tell how the mirror answers."""
    registry.register(_RouterCollector(router))


def register_replica(registry: CollectorRegistry, local: LocalPlacements) -> None:
    """Let *registry* tell how old the local replica is."""
    registry.register(_ReplicaCollector(local))


class _InventoryCollector(Collector):
    """The scans of one registry."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        inventory = self._inventory
        found = inventory.found
        yield _by(
            "placement_scans",
            "Scans of the whole registry, by how they ended.",
            SCANS,
            inventory.outcomes,
        )
        position = found.position if found else None
        for name, text, value in (
            (
                "complete_timestamp_seconds",
                "When the last complete scan began, since 1970; 0: none is known.",
                inventory.complete_ns / 1e9,
            ),
            (
                "seconds",
                "How long the last scan took, from its last interruption on.",
                found.seconds if found else 0,
            ),
            ("pages", "Of its events.", position.page_count if position else 0),
            (
                "contents",
                "Contents that it found.",
                position.content_count if position else 0,
            ),
        ):
            yield GaugeMetricFamily(f"placement_scan_{name}", text, value=value)


class _ReplicatorCollector(Collector):
    """The copies into one region, and the removals from it."""

    def __init__(self, replicator: Replicator) -> None:
        self._replicator = replicator

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        replicator, account = self._replicator, self._replicator.account
        yield _by(
            "placement_replicator_copies",
            "Attempts to copy, by how they ended.",
            COPIES,
            account.copies,
        )
        for name, text, total in (
            ("bytes", "Bytes that came from elsewhere.", account.moved_bytes),
            ("resumed", "Bodies that broke off and went on.", account.resumed),
        ):
            yield CounterMetricFamily(f"placement_replicator_{name}", text, value=total)
        seconds = HistogramMetricFamily(
            "placement_replicator_copy_seconds", "How long copies took.", labels=[]
        )
        add_timings(seconds, [], account.took)
        yield seconds
        for name, text, count in (
            ("waiting", "Contents that wait to be copied.", replicator.waiting_count),
            ("copying", "Contents that are being copied.", replicator.flying_count),
        ):
            yield GaugeMetricFamily(f"placement_replicator_{name}", text, value=count)
        yield _by(
            "placement_evictor_removals",
            "Removals that were decided, by what came of them.",
            REMOVALS,
            replicator.removals,
        )
        yield _by(
            "placement_evictor_collections",
            "Collections of the registry's garbage, by how they ended.",
            COLLECTIONS,
            replicator.collections,
        )


class _RouterCollector(Collector):
    """The mirror of one region."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        counts, meter = self._router.counts, self._router.meter
        answers = CounterMetricFamily(
            "placement_router_answers",
            "Answers to clients, by the first digit of their status.",
            labels=["status"],
        )
        for digit, count in meter.answers.items():
            answers.add_metric([f"{digit}xx"], count)
        yield answers
        contents = CounterMetricFamily(
            "placement_router_contents",
            "Contents that were asked for, by whence they were answered.",
            labels=["source"],
        )
        for source, name in SOURCES.items():
            contents.add_metric([source], counts[name])
        yield contents
        sent = CounterMetricFamily(
            "placement_router_sent_bytes",
            "Bytes of answers, by where they came from.",
            labels=["source"],
        )
        far = min(counts["far_bytes"], meter.sent_bytes)
        sent.add_metric(["here"], meter.sent_bytes - far)
        sent.add_metric(["elsewhere"], far)
        yield sent
        first_byte = HistogramMetricFamily(
            "placement_router_first_byte_seconds",
            "From a request to the beginning of its answer.",
            labels=[],
        )
        add_timings(first_byte, [], meter.first_byte)
        yield first_byte
        troubles = CounterMetricFamily(
            "placement_router_troubles",
            "What went wrong without a client having to wait for it.",
            labels=["trouble"],
        )
        for trouble in TROUBLES:
            troubles.add_metric([trouble], counts[trouble])
        yield troubles


class _ReplicaCollector(Collector):
    """What the agent knows of the state, and for how long."""

    def __init__(self, local: LocalPlacements) -> None:
        self._local = local

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same ones."""
        basis = self._local.basis
        states = GaugeMetricFamily(
            "placement_replica_state",
            "1 for the state of the local replica, 0 for the others.",
            labels=["state"],
        )
        for state in SERVED:
            states.add_metric([state.name.lower()], state is basis.state)
        yield states
        yield GaugeMetricFamily(
            "placement_replica_staleness_seconds",
            "For how long the local replica may lack what the log stored.",
            value=basis.staleness_ns / 1e9,
        )
        yield GaugeMetricFamily(
            "placement_replica_sequence",
            "The last message that its answers rest on.",
            value=basis.sequence,
        )


def _by(
    name: str, text: str, outcomes: tuple[str, ...], counts: Mapping[str, int]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=["outcome"])
    for outcome in outcomes:
        family.add_metric([outcome], counts.get(outcome, 0))
    return family
