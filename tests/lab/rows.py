"""What was measured, as rows; and their table, with the spread of repeated runs."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TextIO

from rich.table import Table

from tests.lab.clients import Pulled
from tests.lab.images import Version

SECONDS_SHOWN_EXACT: Final = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One measured pull; or, as a *failure* row, one that some part was missing for."""

    scenario: str
    image: str
    first_or_second_version: str
    route: str
    seconds: float
    local: bool
    client: str
    region: str
    ocean_bytes: int


def row_of(  # noqa: PLR0913 - one for each field that a pull does not say
    scenario: str,
    version: Version,
    route: str,
    pulled: Pulled,
    *,
    client: str,
    region: str,
) -> Row:
    """Return the row of one pull."""
    return Row(
        scenario=scenario,
        image=version.kind,
        first_or_second_version=version.which,
        route=route,
        seconds=round(pulled.seconds, 3),
        local=pulled.local,
        client=client,
        region=region,
        ocean_bytes=pulled.ocean_bytes,
    )


def write_json(rows: Sequence[Row], file: TextIO) -> None:
    """Write every row, as a list of objects."""
    json.dump([asdict(row) for row in rows], file, indent=2)
    file.write("\n")


def table_of(title: str, rows: Iterable[Row]) -> Table:
    """Return the rows as a table: the same pull repeated is one line."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("scenario", "image", "version", "route", "client"):
        table.add_column(name)
    for name in ("seconds", "least to most", "runs", "over the ocean", "local"):
        table.add_column(name, justify="right")
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        image = (row.scenario, row.image, row.first_or_second_version)
        grouped.setdefault((*image, row.route, row.client), []).append(row)
    for key, same in grouped.items():
        seconds = [row.seconds for row in same]
        moved = statistics.median(row.ocean_bytes for row in same)
        local = sum(row.local for row in same)
        table.add_row(
            *key,
            shown(statistics.median(seconds)),
            f"{shown(min(seconds))}-{shown(max(seconds))}",
            str(len(same)),
            f"{moved / 1e6:.1f} MB",
            "yes" if local == len(same) else f"{local} of {len(same)}" if local else "",
        )
    return table


def shown(seconds: float) -> str:
    """Return seconds with as many digits as they are known to."""
    return f"{seconds:.2f}" if seconds < SECONDS_SHOWN_EXACT else f"{seconds:.1f}"
