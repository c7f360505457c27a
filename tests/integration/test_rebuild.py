"""Another fold version: the old state answers, LIVE, until the new one is as far."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from placement.adapters.memory import MemoryEventLog
from placement.core.fold import FOLD_VERSION
from placement.ports import (
    READ_BATCH_MESSAGES_MAX,
    Appended,
    CheckpointHeader,
    Chunk,
    Expected,
    LogReplacedError,
    LogStatus,
    Message,
)
from placement.runtime import projector
from placement.runtime.view import ServingState
from tests.loaded import Checkpoint, loaded
from tests.projecting import QUICK, Host, Run, pushes

COUNT = READ_BATCH_MESSAGES_MAX + 88
"""So many that what a line reads again at its start is not the first message."""
NEWER = replace(QUICK, fold_version=FOLD_VERSION + 1)


@pytest.fixture(autouse=True)
def _watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the log often, so that a test takes no longer than it must."""
    monkeypatch.setattr(projector, "WATCH_SECONDS", 0.05)


class SlowLog:
    """A log whose first messages come only when a test lets them."""

    def __init__(self, real: MemoryEventLog) -> None:
        """Read *real*; hold back what is read from its start."""
        self.real = real
        self.gate = asyncio.Event()

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store in the real one."""
        return await self.real.append(subject, body, message_id, expected)

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield what the real one does, from its start only once the gate is open."""
        async for batch in self.real.read(after_sequence, epoch):
            if not after_sequence:
                await self.gate.wait()
            yield batch

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Ask the real one."""
        return await self.real.message(sequence, subject)

    async def status(self) -> LogStatus:
        """Ask the real one."""
        return await self.real.status()

    async def close(self) -> None:
        """Close the real one."""
        await self.real.close()


async def saved_by_an_older_version(count: int) -> Host:
    """Return a host whose *count* messages an older version has folded and saved."""
    host = Host(wait_s=60 + count / 1_000)
    await host.store_each(pushes(count))
    async with host.running() as run:
        await run.until_live_at(count)
    host.settings = NEWER
    return host


async def header_of(host: Host) -> CheckpointHeader:
    """Return the header of what is saved."""
    checkpoint = await loaded(host.store)
    assert checkpoint is not None
    return checkpoint.header


async def watch(run: Run, seen: list[tuple[ServingState, int]]) -> None:
    """Note what every answer would say, for ever."""
    while True:
        seen.append((run.serving, run.view.state.sequence))
        await asyncio.sleep(0)


@pytest.mark.long
@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)]
)
@pytest.mark.timeout(3_000)
async def test_service_stays_live_while_the_log_is_folded_again(count: int) -> None:
    """From the first LIVE answer on, each is LIVE and none goes back."""
    host = await saved_by_an_older_version(count)
    seen: list[tuple[ServingState, int]] = []

    async with host.running() as run:
        await run.until(lambda: run.serving is ServingState.LIVE)
        watching = asyncio.create_task(watch(run, seen))
        generation = run.view.generation
        await run.publish(pushes(10, count))
        await run.until(lambda: run.view.generation > generation)
        await run.until_live_at(count + 1)
        watching.cancel()

        sequences = [sequence for _, sequence in seen]
        assert {state for state, _ in seen} == {ServingState.LIVE}
        assert sequences == sorted(sequences)
        assert run.fingerprint == await host.fingerprint()
    assert (await header_of(host)).fold_version == NEWER.fold_version


async def test_old_state_goes_on_folding_and_is_not_saved_meanwhile() -> None:
    """New events are seen at once; only what the new version made is saved."""
    host = await saved_by_an_older_version(COUNT)
    slow = SlowLog(host.log)
    async with host.running(slow) as run:
        await run.until_live_at(COUNT)
        await run.publish(pushes(5, COUNT))
        await run.until_live_at(COUNT + 1)
        await asyncio.sleep(0.3)

        assert (await header_of(host)).fold_version == FOLD_VERSION
        assert (await header_of(host)).sequence == COUNT
        assert "fold version" in run.view.rebuilding
        generation = run.view.generation

        slow.gate.set()
        await run.until(lambda: run.view.generation > generation)
        assert not run.view.rebuilding
        assert run.fingerprint == await host.fingerprint()
    header = await header_of(host)
    assert (header.fold_version, header.sequence) == (NEWER.fold_version, COUNT + 1)


async def test_crash_before_the_swap_begins_again_from_the_old_checkpoint() -> None:
    """Nothing of the old checkpoint is lost until there is a new one."""
    host = await saved_by_an_older_version(COUNT)
    slow = SlowLog(host.log)
    async with host.running(slow) as run:
        await run.until_live_at(COUNT)
        await run.crash()

    async with host.running(slow) as again:
        assert again.view.state.sequence == COUNT
        await again.until_live_at(COUNT)
        slow.gate.set()
        await again.until(lambda: again.view.generation > 1)
        assert again.fingerprint == await host.fingerprint()
    assert (await header_of(host)).fold_version == NEWER.fold_version
    assert not host.store.discarded


async def test_chunks_of_the_old_state_do_not_stay_in_the_new_checkpoint() -> None:
    """What the new state has no use for is deleted in the save that brings it."""
    host = await saved_by_an_older_version(COUNT)
    checkpoint = await loaded(host.store)
    assert checkpoint is not None
    more = [Chunk("regions", 7, b"x"), Chunk("of_old", 0, b"y")]
    await host.store.save(checkpoint.header, more[1:])

    async with host.running() as run:
        await run.until(lambda: run.view.generation > 1)
        await run.until_live_at(COUNT)

    left = await loaded(host.store)
    assert left is not None
    assert "of_old" not in {chunk.table for chunk in left.chunks}
    async with host.running() as again:
        assert again.fingerprint == await host.fingerprint()


@pytest.mark.parametrize("damage", ["chunk", "columns", "gap"])
async def test_checkpoint_whose_tables_mean_something_else_is_folded_anew(
    damage: str,
) -> None:
    """What cannot be read as ours is not served; the log is folded, REBUILDING."""
    host = await saved_by_an_older_version(COUNT)
    checkpoint = await loaded(host.store)
    assert checkpoint is not None
    bodies = {
        "chunk": Chunk("regions", 0, b"x"),
        "columns": Chunk("regions", 0, _of(checkpoint, "replicas").body),
        "gap": Chunk("regions", 9, b"x"),
    }
    await host.store.save(checkpoint.header, [bodies[damage]])

    async with host.running() as run:
        assert run.view.generation == 0
        await run.until_live_at(COUNT)

        assert run.fingerprint == await host.fingerprint()
    assert (await header_of(host)).fold_version == NEWER.fold_version
    ((reason, aside),) = host.store.discarded
    assert "fold version" in reason
    assert aside.fold_version == FOLD_VERSION


def _of(checkpoint: Checkpoint, table: str) -> Chunk:
    """Return the first chunk of *table*."""
    return next(chunk for chunk in checkpoint.chunks if chunk.table == table)


async def test_table_that_the_old_version_lacked_is_empty_at_first() -> None:
    """It is filled by the fold beside; until then the old state answers without."""
    host = await saved_by_an_older_version(COUNT)
    checkpoint = await loaded(host.store)
    assert checkpoint is not None
    await host.store.save(checkpoint.header, [Chunk("routes", 0, b"")])
    slow = SlowLog(host.log)

    async with host.running(slow) as run:
        await run.until_live_at(COUNT)
        assert run.view.generation == 1

        slow.gate.set()
        await run.until(lambda: run.view.generation > 1)
        assert run.fingerprint == await host.fingerprint()


@pytest.mark.parametrize("accepted", [False, True])
async def test_trimmed_log_is_not_folded_again_unless_an_operator_says_so(
    *, accepted: bool
) -> None:
    """Without its beginning a fold would forget: refused, and the checkpoint stays."""
    host = await saved_by_an_older_version(COUNT)
    host.settings = replace(NEWER, accept_partial_log=accepted)
    host.log.trim(30)

    if not accepted:
        with pytest.raises(LogReplacedError, match="accept_partial_log"):
            async with host.running() as run:
                await run.task
        assert (await header_of(host)).fold_version == FOLD_VERSION
        return
    async with host.running() as run:
        await run.until(lambda: run.view.generation > 1)
        await run.until_live_at(COUNT)
        assert run.view.state.count("folded") == COUNT - 29
    assert (await header_of(host)).fold_version == NEWER.fold_version


async def test_busy_log_does_not_keep_the_new_state_from_taking_over() -> None:
    """Both lines follow a log that never rests; the swap comes all the same."""
    host = await saved_by_an_older_version(2_000)

    async def write() -> None:
        for first in range(2_000, 10**9):
            await host.store_each(pushes(1, first))
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    async with host.running() as run:
        await run.until(lambda: run.view.generation > 1)
        writing.cancel()
        last = (await host.log.status()).last_sequence
        await run.until_live_at(last)

        assert run.fingerprint == await host.fingerprint()
