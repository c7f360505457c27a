"""A checkpoint of pages and deltas is refused when damaged, as one without is."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.core.event import Identifier
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.core.tables.restored_pages import DELTAS
from placement.core.tables.saved import SLOTS
from placement.ports import CheckpointDamagedError
from placement.runtime.checkpoint import Restored, Saver
from tests.builders import FRA, IAD, fold_in, pulled, pushed
from tests.integration.test_sqlite_damage import BYTE_DAMAGE, write
from tests.small_pages import small_pages

PUSHES = 120
SAVES = 12
REFUSED = "refused"


@pytest.fixture
async def saved(tmp_path: Path) -> AsyncIterator[tuple[Path, str]]:
    """A file with pages, deltas and slots of a state, and that state's fingerprint."""
    path = tmp_path / "checkpoint.db"
    store = SqliteCheckpointStore(path)
    saver = Saver(store, FOLD_VERSION)
    with small_pages():
        state = State()
        for number in range(PUSHES):
            fold(state, number)
        await saver.save(state, "epoch")
        for number in range(SAVES):
            fold(state, PUSHES + number)
            await saver.save(state, "epoch")
        await store.close()
        yield path, fingerprint(state)


def fold(state: State, number: int) -> None:
    """Fold a push, or a pull of what was pushed long ago."""
    event = pushed(f"layer-{number}", IAD)
    if number >= PUSHES:
        event = pulled(f"layer-{number * 37 % PUSHES}", FRA)
    fold_in(state, replace(event, event_id=Identifier(f"e-{number}")))


async def found_in(path: Path) -> str:
    """Return the fingerprint of the state at *path*, or REFUSED."""
    store = SqliteCheckpointStore(path)
    restored = Restored(FOLD_VERSION)
    try:
        await store.load(restored.begin)
    except CheckpointDamagedError:
        return REFUSED
    finally:
        await store.close()
    return fingerprint(restored.state())


def chunk_rows(path: Path, first: int, end: int) -> list[int]:
    """Return the rowids of the chunks with such numbers."""
    database = sqlite3.connect(path)
    query = "SELECT rowid FROM chunk WHERE number BETWEEN ? AND ?"
    found = [row for (row,) in database.execute(query, (first, end - 1))]
    database.close()
    return found


async def test_file_has_pages_deltas_and_slots(saved: tuple[Path, str]) -> None:
    """Else the tests below would say nothing; and it loads as it was saved."""
    path, expected = saved

    for first, end in (
        (0, DELTAS),
        (DELTAS, SLOTS),
        (SLOTS, SLOTS + DELTAS),
        (SLOTS + DELTAS, 2**62),
    ):
        assert chunk_rows(path, first, end)
    assert await found_in(path) == expected


@pytest.mark.parametrize(
    "mutations",
    [
        pytest.param(60, id="60"),
        pytest.param(
            3_000, id="3000", marks=[pytest.mark.long, pytest.mark.timeout(1_200)]
        ),
    ],
)
async def test_damaged_bytes_are_refused_or_harmless(
    saved: tuple[Path, str], mutations: int
) -> None:
    """Whatever happens to the file, it loads as it was saved or not at all."""
    path, expected = saved
    sound = path.read_bytes()
    harmless = 0

    for seed in range(mutations):
        random, image = Random(seed), bytearray(sound)
        damage = random.choice(BYTE_DAMAGE)
        damage(image, random)
        write(path, image)
        found = await found_in(path)

        assert found in {REFUSED, expected}, f"seed {seed}: {damage.__name__}"
        harmless += found == expected

    assert harmless < mutations / 2


@pytest.mark.parametrize(
    "what", ["DELETE FROM chunk", "UPDATE chunk SET number = number + 100"]
)
@pytest.mark.parametrize("first", [DELTAS, SLOTS, SLOTS + DELTAS])
async def test_lost_or_moved_chunk_is_refused(
    saved: tuple[Path, str], what: str, first: int
) -> None:
    """A delta alone may be missing as little as a page, and slots as little as rows."""
    path, _ = saved
    row = chunk_rows(path, first, first + DELTAS)[0]

    database = sqlite3.connect(path)
    database.execute(f"{what} WHERE rowid = ?", [row])
    database.commit()
    database.close()

    assert await found_in(path) == REFUSED


async def test_deltas_in_each_others_place_are_refused(
    saved: tuple[Path, str],
) -> None:
    """Each is sound in itself, but the order of changes is that of their numbers."""
    path, _ = saved
    database = sqlite3.connect(path)
    query = "SELECT rowid, table_name FROM chunk WHERE number BETWEEN ? AND ?"
    rows = list(database.execute(query, (DELTAS, SLOTS - 1)))
    one, table = rows[0]
    two = next(row for row, name in rows[1:] if name == table)

    database.execute(
        "UPDATE chunk SET (body, hash) = (SELECT body, hash FROM chunk AS other"
        " WHERE other.rowid = CASE chunk.rowid WHEN :a THEN :b ELSE :a END)"
        " WHERE rowid IN (:a, :b)",
        {"a": one, "b": two},
    )
    database.commit()
    database.close()

    assert await found_in(path) == REFUSED
