"""The run record in its file: the newest whole one counts, whatever was cut short."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from placement.adapters.run_file import BLOCK_BYTES, KEPT, NOTED, RunFile
from placement.ports import CheckpointUnwritableError, RunRecord

RECORD = RunRecord("log-1~2-0badcafe", 17, b"\x00\xff" * 8, 18, 2, "it hung")


def reopened(path: Path) -> RunRecord:
    """Return what the next run finds."""
    file = RunFile(path)
    try:
        return file.load()
    finally:
        file.close()


def test_new_file_holds_an_empty_record(tmp_path: Path) -> None:
    """Nobody noted anything yet."""
    assert reopened(tmp_path / "run") == RunRecord()


@pytest.mark.parametrize("way", ["note", "keep"])
def test_next_run_finds_what_was_written_last(tmp_path: Path, way: str) -> None:
    """Every field comes back, from whichever of the blocks."""
    file = RunFile(tmp_path / "run")
    for sequence in range(1, 8):
        (file.note if sequence % 3 else file.keep)(replace(RECORD, sequence=sequence))

    getattr(file, way)(RECORD)
    file.close()

    assert reopened(tmp_path / "run") == RECORD


@pytest.mark.parametrize("restarts", [False, True])
def test_torn_write_leaves_the_record_before(tmp_path: Path, *, restarts: bool) -> None:
    """Whichever write is cut short, what was kept before it is still there."""
    path = tmp_path / "run"
    file = RunFile(path)
    for sequence in range(1, 20):
        before = replace(RECORD, sequence=sequence)
        file.keep(before)
        if sequence % 2:
            file.note(before)
        if restarts:
            file.close()
            file = RunFile(path)
            assert file.load() == before
        whole = path.read_bytes()
        file.keep(replace(RECORD, sequence=1_000))
        after = path.read_bytes()
        changed = [
            block
            for block in (*NOTED, *KEPT)
            if whole[block * BLOCK_BYTES :][:BLOCK_BYTES]
            != after[block * BLOCK_BYTES :][:BLOCK_BYTES]
        ]
        (block,) = changed
        path.write_bytes(whole)
        with path.open("r+b") as torn:
            torn.seek(block * BLOCK_BYTES)
            torn.write(after[block * BLOCK_BYTES :][:40])

        assert reopened(path) == before

        path.write_bytes(whole)
        file.close()
        file = RunFile(path)
        file.load()
    file.close()


def test_full_disk_stops_a_note_silently_and_a_kept_record_loudly(
    tmp_path: Path,
) -> None:
    """Answers go on without notes; who must know is told."""
    file = RunFile(tmp_path / "run")
    file.keep(RECORD)
    broken = os.open(os.devnull, os.O_RDONLY)
    os.dup2(broken, file._file)  # noqa: SLF001 - the quickest way to a bad disk
    os.close(broken)

    file.note(replace(RECORD, sequence=99))
    with pytest.raises(CheckpointUnwritableError):
        file.keep(replace(RECORD, sequence=99))
    file.close()

    assert reopened(tmp_path / "run") == RECORD
