"""An export of a whole log: how fast, in how much memory, and whether figures agree.

The program exports the log of a broker of its own, twice: a tenth of it, then all, each
in a process of its own whose peak memory is read when it ends. Then every ready query
is asked, and their figures are held against the report that the service would give of
the same log.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from placement.bench.made_use import ROUND_EVENTS, MadeUse
from placement.bench.measured import Measured
from placement.bench.settings import Settings
from placement.core.counts import DAY_NS
from placement.core.deciding.ruling import ruling_in_force
from placement.core.reporting.figures import Group, GroupBy
from placement.core.reporting.periods import Period
from placement.core.reporting.prices import Prices
from placement.core.reporting.report import Question, report
from placement.core.state import State
from placement.core.tables.cells import Calibration
from placement.core.tables.table import Row
from placement.core.topology import Topology
from placement.export.manifest import load_manifest
from placement.export.querying import answer, queries
from placement.ports import EventLog
from placement.runtime.replay import fold_log

EXPORT: Final = "export"
EVENTS: Final = 1_000_000
QUICK_EVENTS: Final = 10_000
FILLERS: Final = 16
"""So many rounds are stored side by side, each in its own order."""
PARTS: Final = 10
CLOSE: Final = 1e-9
"""Sums of floating-point numbers in another order differ by less, as a share."""
_KIB: Final = 1024
_RATE: Final = "events/s"
_MIB: Final = "MiB"


def measure(settings: Settings) -> list[Measured]:
    """Measure exporting, and asking; the ceiling is reading the log and no more."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    wanted = settings.events or settings.pick(EVENTS, QUICK_EVENTS)
    rounds = max(2, -(-wanted // ROUND_EVENTS))
    data = settings.directory("log")
    async with settings.open_log(data, synced=False) as (log, _):
        await _fill(log, MadeUse(sorted(settings.topology.regions)), rounds)
        last = (await log.status()).last_sequence
        read_rate = await _read_rate(log, last, rounds)
        part, whole = settings.scratch / "tenth", settings.scratch / "whole"
        until = last // PARTS
        part_bytes, _ = await asyncio.to_thread(_exported, data, part, until)
        peak_bytes, seconds = await asyncio.to_thread(_exported, data, whole, last)
        _, state = await fold_log(log)
    asked_s = {name: _asked_seconds(whole, name) for name in queries()}
    manifest = load_manifest(whole)
    assert manifest is not None, "the export was made"
    sizes = sum(file.bytes for file in manifest.files)
    events = rounds * ROUND_EVENTS
    figures = _figures(whole, state, settings.topology)
    differing = [name for name, one, other in figures if one != other]
    assert not differing, f"not as the report has it: {differing}"
    return [
        Measured(EXPORT, "events", events, "events"),
        Measured(EXPORT, "log_read_only", read_rate, _RATE),
        Measured(EXPORT, "exported", events / seconds, _RATE, read_rate),
        Measured(EXPORT, "peak_memory_of_a_tenth", part_bytes / _KIB**2, _MIB),
        Measured(
            EXPORT,
            "peak_memory",
            peak_bytes / _KIB**2,
            _MIB,
            part_bytes / _KIB**2,
        ),
        Measured(EXPORT, "bytes_per_event", sizes / events, "B"),
        *(
            Measured(EXPORT, f"query_{name}", value, "s")
            for name, value in asked_s.items()
        ),
        Measured(EXPORT, "figures_that_differ", len(differing), "figures"),
    ]


async def _fill(log: EventLog, use: MadeUse, rounds: int) -> None:
    numbers = iter(range(rounds))

    async def send() -> None:
        for number in numbers:
            for encoded in use.round(number):
                await log.append(*encoded)

    async with asyncio.TaskGroup() as group:
        for _ in range(FILLERS):
            group.create_task(send())


async def _read_rate(log: EventLog, last: int, rounds: int) -> float:
    """Read all of it, and look at nothing."""
    began = time.perf_counter()
    async for batch in log.read(0):
        if batch and batch[-1].sequence >= last:
            break
    return rounds * ROUND_EVENTS / (time.perf_counter() - began)


def _exported(data: Path, directory: Path, until: int) -> tuple[int, float]:
    """Return the peak memory of an export in bytes, and the seconds that it took."""
    command = [sys.executable, "-m", "placement", "export", str(directory)]
    command += ["--data-dir", str(data), "--until", str(until), "-o", "json"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - this very program
    assert process.stdout is not None, "it is a pipe"
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    assert process.returncode == 0, "what went wrong stands above"
    assert json.loads(told)["last_sequence"] == until, "all of it was exported"
    return usage.ru_maxrss * _KIB, seconds


def _asked_seconds(directory: Path, name: str) -> float:
    began = time.perf_counter()
    answer(directory, name)
    return time.perf_counter() - began


# Whether the figures are those of the report.


def _figures(
    directory: Path, state: State, topology: Topology
) -> Iterator[tuple[str, object, object]]:
    """Yield figures by name: as the queries tell them, and as the report does."""
    total = _report(state, topology)
    starts = _rows(directory, "starts_local")
    told = {each.outcome.name.lower(): each for each in total.outcomes}
    local = told["local"].start_count if "local" in told else 0
    yield "local", sum(row["local"] for row in starts), local
    regret = _rows(directory, "regret_by_miss_class")
    for row in regret:
        if row["miss"] in told:
            own = told[row["miss"]]
            yield row["miss"], row["starts"], own.start_count
    found = sum(row["regret_bytes"] for row in regret)
    yield "regret", _near(found, total.regret_bytes), total.regret_bytes
    reasons, copies = _rows(directory, "decisions_by_reason"), total.copies
    for name in ("decided", "completed", "used", "late", "unused"):
        own_count = getattr(copies, f"{name}_count")
        yield name, sum(row[name] for row in reasons), own_count
    yield "moved", sum(row["moved_bytes"] for row in reasons), copies.moved_bytes
    saved = _rows(directory, "saved_by_organization")
    modelled, own_saved = (
        sum(r["modelled_seconds"] for r in saved),
        copies.saved_ns / 1e9,
    )
    yield "modelled", _near(modelled, own_saved), own_saved
    treated = sum(row["treated"] for row in saved)
    yield "treated", treated, total.measured.lift.treated_count
    calibration = _rows(directory, "estimate_calibration")
    kept = sum(
        state.calibration.get(Row(row), Calibration.SAMPLES)
        for _, row in state.calibration.rows()
    )
    yield "samples", sum(row["samples"] for row in calibration), kept


def _near(found: float, wanted: float) -> float:
    """Return *wanted* where *found* is the same but for the order of the sum."""
    return wanted if abs(found - wanted) <= CLOSE * max(1.0, abs(wanted)) else found


def _report(state: State, topology: Topology) -> Group:
    now_ns = state.store_time_ns
    question = Question(Period(0, now_ns // DAY_NS + 1), GroupBy.WHOLE, now_ns)
    policy = ruling_in_force(state, now_ns).policy
    return report(state, topology, Prices(), policy, question).total


def _rows(directory: Path, name: str) -> list[dict[str, Any]]:
    found = answer(directory, name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]
