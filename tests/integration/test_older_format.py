"""A checkpoint file of format 1 is read, gone on with, and as safe as one of today."""

import gzip
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from placement.adapters.sqlite.proof import FORMAT
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION
from placement.ports import CheckpointDamagedError, Chunk
from placement.runtime.checkpoint import Restored
from tests.golden_logs import FOLDER, folded_messages, read_log, summary
from tests.loaded import loaded

LOG = FOLDER / "2-every-decision.jsonl"
CHECKPOINT = FOLDER.parent / "checkpoints" / "1-every-decision.sqlite.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state of the golden log lies as format 1 had it."""
    path = tmp_path / "checkpoint.sqlite"
    path.write_bytes(gzip.decompress(CHECKPOINT.read_bytes()))
    return path


async def test_state_of_format_1_is_what_its_log_folds_to(path: Path) -> None:
    """Neither the file's format nor that of its chunks is in the way."""
    store = SqliteCheckpointStore(path)
    restored = Restored(FOLD_VERSION)

    header = await store.load(restored.begin)
    await store.close()

    expected, messages = read_log(LOG)
    assert header is not None
    assert (header.fold_version, header.sequence) == (3, expected.sequence)
    state = restored.state()
    if header.fold_version == FOLD_VERSION:
        assert fingerprint(state) == summary(folded_messages(messages)).fingerprint


async def test_save_onto_format_1_keeps_its_chunks(path: Path) -> None:
    """The file is of today's format then, though most of its chunks are as they were.

    So a version that knows format 1 alone refuses it, in place of calling it damaged.
    """
    store = SqliteCheckpointStore(path)
    before = await loaded(store)
    assert before is not None
    header = replace(before.header, sequence=before.header.sequence + 1)

    await store.save(header, [Chunk("tags", 0, b"new")])
    await store.close()

    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    database.close()
    after = await loaded(store)
    assert after is not None
    assert after.header == header
    new = {(c.table, c.number): c.body for c in before.chunks} | {("tags", 0): b"new"}
    assert {(c.table, c.number): c.body for c in after.chunks} == new
    await store.close()


@pytest.mark.parametrize("saved", [False, True])
async def test_damage_in_format_1_is_refused(path: Path, *, saved: bool) -> None:
    """Its hashes are looked at as they were made, after a save as well."""
    store = SqliteCheckpointStore(path)
    if saved:
        before = await loaded(store)
        assert before is not None
        await store.save(before.header, [Chunk("tags", 0, b"new")])
        await store.close()
    database = sqlite3.connect(path)
    database.execute(
        "UPDATE chunk SET body = CAST(substr(body, 2) AS BLOB) WHERE table_name = ?",
        ["digests"],
    )
    database.commit()
    database.close()

    with pytest.raises(CheckpointDamagedError, match="'digests' is not as saved"):
        await loaded(store)
    await store.close()
