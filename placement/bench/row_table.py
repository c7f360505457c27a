"""The plain way to keep a state: a table of SQLite with one row per digest."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR

REPLICAS_MAX: Final = 3
CACHE_KIB: Final = 1_024 * 1_024
"""Room for all of it: with SQLite's own two megabytes it is many times slower."""
_REPLICA: Final = ("region", "announced", "complete", "created", "changed")
_NAMES: Final = (
    "size",
    "repository",
    *(f"{name}_{number}" for number in range(REPLICAS_MAX) for name in _REPLICA),
    "use_region",
    "use_pulls",
    "use_time",
)
_CREATE: Final = (
    "CREATE TABLE digest (digest BLOB PRIMARY KEY, "
    + ", ".join(f"{name} INTEGER" for name in _NAMES)
    + ") WITHOUT ROWID"
)
_INSERT: Final = f"INSERT INTO digest VALUES (?{', ?' * len(_NAMES)})"  # noqa: S608 - no input


Row = tuple[bytes | int | None, ...]


def rows_of(state: State) -> list[Row]:
    """Return what *state* holds, a row per digest, for a made state's shape."""
    replicas: dict[int, tuple[int | None, ...]] = {}
    for key, row in state.replicas.rows():
        placement, region = PAIR.unpack(key)
        _, announced, complete, _, _, created, changed = state.replicas.values(row)
        one = (region, announced, complete, created, changed)
        replicas[placement] = (*replicas.get(placement, ()), *one)
    uses: dict[int, tuple[int, int, int]] = {}
    for key, row in state.uses.rows():
        placement, region = PAIR.unpack(key)
        values = state.uses.values(row)
        uses[placement] = (region, values[cells.Use.PULLS], values[cells.Use.LAST_TIME])
    return list(_rows(state, replicas, uses))


def _rows(
    state: State,
    replicas: dict[int, tuple[int | None, ...]],
    uses: dict[int, tuple[int, int, int]],
) -> Iterator[Row]:
    nowhere = (None,) * (REPLICAS_MAX * len(_REPLICA))
    sizes = state.digests.column(cells.Digest.SIZE).tolist()
    digests = {row: key for key, row in state.digests.rows()}
    for key, placement in state.placements.rows():
        owner, digest = PAIR.unpack(key)
        here = (*replicas.get(placement, ()), *nowhere)[: len(nowhere)]
        use = uses.get(placement, (None, None, None))
        yield (digests[digest], sizes[digest], owner, *here, *use)


def written_seconds(path: Path, rows: list[Row]) -> float:
    """Return how long *rows* take to a new file at *path*: durable, and in the file.

    One transaction, whose WAL is moved into the file.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.execute(_CREATE)
        began = time.perf_counter()
        database.execute("BEGIN IMMEDIATE")
        database.executemany(_INSERT, rows)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return time.perf_counter() - began
