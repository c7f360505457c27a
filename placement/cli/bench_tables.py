"""The figures of ``placement bench estimates`` as tables for people."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from placement.bench.captured import LeftOut
from placement.bench.estimates import LEARNED
from placement.bench.predictors import AFFINE, BASELINES, PRIOR
from placement.bench.report import Report
from placement.cli.output import size, table

NAMES: Final = {
    AFFINE: "placement (affine, learned)",
    "throughput_average": "average of throughputs",
    "throughput_last": "last throughput",
    "latency_average": "average of seconds",
    PRIOR: "round trip alone (nothing learned)",
}


def scores(report: Report, source: str) -> list[RenderableType]:
    """Return the predictors side by side, and the estimator's calibration."""
    lead = (
        f"{report.transfer_count} transfers over {report.path_count} paths ({source});"
        f" {LEARNED} of each path learned, the others predicted"
    )
    rows = []
    for name in (AFFINE, *BASELINES):
        errors, regret = report.errors[name], report.regrets.get(name)
        rows.append(
            (
                NAMES[name],
                _percent(errors.median),
                _percent(errors.p90),
                _percent(regret.mean) if regret else "-",
                _percent(regret.p95) if regret else "-",
            )
        )
    columns = (
        *("expected seconds by", "median error>", "p90 error>"),
        *("regret of source, mean>", "p95>"),
    )
    return [Text(lead), Text(), table(columns, rows), Text(), _calibration(report)]


def _calibration(report: Report) -> RenderableType:
    columns = ("learned of a path", "below p50>", "below p90>", "median error>")
    rows = [
        (
            str(learned),
            _percent(found.below_p50),
            _percent(found.below_p90),
            _percent(found.median_error),
        )
        for learned, found in report.calibrations.items()
    ]
    return table(columns, rows, "Observed durations below the expected ones")


def jitters(reports: Mapping[float, Report]) -> RenderableType:
    """Return how the figures change with the jitter of the transfers."""
    columns = (
        *("jitter (sigma)", "median error>", "p90 error>"),
        *("below p50>", "below p90>"),
    )
    rows = []
    for sigma, report in reports.items():
        errors, found = report.errors[AFFINE], report.calibrations[LEARNED]
        shares = (errors.median, errors.p90, found.below_p50, found.below_p90)
        rows.append((f"{sigma:g}", *map(_percent, shares)))
    title = f"\nThe same with other jitter, after {LEARNED} transfers"
    return table(columns, rows, title)


def captured(
    left_out: Sequence[LeftOut], told: Mapping[str, float | int], *, whole: bool
) -> list[RenderableType]:
    """Return what the others of a route said of each large transfer, or each size."""
    columns = (
        *("route", "bytes>", "times>", "observed s>", "expected p50 s>"),
        *("p90 s>", "round trip alone s>", "error>"),
    )
    groups: defaultdict[tuple[str, str, int, int], list[LeftOut]] = defaultdict(list)
    for number, one in enumerate(left_out):
        key = (one.source, one.target, one.size_bytes, number if whole else 0)
        groups[key].append(one)
    rows = []
    for key in groups if whole else sorted(groups):
        group = groups[key]
        one = group[0]
        figures = (
            median(x.observed for x in group),
            median(x.p50 for x in group),
            median(x.p90 for x in group),
            median(x.cold for x in group),
        )
        route = f"{one.source} -> {one.target}"
        seconds = (f"{value:.2f}" for value in figures)
        error = _percent(median(x.error for x in group))
        rows.append((route, size(one.size_bytes), str(len(group)), *seconds, error))
    title = "\nLarge blobs of a captured registry, each expected from the others"
    lead = (
        f"median error {_percent(told['captured_median_error'])}, round trip alone "
        f"{_percent(told['captured_prior_median_error'])}; below p50 "
        f"{_percent(told['captured_p50_coverage'])}, below p90 "
        f"{_percent(told['captured_p90_coverage'])}"
    )
    return [table(columns, rows, title), Text(lead)]


def ignored(reasons: Counter[str]) -> RenderableType:
    """Return why pulls were no timed transfers of a route, in a line."""
    counted = ", ".join(f"{name} {count}" for name, count in sorted(reasons.items()))
    return Text(f"left out: {counted or 'nothing'}", style="dim")


def _percent(part: float) -> str:
    return f"{part:.1%}"
