"""A disk that is full or fails, as the service meets it: what it says, and how long."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from placement.adapters.memory import MemoryCheckpointStore
from placement.ports import CheckpointFsyncError, CheckpointHeader, Chunk
from placement.runtime.view import ServingState
from tests.loaded import loaded
from tests.projecting import QUICK, Host, pushes

DEGRADED_S_MAX = 1.0
RECOVERED_S_MAX = 5.0


async def test_full_disk_is_said_at_once_and_answers_go_on() -> None:
    """DEGRADED within a second of the save that failed; folding goes on."""
    host = Host()
    async with host.running() as run:
        await run.publish(pushes(10))
        await run.until_live_at(1)
        host.store.writable = False

        stored = await run.publish(pushes(10, 10))
        began = time.monotonic()
        await run.until(lambda: run.serving is ServingState.DEGRADED)

        assert time.monotonic() - began < DEGRADED_S_MAX
        assert run.view.state.sequence == stored.sequence
        assert "not writable" in run.view.trouble


async def test_disk_with_room_again_is_noticed_whatever_the_interval() -> None:
    """Within five seconds, even when saves are an hour apart."""
    often = replace(QUICK, checkpoint_message_count=1)
    host = Host(settings=replace(often, checkpoint_interval_seconds=3_600.0))
    host.store.writable = False
    async with host.running() as run:
        await run.publish(pushes(10))
        await run.until(lambda: run.serving is ServingState.DEGRADED)
        host.store.writable = True
        began = time.monotonic()

        await run.until(lambda: run.serving is ServingState.LIVE)

        assert time.monotonic() - began < RECOVERED_S_MAX
        checkpoint = await loaded(host.store)
        assert checkpoint is not None
        assert checkpoint.header.sequence == run.view.state.sequence


class LostFlush(MemoryCheckpointStore):
    """A store on a disk that fails to flush, after which nobody may try again."""

    def __init__(self) -> None:
        """Count the saves."""
        super().__init__()
        self.saves = 0

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Save once; lose the second; complain of a third."""
        self.saves += 1
        if self.saves == 1:
            await super().save(header, chunks)
            return
        message = "the disk failed to flush"
        raise CheckpointFsyncError(message)


async def test_failed_flush_ends_the_run_and_is_never_repeated() -> None:
    """The process ends, with exit code 70; the next begins at the last good save."""
    store = LostFlush()
    host = Host(store=store)
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)
        await run.until(lambda: store.saves == 1)
        await run.publish(pushes(5, 10))
        await asyncio.wait({run.task}, timeout=10)

        assert isinstance(run.task.exception(), CheckpointFsyncError)
        await run.projector.finish()
        assert store.saves == 2

    host.store = MemoryCheckpointStore()
    saved = await loaded(store)
    assert saved is not None
    await host.store.save(saved.header, saved.chunks)
    async with host.running() as again:
        assert again.view.state.sequence == 10
        await again.until_live_at(11)
        assert again.fingerprint == await host.fingerprint()


@pytest.mark.parametrize("writable", [False, True])
async def test_run_record_that_cannot_be_kept_keeps_nobody_from_answering(
    *, writable: bool
) -> None:
    """With the disk gone, a rewound log is folded and taken over all the same."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)
        host.records.writable = writable

        host.log.rewind(5)
        await run.until(lambda: run.view.generation > 1)
        await run.until_live_at(5)

        assert run.view.epoch.startswith("memory-1~1-")
