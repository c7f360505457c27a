"""What a process and its disk may do to the SQLite store: be killed, fill up, fail.

Functions that a test runs in a process of its own come first.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from placement.adapters.sqlite import store as store_module
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.ports import CheckpointFsyncError, CheckpointUnwritableError, Chunk
from tests.integration.checkpoints import header, is_generation, made, save
from tests.loaded import loaded

KILLS = 200 if os.environ.get("PLACEMENT_LONG") else 12
KILLS_A_FILE = 4  # then a new one, so that its beginning is killed too
KILL_DELAY_MAX_S = 0.06
FIRST_KILL_DELAY_MAX_S = 0.01  # while the file comes into being
CHILD_SECONDS_MAX = 60
FLUSH_FAILED = 70  # the service's exit code
ROOT = Path(__file__).parents[2]
LARGE = [Chunk("large", number, bytes([number]) * 65_536) for number in range(64)]

kept: list[SqliteCheckpointStore] = []  # so that no garbage collection may help


async def save_for_ever(path: Path) -> None:
    """Save one generation after the other, and print each; until killed."""
    store = SqliteCheckpointStore(path)
    found = await loaded(store)
    generation = found.header.sequence if found else 0
    while True:
        print(generation, flush=True)  # noqa: T201  # the parent reads it
        generation += 1
        await save(store, generation)


async def exit_without_close(path: Path) -> None:
    """Save, and end as if the store were forgotten."""
    kept.append(SqliteCheckpointStore(path))
    await save(kept[0], 1)


async def fill_disk(path: Path) -> None:
    """On a disk of 2 MiB: save until it is full; what was saved before is there."""
    await made(path, 1)
    store = SqliteCheckpointStore(path)
    await refuse_large(store, 1)
    ballast = path.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass
    await refuse_large(store, 1)
    other = SqliteCheckpointStore(path.with_name("other.db"))
    with pytest.raises(CheckpointUnwritableError):
        await save(other, 1)
    assert await loaded(other) is None

    ballast.unlink()
    await save(store, 2)
    assert is_generation(await loaded(store), 2)


async def refuse_large(store: SqliteCheckpointStore, generation: int) -> None:
    """Check that LARGE cannot be saved, and that *generation* is still there."""
    with pytest.raises(CheckpointUnwritableError):
        await store.save(header(generation + 1), LARGE)
    assert is_generation(await loaded(store), generation)


async def save_until_flush_fails(path: Path) -> None:
    """Save, the WAL moved each time, and print each; end as the service does.

    After the failure no save may work, nor ask the disk once more.
    """
    store_module._WAL_BYTES_MAX = 1  # type: ignore[misc]  # noqa: SLF001 - each save moves it
    store = SqliteCheckpointStore(path)
    found = await loaded(store)
    generation = found.header.sequence if found else 0
    while True:
        print(generation, flush=True)  # noqa: T201  # the parent reads it
        try:
            await save(store, generation + 1)
        except CheckpointFsyncError as error:
            with pytest.raises(CheckpointFsyncError, match=re.escape(str(error))):
                await save(store, generation + 1)
            os._exit(FLUSH_FAILED)
        generation += 1


def child(function: str, path: Path, *prefix: str) -> list[str]:
    """Return the command that runs *function* of this module on *path*."""
    code = (
        "import asyncio, pathlib, sys\n"
        f"from tests.integration.test_sqlite_faults import {function}\n"
        f"asyncio.run({function}(pathlib.Path(sys.argv[1])))\n"
    )
    return [*prefix, sys.executable, "-c", code, str(path)]


def run(command: list[str]) -> None:
    """Run *command* from the root of the project; it succeeds, and it ends."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        timeout=CHILD_SECONDS_MAX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def killed_writer(path: Path, delay_s: float) -> int:
    """Run save_for_ever on *path*, kill it, and return what it was sure to have saved.

    It is killed *delay_s* after it began to save.
    """
    with subprocess.Popen(
        child("save_for_ever", path), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline()]
        time.sleep(delay_s)
        writer.kill()
        lines += writer.stdout.readlines()
    return int([line for line in lines if line.endswith("\n")][-1])


@pytest.mark.timeout(CHILD_SECONDS_MAX + 3 * KILLS)
async def test_killed_writer_leaves_one_whole_generation(tmp_path: Path) -> None:
    """Kill -9 at any moment: the last save is there, or the one begun; never a mix."""
    random = Random(20)
    begun = 0

    for kill in range(KILLS):
        path = tmp_path / f"{kill // KILLS_A_FILE}.db"
        first = kill % KILLS_A_FILE == 0
        longest_s = FIRST_KILL_DELAY_MAX_S if first else KILL_DELAY_MAX_S
        saved = killed_writer(path, random.uniform(0, longest_s))
        seen = tmp_path / "seen.db"  # a copy: the next writer shall recover by itself
        for suffix in ("", "-wal"):
            seen.with_name(f"seen.db{suffix}").unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copy(f"{path}{suffix}", f"{seen}{suffix}")
        store = SqliteCheckpointStore(seen)
        found = await loaded(store)
        await store.close()

        assert (found.header.sequence if found else 0) in {saved, saved + 1}
        assert found is None or is_generation(found, found.header.sequence)
        begun += saved
    assert begun > KILLS


def test_process_exits_without_close(tmp_path: Path) -> None:
    """A store that nobody closed must not keep a process from ending."""
    run(child("exit_without_close", tmp_path / "checkpoint.db"))


def test_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """A file system of its own that is really full."""
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path} && exec "
    shell = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run(
        [*shell, f"{mount} true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no tmpfs can be mounted here")

    run(child("fill_disk", tmp_path / "checkpoint.db", *shell, f'{mount} "$0" "$@"'))


# Onto a file that is there, SQLite flushes the new WAL's name second, and keeps to
# itself whether that failed: without its WAL the file is the save before.
@pytest.mark.parametrize(
    ("generation", "when"),
    [
        *((0, when) for when in (1, 2, 4, 7)),
        *((3, when) for when in (1, 3, 5, 8)),
        *(
            pytest.param(generation, when, marks=pytest.mark.long)
            for generation in (0, 3)
            for when in (6, *range(9, 41))
        ),
    ],
)
async def test_failed_flush_ends_all_saving(
    tmp_path: Path, generation: int, when: int
) -> None:
    """A disk that fails to flush once: no second try; the next process finds a save."""
    fault = [
        *("strace", "-f", "-qq", "-o", "/dev/null"),
        *("-e", "trace=fdatasync,fsync", "-e"),
        f"inject=fdatasync,fsync:error=EIO:when={when}",
    ]
    path = tmp_path / "checkpoint.db"
    if (
        not shutil.which("strace")
        or subprocess.run([*fault, "true"], check=False).returncode  # noqa: ASYNC221
    ):
        pytest.skip("no strace that may trace here")
    if generation:
        await made(path, generation)

    ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        child("save_until_flush_fails", path, *fault),
        cwd=ROOT,
        timeout=CHILD_SECONDS_MAX,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == FLUSH_FAILED, ended.stderr
    saved = int(ended.stdout.splitlines()[-1])
    store = SqliteCheckpointStore(path)
    found = await loaded(store)
    assert (found.header.sequence if found else 0) in {saved, saved + 1}
    assert found is None or is_generation(found, found.header.sequence)
    await save(store, (found.header.sequence if found else 0) + 1)
    await store.close()
