"""A list of timed transfers, as a CSV file gives it."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.bench.places import Places
from placement.core.errors import InputError, LimitInvalidError, NumberInvalidError

COLUMNS: Final = ("source_region", "target_region", "bytes", "seconds")
TRANSFER_COUNT_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Transfer:
    """So many bytes took so many seconds; both > 0.

    *usual_seconds* is without chance, where a model knows that; else 0.
    """

    source: str
    target: str
    size_bytes: int
    seconds: float
    usual_seconds: float = 0.0


def read_transfers(path: Path, places: Places) -> list[Transfer]:
    """Return the transfers in the file, in its order; further columns are ignored.

    Raises InputError, naming line and column, for what is none; for a region without
    coordinates; and for a file that cannot be read.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InputError("--transfers", path, "name a readable CSV file") from None
    found = list(_rows(text, places))
    if not 1 <= len(found) <= TRANSFER_COUNT_MAX:
        remedy = f"give 1 to {TRANSFER_COUNT_MAX} transfers"
        raise LimitInvalidError("--transfers", len(found), remedy)
    return found


def _rows(text: str, places: Places) -> Iterator[Transfer]:
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        remedy = f"the first line names the columns {','.join(COLUMNS)}"
        raise InputError("--transfers", ",".join(reader.fieldnames or ()), remedy)
    checked: set[str] = set()
    for row in reader:
        where = f"line {reader.line_num}"
        source, target = str(row[COLUMNS[0]]), str(row[COLUMNS[1]])
        for column, code in zip(COLUMNS, (source, target), strict=False):
            if code not in checked:
                places.check(code, f"{where}, {column}")
                checked.add(code)
        size = _positive(row["bytes"], f"{where}, bytes")
        yield Transfer(
            source,
            target,
            max(1, round(size)),
            _positive(row["seconds"], f"{where}, seconds"),
        )


def _positive(text: str | None, field: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise NumberInvalidError(field, text, "give a number above 0")
    return value
