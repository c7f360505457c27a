"""From deploys to all machine starts: replicas, workers, and what cron starts.

Read from ``start_config_DATE.csv`` beside a history. In the six months that end on that
date, each deploy starts every replica and worker of the apps that run its image, one
machine if none is known; and each schedule starts one machine of the version that is
then current in its environment, if there is one.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Final

from placement.core.errors import InputError, NumberInvalidError
from placement.core.oci import Repository
from placement.simulation.cron import Schedule, parse_schedule
from placement.simulation.names import repository_of
from placement.simulation.tables import table_rows
from placement.simulation.trace import Kind, Trace, TraceRow

COLUMNS: Final = ("env", "image", "replicas", "workers", "cron_schedules")
PATTERN: Final = "start_config_*.csv"
MONTH_COUNT: Final = 6
MACHINE_COUNT_MAX: Final = 10_000
_Pair = tuple[str, Repository]
"""An environment and the repository of an image."""


@dataclass(frozen=True, slots=True)
class StartConfig:
    """How many machines a deploy starts, and what starts at which times."""

    first_s: int
    end_s: int
    machine_counts: dict[_Pair, int]
    schedules: tuple[tuple[_Pair, Schedule], ...]


@dataclass(frozen=True, slots=True)
class Expanded:
    """All starts, and how many of those from *first_s* on are of which cause."""

    trace: Trace
    first_s: int
    end_s: int
    deploy_count: int
    cron_count: int


def find_start_config(folder: Path) -> Path:
    """Return the newest file of its kind in *folder*; raises InputError without one."""
    found = sorted(folder.glob(PATTERN))
    if not found:
        remedy = f"name a folder that holds {PATTERN}, or leave --expand out"
        raise InputError("--expand", folder, remedy)
    return found[-1]


def read_start_config(path: Path, trace: str) -> StartConfig:
    """Return what the file at *path* says of the images of *trace*.

    Raises InputError, naming line, field, value and remedy.
    """
    first_s, end_s = period_of(path)
    counts: Counter[_Pair] = Counter()
    schedules: list[tuple[_Pair, Schedule]] = []
    for where, cells in table_rows(path, COLUMNS):
        region, image, replicas, workers, cron = cells
        pair = (region, repository_of(trace, image, f"{where}, image"))
        counts[pair] += _count(replicas, f"{where}, replicas")
        counts[pair] += _count(workers, f"{where}, workers")
        for text in filter(None, map(str.strip, cron.split(";"))):
            schedule = parse_schedule(text, f"{where}, cron_schedules")
            schedules.append((pair, schedule))
    return StartConfig(first_s, end_s, dict(counts), tuple(schedules))


def period_of(path: Path) -> tuple[int, int]:
    """Return the six months up to and without the date in the file's name, unix time.

    They begin with a month: those of 2025-06-30 with 2025-01-01. Raises InputError.
    """
    try:
        end = date.fromisoformat(path.stem.rpartition("_")[2])
    except ValueError:
        remedy = f"name it {PATTERN.replace('*', 'YYYY-MM-DD')}"
        raise InputError(str(path), path.name, remedy) from None
    months = end.year * 12 + end.month - MONTH_COUNT
    first = date(months // 12, months % 12 + 1, 1)
    return _midnight_s(first), _midnight_s(end)


def expand(trace: Trace, config: StartConfig) -> Expanded:
    """Return the rows of *trace* before the period, and all starts within it."""
    before = [row for row in trace.rows if row.time_s < config.first_s]
    within = [row for row in trace.rows if config.first_s <= row.time_s < config.end_s]
    deployed = [row for row in within for _ in range(_machine_count(row, config))]
    started = sorted(_cron_starts([*before, *within], config), key=_by_time)
    rows = (*before, *merge(deployed, started, key=_by_time))
    return Expanded(
        Trace(rows), config.first_s, config.end_s, len(deployed), len(started)
    )


def _machine_count(row: TraceRow, config: StartConfig) -> int:
    if row.kind is Kind.REMOVE:
        return 1
    return max(1, config.machine_counts.get((row.region, row.repository), 1))


def _cron_starts(rows: list[TraceRow], config: StartConfig) -> Iterator[TraceRow]:
    versions: defaultdict[_Pair, list[TraceRow]] = defaultdict(list)
    for row in rows:
        versions[row.region, row.repository].append(row)
    for pair, schedule in config.schedules:
        history = versions.get(pair, [])
        times_s = [row.time_s for row in history]
        for time_s in schedule.times_s(config.first_s, config.end_s):
            place = bisect_right(times_s, time_s)
            if place and (current := history[place - 1]).kind is Kind.START:
                yield TraceRow(time_s, *pair, current.tag, Kind.START)


_by_time: Final = attrgetter("time_s")


def _count(text: str, field: str) -> int:
    digits = text.strip() or "0"
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5):  # noqa: PLR2004 - more is out of range
        raise NumberInvalidError(field, text, f"give 0 to {MACHINE_COUNT_MAX}")
    if int(digits) > MACHINE_COUNT_MAX:
        raise NumberInvalidError(field, text, f"give 0 to {MACHINE_COUNT_MAX}")
    return int(digits)


def _midnight_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
