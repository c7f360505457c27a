"""A backup that is said to be written outlives a power failure."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from placement.backups import MANIFEST, SNAPSHOT, Taken, read_backup, write_backup
from placement.ports import LogStatus

STATE = {"first_seq": 1, "last_seq": 2, "messages": 2}


class OneStream:
    """A stream of a few bytes."""

    async def take(self, file: BinaryIO) -> Taken:
        """Write them."""
        file.write(b"a stream")
        return Taken("placement", "epoch", {"state": STATE})

    async def give(self, description: Any, chunks: Iterable[bytes]) -> LogStatus:  # noqa: ANN401 - as it was taken
        """Take none back."""
        raise NotImplementedError(description, chunks)


async def test_files_and_the_names_that_lead_there_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is said; the manifest's bytes are before its name is."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted(descriptor: int) -> None:
        sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(str(path.relative_to(tmp_path)))

    def renamed(path: Path, target: Path) -> Path:
        steps.append("named")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", renamed)

    manifest = await write_backup(OneStream(), tmp_path / "new" / "backup", "1")

    at = "new/backup"
    ends = [f"{at}/{SNAPSHOT}", f"{at}/{MANIFEST}.new", "named", at]
    assert steps[-len(ends) :] == ends
    assert sorted(steps[: -len(ends)]) == [".", "new"]
    assert read_backup(tmp_path / at) == manifest
