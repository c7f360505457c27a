"""What must hold, beside what is measured: each a sentence, a figure, and a verdict."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table

from tests.lab.baselines import LOCAL, ORIGIN
from tests.lab.rows import Row

LOCAL_TIMES: Final = 1.5
ORIGIN_TIMES: Final = 8.0
FORESEEN_SECONDS: Final = 30
PREDICTED: Final = "ours, predicted"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, what was seen of it, and whether it was kept."""

    promise: str
    seen: str
    kept: bool


def ratios(rows: Sequence[Row]) -> list[Check]:
    """Return what the figures come to, of those that were measured."""
    checks = []
    for image in dict.fromkeys(row.image for row in rows):
        second = [
            row
            for row in rows
            if row.image == image and row.first_or_second_version == "second"
        ]
        local = _median(second, LOCAL)
        predicted = _median(second, PREDICTED, f"{FORESEEN_SECONDS} s after its push")
        origin = _median(second, ORIGIN)
        if local is None or origin is None:
            continue
        promise = (
            f"{image}: the origin takes {ORIGIN_TIMES:.0f} times a local pull or more"
        )
        seen = f"{origin / local:.1f} times"
        checks.append(Check(promise, seen, origin >= ORIGIN_TIMES * local))
        if predicted is not None:
            promise = f"{image}: foreseen, {LOCAL_TIMES} times a local pull or less"
            seen = f"{predicted / local:.2f} times"
            checks.append(Check(promise, seen, predicted <= LOCAL_TIMES * local))
    return checks


def _median(rows: Sequence[Row], route: str, scenario: str = "") -> float | None:
    """Return the median seconds of the client that pulled most often."""
    found = [
        row
        for row in rows
        if row.route == route and (not scenario or row.scenario == scenario)
    ]
    seconds = [row.seconds for row in found if row.client == found[0].client]
    return statistics.median(seconds) if seconds else None


def table_of_checks(checks: Sequence[Check]) -> Table:
    """Return the checks as a table."""
    table = Table(title="What must hold", title_justify="left", title_style="bold")
    table.add_column("promise")
    table.add_column("seen")
    table.add_column("kept", justify="right")
    for check in checks:
        kept = "yes" if check.kept else "[red]no[/red]"
        table.add_row(check.promise, check.seen, kept)
    return table
