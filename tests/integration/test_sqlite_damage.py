"""A damaged checkpoint is refused: never other content, never another error."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.ports import CheckpointDamagedError
from tests.integration.checkpoints import is_generation, made, save
from tests.loaded import Checkpoint, loaded

GENERATION = 30
PAGE_BYTES = 16_384
SECTOR_BYTES = 512

REFUSED = "refused"


def flip(image: bytearray, random: Random) -> None:
    """Flip one bit: anywhere, or in what SQLite steers by."""
    place = random.choice(("anywhere", "header", "page start", "page end"))
    page = random.randrange(len(image) // PAGE_BYTES) * PAGE_BYTES
    position = {
        "anywhere": random.randrange(len(image)),
        "header": random.randrange(100),
        "page start": page + random.randrange(64),
        "page end": page + PAGE_BYTES - 1 - random.randrange(256),
    }[place]
    image[position] ^= 1 << random.randrange(8)


def truncate(image: bytearray, random: Random) -> None:
    """Lose the end, at any byte or at a page."""
    length = random.randrange(len(image))
    del image[length - length % random.choice((1, PAGE_BYTES)) :]


def zero_sector(image: bytearray, random: Random) -> None:
    """Lose a sector, as disks do."""
    start = random.randrange(len(image) // SECTOR_BYTES) * SECTOR_BYTES
    image[start : start + SECTOR_BYTES] = bytes(SECTOR_BYTES)


def swap_pages(image: bytearray, random: Random) -> None:
    """Put two pages in each other's place."""
    pages = range(len(image) // PAGE_BYTES)
    one, two = (
        slice(n * PAGE_BYTES, (n + 1) * PAGE_BYTES) for n in random.sample(pages, 2)
    )
    image[one], image[two] = image[two], image[one]


BYTE_DAMAGE = (flip, flip, flip, flip, truncate, zero_sector, swap_pages)

ROW_DAMAGE = {
    "swapped bodies": """
        UPDATE chunk SET body = (SELECT body FROM chunk AS other
            WHERE other.rowid = CASE chunk.rowid WHEN :a THEN :b ELSE :a END)
        WHERE rowid IN (:a, :b)""",
    "swapped bodies and hashes": """
        UPDATE chunk SET (body, hash) = (SELECT body, hash FROM chunk AS other
            WHERE other.rowid = CASE chunk.rowid WHEN :a THEN :b ELSE :a END)
        WHERE rowid IN (:a, :b)""",
    "renumbered": "UPDATE chunk SET number = 99 WHERE rowid = :a",
    "lost": "DELETE FROM chunk WHERE rowid = :a",
    "all lost": "DELETE FROM chunk",
    "doubled": """
        INSERT INTO chunk SELECT table_name, 99, body, hash FROM chunk
        WHERE rowid = :a""",
    "cut": "UPDATE chunk SET body = substr(body, 2) WHERE rowid = :a",
    "emptied": "UPDATE chunk SET body = x'' WHERE rowid = :a",
    "stale": """
        UPDATE chunk SET (body, hash) = (SELECT body, hash FROM old.chunk AS other
            WHERE (other.table_name, other.number) = (chunk.table_name, chunk.number))
        WHERE (table_name, number) IN (
            SELECT one.table_name, one.number FROM chunk AS one JOIN old.chunk AS two
            USING (table_name, number) WHERE one.hash <> two.hash LIMIT 1)""",
    "stale header": """
        REPLACE INTO checkpoint SELECT * FROM old.checkpoint""",
    "stale chunks": "REPLACE INTO chunk SELECT * FROM old.chunk",
    "no header": "DELETE FROM checkpoint",
    "other epoch": "UPDATE checkpoint SET epoch = epoch || 'x'",
    "other sequence": "UPDATE checkpoint SET sequence = sequence + 1",
    "other time": "UPDATE checkpoint SET store_time_ns = store_time_ns + 1",
    "other fold version": "UPDATE checkpoint SET fold_version = fold_version + 1",
    "other message": "UPDATE checkpoint SET message_hash = x'00'",
    "other format": "UPDATE checkpoint SET format = format + 1",
    "other generation": "UPDATE checkpoint SET generation = generation + 1",
    "other table": "CREATE TABLE note (text TEXT)",
    "table lost": "DROP TABLE chunk",
    "trigger": """
        CREATE TRIGGER t AFTER UPDATE ON chunk BEGIN DELETE FROM chunk; END""",
}


async def found_in(path: Path) -> Checkpoint | str | None:
    """Return what *path* loads as, or REFUSED; any other error passes."""
    store = SqliteCheckpointStore(path)
    try:
        return await loaded(store)
    except CheckpointDamagedError:
        return REFUSED
    finally:
        await store.close()


def write(path: Path, image: bytearray, wal: bytearray | None = None) -> None:
    """Put a database at *path*, and its WAL beside it."""
    for suffix in ("-shm", "-wal", ".new"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(image)
    if wal:
        path.with_name(f"{path.name}-wal").write_bytes(wal)


@pytest.mark.parametrize(
    "mutations",
    [
        pytest.param(600, id="600"),
        pytest.param(
            10_000, id="10000", marks=[pytest.mark.long, pytest.mark.timeout(1_200)]
        ),
    ],
)
async def test_damaged_bytes_are_refused_or_harmless(
    tmp_path: Path, mutations: int
) -> None:
    """Whatever happens to the file, it loads as it was saved or not at all.

    Where the damage is harmless (free space, SQLite's own notes), saves go on too.
    """
    path = tmp_path / "checkpoint.db"
    await made(path, GENERATION)
    sound = path.read_bytes()
    harmless = 0

    for seed in range(mutations):
        random, image = Random(seed), bytearray(sound)
        damage = random.choice(BYTE_DAMAGE)
        damage(image, random)
        write(path, image)
        found = await found_in(path)

        if found != REFUSED:
            assert not isinstance(found, str)
            assert is_generation(found, GENERATION), f"seed {seed}: {damage.__name__}"
            harmless += 1
            await made_on(path, seed)

    assert 0 < harmless < mutations / 2


async def made_on(path: Path, seed: int) -> None:
    """Check that two more generations can be saved onto the file and loaded."""
    store = SqliteCheckpointStore(path)
    await save(store, GENERATION + 1, GENERATION + 2)
    await store.close()
    found = await found_in(path)
    assert not isinstance(found, str), f"seed {seed}: refused after a save"
    assert is_generation(found, GENERATION + 2), f"seed {seed}"


@pytest.mark.parametrize("damage", ROW_DAMAGE)
async def test_rows_changed_by_hand_are_refused(tmp_path: Path, damage: str) -> None:
    """Each row may be sound in itself: they must be those of one save."""
    path, old = tmp_path / "checkpoint.db", tmp_path / "old.db"
    await made(path, GENERATION - 5)
    shutil.copy(path, old)
    store = SqliteCheckpointStore(path)
    await save(store, *range(GENERATION - 4, GENERATION + 1))
    await store.close()
    database = sqlite3.connect(path)
    database.execute("ATTACH ? AS old", [str(old)])
    a, b, *_ = (row for (row,) in database.execute("SELECT rowid FROM chunk"))

    database.execute(ROW_DAMAGE[damage], {"a": a, "b": b})
    database.commit()
    database.close()

    assert await found_in(path) == REFUSED


@pytest.mark.parametrize("damage", [flip, truncate, zero_sector])
async def test_damaged_wal_never_mixes_generations(
    tmp_path: Path, damage: Callable[[bytearray, Random], None]
) -> None:
    """A WAL cut short by damage loads as an older save, whole, or is refused."""
    path = tmp_path / "checkpoint.db"
    store = SqliteCheckpointStore(path)
    await save(store, *range(1, GENERATION + 1))
    sound = bytearray(path.read_bytes())
    wal = path.with_name(f"{path.name}-wal").read_bytes()
    await store.close()

    for seed in range(100):
        random, image = Random(seed), bytearray(wal)
        damage(image, random)
        write(path, sound, image)
        found = await found_in(path)

        if found != REFUSED:
            assert isinstance(found, Checkpoint)
            assert is_generation(found, found.header.sequence), f"seed {seed}"


async def test_message_names_the_chunk(tmp_path: Path) -> None:
    """People are told which file, what of it is damaged, and what to do."""
    path = tmp_path / "checkpoint.db"
    await made(path, GENERATION)
    database = sqlite3.connect(path)
    database.execute("UPDATE chunk SET body = x'00' WHERE number = 8")
    database.commit()
    database.close()

    store = SqliteCheckpointStore(path)
    said = re.escape(str(path)) + ".*chunk '8' of 'digest' is not.*Remedy: "
    with pytest.raises(CheckpointDamagedError, match=said):
        await loaded(store)
    await store.close()


async def test_lost_file_is_damage(tmp_path: Path) -> None:
    """A file that was there must not be begun anew with a part of its chunks."""
    path = tmp_path / "checkpoint.db"
    await made(path, GENERATION)
    store = SqliteCheckpointStore(path)
    await loaded(store)
    await store.close()

    path.unlink()

    with pytest.raises(CheckpointDamagedError, match="gone"):
        await save(store, GENERATION + 1)
    await store.discard("gone")
    assert await loaded(store) is None
