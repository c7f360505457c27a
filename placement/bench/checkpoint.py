"""What a durable checkpoint costs: whole and after few changes, beside a row table."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from placement.bench.made_state import StateMaker
from placement.bench.measured import Measured
from placement.bench.rounds import Samples
from placement.bench.row_table import rows_of, written_seconds
from placement.bench.settings import Settings
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.ports import CheckpointStore
from placement.runtime.checkpoint import Restored, Saver

SUITE: Final = "checkpoint"
DIGESTS: Final = 1_000_000
QUICK_DIGESTS: Final = 10_000
ROUNDS: Final = 3
INCREMENTS: Final = 9
CHANGED: Final = 0.01
EPOCH: Final = "bench"
COPIED_SECONDS_MAX: Final = 60.0
_MILLISECONDS: Final = 1_000


@dataclass
class _Rounds:
    """Seconds of each contestant, and of the longest steps meanwhile."""

    whole: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    increment: list[float] = field(default_factory=list)
    pause: list[float] = field(default_factory=list)
    row_bytes: int = 0
    file_bytes: int = 0
    after_bytes: int = 0


def measure(settings: Settings) -> list[Measured]:
    """Return what saves and a load of one state cost, and its bytes on the disk."""
    digests = settings.pick(DIGESTS, QUICK_DIGESTS)
    maker = StateMaker(settings.topology)
    state = maker.made(digests)
    found = asyncio.run(_run(settings, maker, state))

    def per_second(seconds: list[float]) -> Samples:
        return Samples(tuple(digests / each for each in seconds))

    def in_ms(seconds: list[float]) -> Samples:
        return Samples(tuple(_MILLISECONDS * each for each in seconds))

    whole, rows = per_second(found.whole), per_second(found.rows)
    row_bytes = found.row_bytes / digests
    per_digest, after = found.file_bytes / digests, found.after_bytes / digests
    increment, whole_ms = in_ms(found.increment), in_ms(found.whole)
    return [
        whole.measured(SUITE, "whole_save_against_row_table", "digests/s", rows),
        per_second(found.raw).measured(SUITE, "raw_bytes_written", "digests/s"),
        per_second(found.load).measured(SUITE, "load", "digests/s"),
        increment.measured(SUITE, "save_after_1_percent_against_whole", "ms", whole_ms),
        in_ms(found.pause).measured(SUITE, "longest_step_while_saving", "ms"),
        Measured(SUITE, "bytes_per_digest_on_disk", per_digest, "bytes", row_bytes),
        Measured(SUITE, "bytes_per_digest_after_increments", after, "bytes"),
    ]


async def _run(settings: Settings, maker: StateMaker, state: State) -> _Rounds:
    found = _Rounds()
    rows = rows_of(state)
    for number in range(settings.pick(ROUNDS, 1)):
        plain = settings.directory(f"rows-{number}") / "rows.sqlite"
        found.rows.append(await asyncio.to_thread(written_seconds, plain, rows))
        found.row_bytes = plain.stat().st_size
        plain.unlink()
        directory = settings.directory(f"whole-{number}")
        _forget_saved(state)
        found.raw.append(_raw_seconds(directory / "raw", state))
        _forget_saved(state)
        store = settings.open_store(directory)
        found.whole.append(await _save(Saver(store, FOLD_VERSION), state, found))
        await store.close()
        found.file_bytes = _size(directory)
        found.load.append(await _load(settings.open_store(directory)))
        _emptied(directory)
    del rows
    await _increments(settings, maker, state, found)
    return found


async def _increments(
    settings: Settings, maker: StateMaker, state: State, found: _Rounds
) -> None:
    """Save the state whole, and then after each of several changes."""
    _forget_saved(state)
    directory = settings.directory("increments")
    store = settings.open_store(directory)
    saver = Saver(store, FOLD_VERSION)
    await saver.save(state, EPOCH)
    await _until_copied(directory)
    for _ in range(settings.pick(INCREMENTS, 2)):
        maker.change(state, CHANGED)
        found.increment.append(await _save(saver, state, found))
    await store.close()
    found.after_bytes = _size(directory)


async def _save(saver: Saver, state: State, found: _Rounds) -> float:
    """Return how long a save takes, and note the longest step of the loop."""
    began = time.perf_counter()
    with _pulse(found.pause):
        await saver.save(state, EPOCH)
    return time.perf_counter() - began


@contextmanager
def _pulse(pauses: list[float]) -> Iterator[None]:
    """Add to *pauses* how long the loop let nobody else in, at the worst."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now

    task = asyncio.get_running_loop().create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        pauses.append(longest)


async def _load(store: CheckpointStore) -> float:
    """Return how long the state takes to be there again, proven and ready."""
    began = time.perf_counter()
    restored = Restored(FOLD_VERSION)
    await store.load(restored.begin)
    restored.state()
    took = time.perf_counter() - began
    await store.close()
    return took


def _forget_saved(state: State) -> None:
    """Let the next save be a whole one."""
    for table in state.tables().values():
        table.mark_all_dirty()


def _raw_seconds(path: Path, state: State) -> float:
    """Return how long as many bytes take to the disk, in one plain file."""
    bodies = [
        each.body for table in state.tables().values() for each in table.take() if each
    ]
    began = time.perf_counter()
    with path.open("wb") as file:
        file.writelines(bodies)
        file.flush()
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    path.unlink()
    return took


def _size(directory: Path) -> int:
    """Return the bytes of the checkpoint itself, without older ones."""
    kept = directory / "checkpoint.sqlite"
    return kept.stat().st_size


def _emptied(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


async def _until_copied(directory: Path) -> None:
    """Return once the service's older copy is made, which is no part of a save."""
    with suppress(TimeoutError):
        async with asyncio.timeout(COPIED_SECONDS_MAX):
            while not (directory / "checkpoint.1.sqlite").exists():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
