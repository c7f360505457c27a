"""What must hold, beside what is measured: each a sentence, a figure, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, what was seen of it, and whether it was kept."""

    promise: str
    seen: str
    kept: bool


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
