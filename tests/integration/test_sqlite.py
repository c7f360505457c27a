"""The SQLite store's own manners: foreign files, discards, readers, failures midway."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.ports import (
    CheckpointDamagedError,
    CheckpointUnwritableError,
    Chunk,
    Rest,
)
from tests.integration.checkpoints import header, is_generation, made, save
from tests.loaded import loaded

LARGE = [Chunk("large", number, bytes([number]) * 65_536) for number in range(64)]


async def test_full_database_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up: SQLite refuses to grow the file, midway in a save."""
    path = tmp_path / "checkpoint.db"
    await made(path, 5)
    store = SqliteCheckpointStore(path)
    monkeypatch.setattr(
        "placement.adapters.sqlite.store._PRAGMAS", "PRAGMA max_page_count = 40;"
    )

    with pytest.raises(CheckpointUnwritableError, match="full"):
        await store.save(header(6), LARGE)
    assert is_generation(await loaded(store), 5)

    monkeypatch.undo()
    await store.close()
    await save(store, 6)
    assert is_generation(await loaded(store), 6)
    await store.close()


async def test_failure_inside_the_transaction_leaves_the_old(tmp_path: Path) -> None:
    """A bug's exception comes out as it is, and rolls back what was written."""
    path = tmp_path / "checkpoint.db"
    await made(path, 5)
    store = SqliteCheckpointStore(path)

    with pytest.raises(OverflowError):
        await store.save(header(2**63), LARGE)

    assert is_generation(await loaded(store), 5)
    await store.close()


@pytest.mark.parametrize("rest", [None, asyncio.sleep])
async def test_cancelled_save_is_whole_or_not_at_all(
    tmp_path: Path, rest: Rest | None
) -> None:
    """Cancelled at any step, and any rest, the store goes on from what it holds."""
    store = SqliteCheckpointStore(tmp_path / "checkpoint.db", lambda: rest)
    generation = 0

    for delay_s in (step / 1_000 for step in range(40)):
        task = asyncio.create_task(save(store, generation + 1))
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.wait([task])
        found = await loaded(store)
        saved = found.header.sequence if found else 0
        assert saved in {generation, generation + 1}
        assert found is None or is_generation(found, saved)
        generation = saved

    assert generation > 0
    await store.close()


def foreign(path: Path, kind: str) -> None:
    """Make a file that is none of ours at *path*."""
    if kind == "text":
        path.write_text("notes " * 100)
    elif kind == "empty":
        path.touch()
    else:
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE note (text TEXT)")
        if kind == "newer":
            database.execute("PRAGMA application_id = 0x504C4D54")
            database.execute("PRAGMA user_version = 3")
        database.commit()
        database.close()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text", "no SQLite database"),
        ("empty", "no SQLite database"),
        ("database", "another program"),
        ("newer", "format 3"),
    ],
)
async def test_foreign_file_is_never_overwritten(
    tmp_path: Path, kind: str, said: str
) -> None:
    """What is not ours is refused, byte for byte kept, and put aside on request."""
    path = tmp_path / "checkpoint.db"
    foreign(path, kind)
    before = path.read_bytes()
    store = SqliteCheckpointStore(path)

    with pytest.raises(CheckpointDamagedError, match=said):
        await loaded(store)
    with pytest.raises(CheckpointDamagedError, match=said):
        await save(store, 1)
    assert path.read_bytes() == before
    await store.discard("not ours")

    assert path.with_name("checkpoint.db.damaged-1").read_bytes() == before
    await save(store, 1)
    assert is_generation(await loaded(store), 1)
    await store.close()


def names(directory: Path) -> list[str]:
    """Return the names of all files in *directory*."""
    return sorted(each.name for each in directory.iterdir())


async def test_discarded_files_are_kept_with_their_reason(tmp_path: Path) -> None:
    """People can look at the last three; SQLite reads them with their WAL."""
    path = tmp_path / "checkpoint.db"
    store = SqliteCheckpointStore(path)
    for number in range(1, 6):
        await save(store, *range(1, number + 1))
        await store.discard(f"reason {number}")
    await store.close()

    assert names(tmp_path) == [
        f"checkpoint.db.damaged-{number}{suffix}"
        for number in (3, 4, 5)
        for suffix in ("", ".txt")
    ]
    assert (tmp_path / "checkpoint.db.damaged-5.txt").read_text() == "reason 5\n"
    aside = SqliteCheckpointStore(tmp_path / "checkpoint.db.damaged-4")
    assert is_generation(await loaded(aside), 4)
    await aside.close()


async def test_any_sqlite_tool_reads_a_file_in_use(tmp_path: Path) -> None:
    """Plain tables: a reader needs nothing of ours, nor that we stop."""
    path = tmp_path / "checkpoint.db"
    store = SqliteCheckpointStore(path)
    await save(store, 1, 2)

    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = reader.execute("SELECT epoch, sequence, generation FROM checkpoint")
    assert rows.fetchall() == [("epoch", 2, 2)]
    reader.close()

    await save(store, 3)
    assert is_generation(await loaded(store), 3)
    await store.close()
