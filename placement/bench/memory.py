"""Bytes that a digest takes, with its keys, and what it costs to find one among many.

Each figure is of a process of its own, so that nothing else is in its memory: resident
memory after the rows are there, less that before. Every column is written, as if all of
it were known.
"""

import gc
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from os import sysconf
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

import numpy as np

from placement.bench.made_state import StateMaker
from placement.bench.measured import Measured
from placement.bench.settings import Settings
from placement.core.state import State
from placement.core.tables.compiled import use_compiled
from placement.core.tables.keys import SHA256_BYTES, pair_keys
from placement.core.tables.table import KeyBytes, Table
from placement.core.topology import Topology

FLAG_MAX: Final = 100
"""What fits any column, even one of flags."""
SUITE: Final = "memory"
DIGESTS: Final = 10_000_000
SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK_DIGESTS: Final = 20_000
OBJECTS: Final = 500_000
"""Of the ceiling, which takes several times as much for each."""
BATCH: Final = 500
BATCHES: Final = 400
SEED: Final = 7
_PIECE: Final = 2**17
_NS: Final = 1e9
_MS: Final = 1e3

Result = TypeVar("Result")


def measure(settings: Settings) -> list[Measured]:
    """Return bytes a row, and nanoseconds a key that is found."""
    count = settings.pick(DIGESTS, QUICK_DIGESTS)
    objects = _alone(_object_bytes, settings.pick(OBJECTS, QUICK_DIGESTS))
    digest = _alone(_table_bytes, "digests", count)
    found = [
        Measured(SUITE, "bytes_per_digest", digest, "B", objects),
        Measured(SUITE, "bytes_per_digest_as_an_object", objects, "B"),
    ]
    found += [
        Measured(SUITE, f"bytes_per_{name}", _alone(_table_bytes, table, count), "B")
        for name, table in (
            ("placement", "placements"),
            ("replica", "replicas"),
            ("use", "uses"),
        )
    ]
    whole = _alone(_state_bytes, settings.topology, count)
    found.append(Measured(SUITE, "bytes_per_digest_of_a_whole_state", whole, "B"))
    for size in settings.pick(SIZES, SIZES[:1]):
        for fast in (False, True):
            found += _told(size, _alone(_costs, size, fast), fast=fast)
    return found


def _alone(work: Callable[..., Result], *arguments: object) -> Result:
    """Return what *work* does in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# What rows take.


def _resident_bytes() -> int:
    gc.collect()
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * sysconf("SC_PAGESIZE")


def _table_bytes(name: str, count: int) -> float:
    """Return the bytes a row of one of the state's tables, full of *count* rows."""
    table = State(SEED).tables()[name]
    random = np.random.default_rng(SEED)
    table.add_many(_keys(random, 1, table))
    before = _resident_bytes()
    for first in range(0, count, _PIECE):
        rows, _ = table.add_many(_keys(random, min(_PIECE, count - first), table))
        for column in range(table.column_count):
            table.set_many(rows, column, rows % FLAG_MAX + 1)
    return (_resident_bytes() - before) / count


def _keys(random: np.random.Generator, count: int, table: Table) -> KeyBytes:
    if table.key_bytes == SHA256_BYTES:
        return random.integers(0, 256, (count, SHA256_BYTES), np.uint8)
    # Pairs of a row and a region: each key once, and next to each other.
    numbers = np.arange(len(table), len(table) + count)
    return pair_keys(numbers // 2, numbers % 2)


def _state_bytes(topology: Topology, count: int) -> float:
    """Return the bytes a digest of a state with all that is known of it."""
    maker = StateMaker(topology)
    state = maker.made(1)
    before = _resident_bytes()
    state = maker.made(count)
    return (_resident_bytes() - before) / len(state.digests)


@dataclass(slots=True)
class _Known:
    """A digest as an object; what most have nothing of is shared."""

    size: int
    media: int
    edges: int
    subject: int
    original: int
    regions: int


def _object_bytes(count: int) -> float:
    """Return the bytes a digest that is an object in a dict."""
    random = np.random.default_rng(SEED)
    known: dict[bytes, _Known] = {}
    before = _resident_bytes()
    for number in range(count):
        known[random.bytes(SHA256_BYTES)] = _Known(number + 300, 1, 0, 0, 0, number)
    return (_resident_bytes() - before) / count


# What finding costs.


@dataclass(frozen=True, slots=True)
class _Costs:
    """Of a table of digests; times in seconds."""

    find_many: list[float]
    find: float
    recent: float
    adding: list[float]
    probes_max: int
    compiled: bool


def _told(size: int, costs: _Costs, *, fast: bool) -> list[Measured]:
    if fast and not costs.compiled:
        return []
    times = [seconds * _NS / BATCH for seconds in costs.find_many]
    how = "compiled" if fast else "numpy"
    spread = (min(times), max(times))
    added = [seconds * _MS for seconds in costs.adding]
    told = [
        Measured(
            SUITE, f"find_many_{how}_{size}", median(times), "ns/key", None, spread
        ),
        Measured(
            SUITE,
            f"add_{BATCH}_{how}_{size}",
            median(added),
            "ms",
            None,
            (min(added), max(added)),
        ),
    ]
    if not fast:
        told += [
            Measured(SUITE, f"find_{size}", costs.find * _NS, "ns"),
            Measured(SUITE, f"find_again_{size}", costs.recent * _NS, "ns"),
            Measured(SUITE, f"probes_max_{size}", costs.probes_max, "lines"),
        ]
    return told


def _costs(size: int, fast: bool) -> _Costs:  # noqa: FBT001 - the only way into another process
    """Return what finding costs in a table of *size* digests.

    Processor time of this thread: others at work do not count.
    """
    compiled = fast and use_compiled()
    table = State(SEED).digests
    random = np.random.default_rng(SEED)
    kept, adding = [], []
    for _ in range(0, size, BATCH):
        keys = random.integers(0, 256, (BATCH, SHA256_BYTES), np.uint8)
        began = time.thread_time()
        table.add_many(keys)
        adding.append(time.thread_time() - began)
        if random.random() < 2 * BATCHES * BATCH / size:
            kept.append(keys)
    pool = np.concatenate(kept)
    batches = [
        np.ascontiguousarray(pool[random.integers(0, len(pool), BATCH)])
        for _ in range(BATCHES)
    ]
    many = [_took(table.find_many, batch) for batch in batches]
    singles = [batch[0].tobytes() for batch in batches]
    first = [_took(table.find, key) for key in singles]
    again = [_took(table.find, key) for key in singles]
    empty = median([_took(len, key) for key in singles])
    return _Costs(
        many,
        median(first) - empty,
        median(again) - empty,
        adding,
        table.probes_max,
        compiled,
    )


def _took(work: Callable[..., object], argument: bytes | KeyBytes) -> float:
    began = time.thread_time()
    work(argument)
    return time.thread_time() - began
