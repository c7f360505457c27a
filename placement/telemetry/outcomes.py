"""What the service says of what decisions came to, to Prometheus; see docs/metrics.md.

All of it is what a look found that ended before: see ``runtime.figures``.
"""

import math
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from placement.core.reporting.figures import Copies, Group, Outcome
from placement.core.tables.cells import StartOutcome
from placement.core.topology import Topology
from placement.runtime.figures import FigureKeeper, Figures, Scored

SET_ASIDE: Final = (
    "BYTES_UNREADABLE",
    "CONTENT_CONTRADICTED",
    "DIGEST_INVALID",
    "FACT_UNKNOWN",
    "INPUT_INVALID",
    "LIMIT_INVALID",
    "NAME_INVALID",
    "NUMBER_INVALID",
    "POLICY_INVALID",
    "REGION_INVALID",
    "REGION_LIMIT",
    "SUBJECT_FORBIDDEN",
    "SUBJECT_UNKNOWN",
    "TAG_INVALID",
    "TEXT_INVALID",
    "TIME_INVALID",
    "other",
)
BUDGETS: Final = (
    "backfill_copies_in_flight",
    "link_bytes_per_hour",
    "region_bytes_in_flight",
    "region_copies_in_flight",
)
"""Of each storage region; that of organizations is of none."""
ORGANIZATIONS: Final = "organization_bytes_per_day"
ALL: Final = "all"


def register_outcomes(
    registry: CollectorRegistry, keeper: FigureKeeper, topology: Topology
) -> None:
    """Let *registry* tell what the newest look of *keeper* found."""
    registry.register(_OutcomesCollector(keeper, topology))


class _OutcomesCollector(Collector):
    """Figures of the last seven days, and of the state as a whole."""

    def __init__(self, keeper: FigureKeeper, topology: Topology) -> None:
        self._keeper = keeper
        self._regions = sorted(topology.regions)
        self._targets = sorted(filter(topology.stores, topology.regions))

    def collect(self) -> Iterator[Metric]:
        """Yield every family, always the same series; zeros before the first look."""
        found = self._keeper.newest
        week = None if found is None else found.week
        yield _copies(Copies() if week is None else week.copies)
        yield _starts("placement_starts", "Starts by where the image was.", week)
        yield _starts(
            "placement_regret_seconds",
            "What starts waited beyond one whose image is there.",
            week,
        )
        yield _saved(week)
        yield from _costs(found)
        yield from self._estimates(found)
        yield _set_aside(found)
        yield from self._budgets(found)
        yield GaugeMetricFamily(
            "placement_figures_timestamp_seconds",
            "When these figures were looked at, since 1970; 0: not yet.",
            value=0 if found is None else found.time_ns / 1e9,
        )
        yield GaugeMetricFamily(
            "placement_figures_work_seconds",
            "What the look took of a core.",
            value=0 if found is None else found.work_seconds,
        )

    def _estimates(self, found: Figures | None) -> Iterator[Metric]:
        scored = {} if found is None else found.scored
        samples = CounterMetricFamily(
            "placement_estimates_scored",
            "Starts that told what had been expected of them.",
            labels=["region"],
        )
        held = CounterMetricFamily(
            "placement_estimates_held",
            "Of these, those that waited no longer than expected.",
            labels=["region", "quantile"],
        )
        for region in self._regions:
            score = scored.get(region, Scored())
            samples.add_metric([region], score.samples)
            held.add_metric([region, "0.5"], score.below_p50)
            held.add_metric([region, "0.9"], score.below_p90)
        yield samples
        yield held

    def _budgets(self, found: Figures | None) -> Iterator[Metric]:
        uses = () if found is None else found.budgets
        told = {(use.budget, use.region or ALL): use for use in uses}
        used = GaugeMetricFamily(
            "placement_budget_used",
            "Of each budget, what is used; copies or bytes, as its name says.",
            labels=["budget", "region"],
        )
        limit = GaugeMetricFamily(
            "placement_budget_limit",
            "How much may be used of it; 0: no limit.",
            labels=["budget", "region"],
        )
        keys = [(budget, str(each)) for budget in BUDGETS for each in self._targets]
        for key in (*keys, (ORGANIZATIONS, ALL)):
            use = told.get(key)
            used.add_metric(key, 0 if use is None else use.used)
            limit.add_metric(key, 0 if use is None else use.limit)
        yield used
        yield limit


def _copies(copies: Copies) -> Metric:
    family = GaugeMetricFamily(
        "placement_copies",
        "Copies of the last seven days, by what has come of them.",
        labels=["outcome"],
    )
    for outcome, count in (
        ("paid_off", copies.used_count),
        ("late", copies.late_count),
        ("wasted", copies.unused_count),
        ("pending", copies.undecided_count),
        ("unjudged", copies.unjudged_count),
        ("open", copies.open_count),
        ("failed", copies.failed_count),
        ("expired", copies.expired_count),
        ("cancelled", copies.cancelled_count),
        ("deferred", copies.deferred_count),
        ("withheld", copies.withheld_count),
    ):
        family.add_metric([outcome], count)
    return family


def _starts(name: str, text: str, week: Group | None) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["outcome"])
    told = {each.outcome: each for each in week.outcomes} if week else {}
    regret = name.endswith("_seconds")
    for outcome in StartOutcome:
        each = told.get(outcome, Outcome(outcome, 0, 0, 0, 0))
        value = each.beyond_local_ns / 1e9 if regret else each.start_count
        family.add_metric([outcome.name.lower()], value)
    return family


def _saved(week: Group | None) -> Metric:
    family = GaugeMetricFamily(
        "placement_saved_seconds",
        "What starts of the last seven days waited less for copies.",
        labels=["figure"],
    )
    modelled, measured, low, high = 0.0, math.nan, math.nan, math.nan
    if week is not None:
        modelled = week.copies.saved_ns / 1e9
        if week.measured.lift.measured:
            measured = week.measured.saved_seconds
            low, high = week.measured.interval_seconds
    for figure, value in (
        ("modelled", modelled),
        ("measured", measured),
        ("low", low),
        ("high", high),
    ):
        family.add_metric([figure], value)
    return family


def _costs(found: Figures | None) -> Iterator[Metric]:
    size = GaugeMetricFamily(
        "placement_copies_bytes",
        "Bytes of the copies of the last seven days.",
        labels=["part"],
    )
    cost = GaugeMetricFamily(
        "placement_copies_cost",
        "What they cost, in the currency of the price list.",
        labels=["part"],
    )
    week = None if found is None else found.week
    copies = Copies() if week is None else week.copies
    size.add_metric(["moved"], copies.moved_bytes)
    size.add_metric(["wasted"], copies.wasted_bytes)
    for part in ("transfer", "wasted", "storage"):
        cost.add_metric([part], getattr(week.costs, part) if week else 0)
    yield size
    yield cost


def _set_aside(found: Figures | None) -> Metric:
    family = GaugeMetricFamily(
        "placement_set_aside",
        "Events that cannot be folded and are remembered, by reason.",
        labels=["reason"],
    )
    counts = {} if found is None else dict(found.set_aside)
    for reason in SET_ASIDE[:-1]:
        family.add_metric([reason], counts.pop(reason, 0))
    family.add_metric([SET_ASIDE[-1]], sum(counts.values()))
    return family
