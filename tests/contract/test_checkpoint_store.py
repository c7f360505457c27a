"""What every CheckpointStore promises, held against each that there is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from placement.adapters.memory import MemoryCheckpointStore
from placement.adapters.sqlite.generations import (
    CheckpointGenerations,
    GenerationSettings,
)
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.ports import CheckpointHeader, CheckpointStore, Chunk
from tests.loaded import Checkpoint, loaded
from tests.simulator.disk import Disk
from tests.simulator.store import DiskCheckpointStore

HEADER = CheckpointHeader(
    epoch="PLACEMENT_V1@2026-11-23T10:00:00Z",
    sequence=7,
    store_time_ns=1_795_428_000_000_000_000,
    fold_version=3,
    message_hash=b"\x00\xff" * 16,
)
LATER = replace(HEADER, sequence=8, store_time_ns=HEADER.store_time_ns + 1)

Reopen = Callable[[], Awaitable[CheckpointStore]]


@pytest.fixture(params=["memory", "simulated", "sqlite", "resting", "generations"])
async def reopen(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Reopen]:
    """A function that ends a run and returns the store as the next one finds it."""
    memory, disk = MemoryCheckpointStore(), Disk(Random(1))
    runs: list[CheckpointStore] = []

    async def next_run() -> CheckpointStore:
        if runs:
            await runs[-1].close()
        if request.param == "memory":
            runs.append(memory)
        elif request.param == "simulated":
            runs.append(DiskCheckpointStore(disk))
        elif request.param == "sqlite":
            runs.append(SqliteCheckpointStore(tmp_path / "checkpoint.db"))
        elif request.param == "resting":
            path = tmp_path / "checkpoint.db"
            runs.append(SqliteCheckpointStore(path, lambda: asyncio.sleep))
        else:  # with a copy after each save that finds none being made
            settings = GenerationSettings(interval_seconds=0)
            runs.append(CheckpointGenerations(tmp_path / "checkpoint.db", settings))
        return runs[-1]

    yield next_run
    await (await next_run()).close()


async def content(store: CheckpointStore) -> tuple[CheckpointHeader, set[Chunk]]:
    """Return what *store* loads, which is not nothing and holds no chunk twice."""
    checkpoint = await loaded(store)
    assert isinstance(checkpoint, Checkpoint)
    assert len(checkpoint.chunks) == len(set(checkpoint.chunks))
    return checkpoint.header, set(checkpoint.chunks)


async def test_nothing_saved_loads_as_none(reopen: Reopen) -> None:
    """A new service has no checkpoint, however often it looks."""
    store = await reopen()

    assert await loaded(store) is None
    assert await loaded(store) is None


async def test_next_run_loads_what_was_saved(reopen: Reopen) -> None:
    """Header and chunks come back as they were, byte for byte."""
    store = await reopen()
    chunks = {
        Chunk("digest", 0, b"\0"),
        Chunk("digest", 1, b"b"),
        Chunk("tag", 0, b"c"),
    }

    await store.save(HEADER, chunks)
    await store.close()

    assert await content(await reopen()) == (HEADER, chunks)


async def test_saving_store_loads_what_it_saved(reopen: Reopen) -> None:
    """Load is no privilege of the next run."""
    store = await reopen()

    await store.save(HEADER, [Chunk("digest", 0, b"a")])

    assert await content(store) == (HEADER, {Chunk("digest", 0, b"a")})


async def test_header_alone_is_a_checkpoint(reopen: Reopen) -> None:
    """An empty state has a position too; at sequence 0 there is no message hash."""
    header = CheckpointHeader("", 0, 0, 0, b"")

    await (await reopen()).save(header, [])

    assert await content(await reopen()) == (header, set())


async def test_save_replaces_only_the_given_chunks(reopen: Reopen) -> None:
    """A save names what changed; the rest stays, in the same table and in others."""
    store = await reopen()
    kept = {Chunk("digest", 1, b"b"), Chunk("tag", 0, b"c")}
    await store.save(HEADER, [Chunk("digest", 0, b"a"), *kept])

    await store.save(LATER, [Chunk("digest", 0, b"longer"), Chunk("digest", 2, b"d")])

    changed = {Chunk("digest", 0, b"longer"), Chunk("digest", 2, b"d")}
    assert await content(await reopen()) == (LATER, kept | changed)


async def test_next_run_saves_onto_what_it_loaded(reopen: Reopen) -> None:
    """An incremental save is one also across runs, loaded first or not."""
    await (await reopen()).save(HEADER, [Chunk("digest", 0, b"a")])
    loading = await reopen()
    await loaded(loading)
    await loading.save(HEADER, [Chunk("digest", 1, b"b")])

    await (await reopen()).save(LATER, [Chunk("digest", 2, b"c")])

    assert await content(await reopen()) == (
        LATER,
        {Chunk("digest", 0, b"a"), Chunk("digest", 1, b"b"), Chunk("digest", 2, b"c")},
    )


async def test_empty_body_deletes_the_chunk(reopen: Reopen) -> None:
    """A table that shrinks gives its chunks back; deleting twice is no error."""
    store = await reopen()
    await store.save(HEADER, [Chunk("digest", 0, b"a"), Chunk("digest", 1, b"b")])

    await store.save(HEADER, [Chunk("digest", 1, b"")])
    await store.save(LATER, [Chunk("digest", 1, b""), Chunk("digest", 9, b"")])

    assert await content(await reopen()) == (LATER, {Chunk("digest", 0, b"a")})


async def test_chunk_given_twice_counts_as_last_given(reopen: Reopen) -> None:
    """Order within one save is kept."""
    await (await reopen()).save(HEADER, [Chunk("tag", 0, b"a"), Chunk("tag", 0, b"b")])

    assert await content(await reopen()) == (HEADER, {Chunk("tag", 0, b"b")})


async def test_save_that_raises_midway_leaves_the_old(reopen: Reopen) -> None:
    """Header and chunks change together or not at all."""
    store = await reopen()
    await store.save(HEADER, [Chunk("digest", 0, b"a")])

    def chunks() -> Iterator[Chunk]:
        yield Chunk("digest", 0, b"new")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.save(LATER, chunks())

    assert await content(store) == (HEADER, {Chunk("digest", 0, b"a")})


async def test_discarded_checkpoint_is_gone(reopen: Reopen) -> None:
    """After a discard the service begins anew, and saves as if for the first time."""
    store = await reopen()
    await store.discard("nothing there yet")
    await store.save(HEADER, [Chunk("digest", 0, b"a"), Chunk("digest", 1, b"b")])

    await store.discard("of another fold version")

    assert await loaded(store) is None
    await store.save(LATER, [Chunk("digest", 0, b"c")])
    assert await content(await reopen()) == (LATER, {Chunk("digest", 0, b"c")})


async def test_large_state_round_trips(reopen: Reopen) -> None:
    """Many chunks, a large one and unusual bytes: 20 MB."""
    many = {Chunk("digest", i, i.to_bytes(4) * 4_096) for i in range(1, 1_000)}
    large = {
        Chunk("route", 0, bytes(range(256)) * 16_384),
        Chunk("名", 2**40, b"'\"\0"),
    }

    await (await reopen()).save(HEADER, many | large)

    assert await content(await reopen()) == (HEADER, many | large)


async def test_closed_store_can_be_closed_again(reopen: Reopen) -> None:
    """Closing is safe at any time: unused, used, and twice."""
    store = await reopen()
    await store.close()
    await store.save(HEADER, [])

    await store.close()
    await store.close()
