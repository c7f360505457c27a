"""Older checkpoints behind the newest: made in passing, and used when it is damaged."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from placement.adapters.sqlite.generations import (
    CheckpointGenerations,
    GenerationSettings,
)
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.faults import FaultPoint, Plan, arm
from placement.ports import CheckpointDamagedError
from tests.integration.checkpoints import changes, header, is_generation
from tests.loaded import loaded

AT_ONCE = GenerationSettings(interval_seconds=0)
NAMES = ("checkpoint.sqlite", "checkpoint.1.sqlite", "checkpoint.2.sqlite")
WAIT_S = 10.0


async def save(store: CheckpointGenerations, generation: int) -> None:
    """Save *generation*, and wait for the copy that the save began, if it did."""
    await store.save(header(generation), changes(generation))
    async with asyncio.timeout(WAIT_S):
        while store._copying is not None:  # noqa: ASYNC110, SLF001 - nobody else waits
            await asyncio.sleep(0.001)


async def made(directory: Path, last: int, settings: GenerationSettings) -> Path:
    """Save generations 1 to *last* in *directory*, and return the file's path."""
    path = directory / NAMES[0]
    store = CheckpointGenerations(path, settings)
    for generation in range(1, last + 1):
        await save(store, generation)
    await store.close()
    return path


async def found_in(path: Path) -> tuple[int, CheckpointGenerations]:
    """Return the number of the generation that a new run loads, and the open store."""
    store = CheckpointGenerations(path, AT_ONCE)
    checkpoint = await loaded(store)
    number = checkpoint.header.sequence if checkpoint else 0
    assert checkpoint is None or is_generation(checkpoint, number)
    return number, store


def names(directory: Path, pattern: str = "*") -> list[str]:
    """Return the names in *directory* that *pattern* finds."""
    return sorted(each.name for each in directory.glob(pattern))


def damage(path: Path) -> None:
    """Change a chunk of the file at *path*, and nothing else."""
    database = sqlite3.connect(path)
    database.execute("UPDATE chunk SET body = x'00' WHERE number = 8")
    database.commit()
    database.close()


async def test_each_generation_is_a_whole_checkpoint(tmp_path: Path) -> None:
    """The file and its two copies each hold one save, the newest first."""
    await made(tmp_path, 6, AT_ONCE)

    found = []
    for name in NAMES:
        store = SqliteCheckpointStore(tmp_path / name)
        checkpoint = await loaded(store)
        await store.close()
        assert checkpoint is not None
        assert is_generation(checkpoint, checkpoint.header.sequence)
        found.append(checkpoint.header.sequence)

    assert found == [6, 6, 5]
    assert names(tmp_path) == sorted(NAMES)


async def test_copies_keep_their_interval(tmp_path: Path) -> None:
    """Many saves within one interval make one copy, also across runs."""
    settings = GenerationSettings(interval_seconds=600)
    path = tmp_path / NAMES[0]
    store = CheckpointGenerations(path, settings)
    for generation in range(1, 21):
        await save(store, generation)
    await store.close()
    again = CheckpointGenerations(path, settings)
    await loaded(again)
    await save(again, 21)

    assert store.counts["made"] == 1
    assert again.counts["made"] == 0

    await again.close()
    ago = time.time() - 601
    os.utime(tmp_path / NAMES[1], (ago, ago))
    later = CheckpointGenerations(path, settings)
    await loaded(later)
    await save(later, 22)
    await later.close()
    assert later.counts["made"] == 1


async def test_without_copies_there_is_one_file(tmp_path: Path) -> None:
    """Who wants none gets none."""
    await made(tmp_path, 3, GenerationSettings(copies=0, interval_seconds=0))

    assert names(tmp_path) == [NAMES[0]]


@pytest.mark.parametrize(
    ("damaged", "expected"), [((0,), 6), ((0, 1), 5), ((1, 2), 6), ((2,), 6)]
)
async def test_newest_whole_generation_is_used(
    tmp_path: Path, damaged: tuple[int, ...], expected: int
) -> None:
    """What is damaged is put aside with its reason; saves go on from what is whole."""
    path = await made(tmp_path, 6, AT_ONCE)
    for index in damaged:
        damage(tmp_path / NAMES[index])

    number, store = await found_in(path)

    assert number == expected
    aside = names(tmp_path, "*.damaged-?")
    assert len(aside) == (len(damaged) if 0 in damaged else 0)
    for name in aside:
        assert "not as saved" in (tmp_path / f"{name}.txt").read_text()
    await save(store, expected + 1)
    await store.close()
    number, store = await found_in(path)
    assert number == expected + 1
    await store.close()


async def test_lost_file_is_replaced_by_its_copy(tmp_path: Path) -> None:
    """A crash between putting aside and moving a copy into place is no beginning."""
    path = await made(tmp_path, 6, AT_ONCE)
    path.unlink()

    number, store = await found_in(path)

    assert number == 6
    assert store.counts["fallen_back_to"] == 1
    await store.close()


async def test_nothing_damaged_is_ever_served(tmp_path: Path) -> None:
    """When no generation is whole, that is said, and the next start begins anew."""
    path = await made(tmp_path, 6, AT_ONCE)
    for name in NAMES:
        damage(tmp_path / name)
    store = CheckpointGenerations(path, AT_ONCE)

    with pytest.raises(CheckpointDamagedError):
        await loaded(store)
    await store.discard("damaged")

    assert await loaded(store) is None
    assert len(names(tmp_path, "*.damaged-?")) == 3
    await store.close()


async def test_discard_forgets_the_copies(tmp_path: Path) -> None:
    """A checkpoint that may not be used has no generations that may."""
    path = await made(tmp_path, 6, AT_ONCE)
    store = CheckpointGenerations(path, AT_ONCE)
    await loaded(store)

    await store.discard("of another fold version")

    assert await loaded(store) is None
    await store.close()


async def test_another_epoch_forgets_the_copies(tmp_path: Path) -> None:
    """Copies of a log that is gone must not come back after damage."""
    path = await made(tmp_path, 6, AT_ONCE)
    store = CheckpointGenerations(path, GenerationSettings(interval_seconds=600))
    await loaded(store)

    await store.save(replace(header(7), epoch="other"), [])

    copies = [name for name in NAMES[1:] if (tmp_path / name).exists()]
    assert copies == []
    await store.close()


async def test_damage_under_a_running_service_keeps_the_copies(tmp_path: Path) -> None:
    """A copy that does not prove itself is not kept, and the next save finds out why.

    Until the state is saved anew, whole, the older generations are what is left.
    """
    path = await made(tmp_path, 6, AT_ONCE)
    store = CheckpointGenerations(path, AT_ONCE)
    await loaded(store)
    damage(path)

    await save(store, 7)  # without a look at what is not changed
    assert store.counts["failed"] == 1
    with pytest.raises(CheckpointDamagedError):
        await save(store, 8)
    await store.discard("damaged")

    number, again = await found_in(path)
    assert number == 6
    await again.close()
    await store.close()


class Usage:
    """A disk with one byte left."""

    free = 1


async def test_copy_never_takes_the_last_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a copy might fill the disk none is made, and the save goes on."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage())
    path = await made(tmp_path, 2, AT_ONCE)

    assert names(tmp_path) == [NAMES[0]]
    number, store = await found_in(path)
    assert number == 2
    await store.close()


async def test_stopping_does_not_wait_for_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large copy is given up when the service stops, and leaves nothing behind."""
    monkeypatch.setattr("placement.adapters.sqlite.copying._STEP_PAGES", 1)
    path = tmp_path / NAMES[0]
    store = CheckpointGenerations(path, AT_ONCE)
    await store.save(header(1), changes(1))
    store._stop.set()  # noqa: SLF001 - as if close came at once

    await store.close()

    assert store.counts["made"] == store.counts["failed"] == 0
    assert names(tmp_path) == [NAMES[0]]


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(60, id="60"),
        pytest.param(
            10_000, id="10000", marks=[pytest.mark.long, pytest.mark.timeout(1_800)]
        ),
    ],
)
async def test_random_damage_falls_back_and_is_never_served(
    tmp_path: Path, rounds: int
) -> None:
    """Bits, sectors and ends lost in any of the files: what loads is a whole save."""
    path = await made(tmp_path, 6, AT_ONCE)
    sound = {name: (tmp_path / name).read_bytes() for name in NAMES}
    fallen_back = 0

    for seed in range(rounds):
        random = Random(seed)
        for leftover in names(tmp_path):
            (tmp_path / leftover).unlink()
        for name, body in sound.items():
            image = bytearray(body)
            if name == NAMES[0] or random.random() < 0.3:
                _hurt(image, random)
            (tmp_path / name).write_bytes(image)
        store = CheckpointGenerations(path, GenerationSettings(copies=0))
        try:
            checkpoint = await loaded(store)
        except CheckpointDamagedError:
            continue
        finally:
            fallen_back += store.counts["fallen_back_to"]
            await store.close()
        assert checkpoint is not None
        assert is_generation(checkpoint, checkpoint.header.sequence), f"seed {seed}"

    assert fallen_back > rounds / 2


def _hurt(image: bytearray, random: Random) -> None:
    """Flip a bit of the pages, lose a sector or the end."""
    position = random.randrange(len(image))
    kind = random.choice(("bit", "sector", "end"))
    if kind == "bit":
        image[position] ^= 1 << random.randrange(8)
    elif kind == "sector":
        start = position // 512 * 512
        image[start : start + 512] = bytes(512)
    else:
        del image[position:]


async def save_until_killed(path: Path, plan: str) -> None:
    """Load and save with copies, and print each; *plan* kills this process."""
    arm(Plan(plan))
    store = CheckpointGenerations(path, AT_ONCE)
    found = await loaded(store)
    generation = found.header.sequence if found else 0
    while True:
        print(generation, flush=True)  # noqa: T201 - the parent reads it
        generation += 1
        await save(store, generation)


@pytest.mark.parametrize(
    ("point", "count"),
    [
        (FaultPoint.BEFORE_COMMIT, 1),
        (FaultPoint.BEFORE_COMMIT, 4),
        (FaultPoint.BEFORE_RENAME, 1),
        (FaultPoint.BEFORE_COPY_KEPT, 1),
        (FaultPoint.BEFORE_COPY_KEPT, 3),
        (FaultPoint.AFTER_COPY_KEPT, 3),
        (FaultPoint.BEFORE_FALL_BACK, 1),
    ],
)
async def test_kill_at_a_named_point_loses_nothing_saved(
    tmp_path: Path, point: FaultPoint, count: int
) -> None:
    """Killed between any two steps, the next run finds the last save, whole."""
    path = tmp_path / NAMES[0]
    saved = 0
    if point is FaultPoint.BEFORE_FALL_BACK:
        await made(tmp_path, 6, AT_ONCE)
        damage(path)
        saved = 6
    code = (
        "import asyncio, pathlib, sys\n"
        "from tests.integration.test_sqlite_generations import save_until_killed\n"
        "asyncio.run(save_until_killed(pathlib.Path(sys.argv[1]), sys.argv[2]))\n"
    )

    ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, "-c", code, str(path), f"{point}=kill:{count}"],
        cwd=Path(__file__).parents[2],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.isdigit()]
    saved = int(lines[-1]) if lines else saved
    number, store = await found_in(path)
    assert number in {saved, saved + 1}
    await save(store, number + 1)
    await store.close()
