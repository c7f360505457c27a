"""What must not go wrong when a save is cut short, or a log errs or is another one."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from placement.adapters.memory import MemoryEventLog
from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.core.event import Event, Identifier
from placement.core.event_keys import event_key
from placement.core.fingerprint import fingerprint
from placement.core.state import State
from placement.ports import (
    Appended,
    CheckpointHeader,
    Chunk,
    Expected,
    LogConfigurationError,
    LogStatus,
    Message,
)
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Outcome, Publisher
from placement.runtime.view import SILENCE_NS_MAX, ServingState, View
from tests.builders import IAD, pushed

WAIT_S = 10.0


def events(count: int) -> list[Event]:
    """Return *count* events, each of another id."""
    return [
        replace(pushed(f"layer-{n}", IAD), event_id=Identifier(f"e{n}"))
        for n in range(count)
    ]


class CutStore(SqliteCheckpointStore):
    """A store whose first save never comes to its end."""

    def __init__(self, path: Path) -> None:
        """Keep *path*; ``saving`` tells that a save was begun."""
        super().__init__(path)
        self.saving = asyncio.Event()

    async def save(self, header: CheckpointHeader, chunks: Sequence[Chunk]) -> None:  # type: ignore[override]  # a list is what it gets
        """Hang at first, until cancelled; then save."""
        if not self.saving.is_set():
            self.saving.set()
            await asyncio.Event().wait()
        await super().save(header, chunks)


@dataclass
class ErringLog:
    """A log that gives wrong answers as long as a test says so."""

    real: MemoryEventLog
    wrong_count: int = 0
    """So many questions are answered as by a leader that knows nothing yet."""
    misconfigured: bool = False

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store in the real one."""
        return await self.real.append(subject, body, message_id, expected)

    def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Read the real one."""
        return self.real.read(after_sequence, epoch)

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Ask the real one."""
        return await self.real.message(sequence, subject)

    async def status(self) -> LogStatus:
        """Say what the real one says, or less."""
        if self.misconfigured:
            message = "the stream is not as it must be"
            raise LogConfigurationError(message)
        status = await self.real.status()
        if self.wrong_count:
            self.wrong_count -= 1
            return replace(status, first_sequence=1, last_sequence=0)
        return status

    async def close(self) -> None:
        """Close the real one."""
        await self.real.close()


@asynccontextmanager
async def run(projector: Projector) -> AsyncIterator[asyncio.Task[None]]:
    """Run *projector* within the block, from its checkpoint, and finish it."""
    await projector.restore()
    task = asyncio.create_task(projector.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        await projector.finish()


async def until_folded(view: View, sequence: int) -> None:
    """Return once *view* has caught up with *sequence*."""
    async with asyncio.timeout(WAIT_S):
        while not view.ready or view.state.sequence < sequence:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def log() -> MemoryEventLog:
    """Return an empty log."""
    return MemoryEventLog(time.time_ns)


def projector_of(
    log: MemoryEventLog | ErringLog, store: SqliteCheckpointStore, view: View
) -> Projector:
    """Return a projector that saves often."""
    settings = ProjectorSettings(checkpoint_interval_seconds=0.1)
    return Projector(log, store, view, time.time_ns, settings)


async def test_save_that_is_cut_short_by_the_end_loses_nothing(
    log: MemoryEventLog, tmp_path: Path
) -> None:
    """What a cancelled save had taken is in the last save, whole."""
    path = tmp_path / "checkpoint.sqlite"
    view, store = View(time.time_ns), CutStore(path)
    await Publisher(log, view).publish(events(20))
    async with run(projector_of(log, store, view)):
        await until_folded(view, 1)
        await store.saving.wait()
    await store.close()

    again, store_again = View(time.time_ns), SqliteCheckpointStore(path)
    await projector_of(log, store_again, again).restore()
    await store_again.close()

    assert again.state.sequence == view.state.sequence > 0
    assert fingerprint(again.state) == fingerprint(view.state)


@pytest.mark.parametrize(("wrong_count", "broken"), [(1, False), (2, True)])
async def test_epoch_is_broken_by_what_is_found_twice(
    log: MemoryEventLog, tmp_path: Path, wrong_count: int, *, broken: bool
) -> None:
    """One wrong answer, as a new leader may give it, is asked again.

    Two are believed: what the log holds is folded again, under another name.
    """
    view, erring = View(time.time_ns), ErringLog(log)
    store = SqliteCheckpointStore(tmp_path / "checkpoint.sqlite")
    await Publisher(log, view).publish(events(1))
    async with run(projector_of(erring, store, view)):
        await until_folded(view, 1)
        erring.wrong_count = wrong_count
        await asyncio.sleep(2.5)
        assert not erring.wrong_count
        assert (view.epoch != (await log.status()).epoch) == broken
        assert view.serving_state() is ServingState.LIVE
    await store.close()


async def test_one_wrong_answer_at_the_start_does_not_cost_the_checkpoint(
    log: MemoryEventLog, tmp_path: Path
) -> None:
    """The checkpoint is still believed, and nothing was put aside."""
    path = tmp_path / "checkpoint.sqlite"
    for wrong_count in (0, 1):
        view, store = View(time.time_ns), SqliteCheckpointStore(path)
        await Publisher(log, view).publish(events(1))
        async with run(projector_of(ErringLog(log, wrong_count), store, view)):
            await until_folded(view, 1)
        await store.close()

    assert not list(tmp_path.glob("*.damaged-*"))  # noqa: ASYNC240


async def test_misconfigured_log_does_not_end_answers_from_a_checkpoint(
    log: MemoryEventLog, tmp_path: Path
) -> None:
    """With a checkpoint it goes on STALE until the log is right; without, it ends."""
    path = tmp_path / "checkpoint.sqlite"
    erring = ErringLog(log, misconfigured=True)
    store = SqliteCheckpointStore(path)
    view = View(time.time_ns)
    with pytest.raises(LogConfigurationError):
        await projector_of(erring, store, view).run()
    erring.misconfigured = False
    await Publisher(log, view).publish(events(1))
    async with run(projector_of(erring, store, view)):
        await until_folded(view, 1)

    erring.misconfigured = True
    view = View(time.time_ns)
    async with run(projector_of(erring, store, view)) as running:
        await asyncio.sleep(0.2)
        assert not running.done()
        assert view.serving_state() is ServingState.STALE
        erring.misconfigured = False
        await until_folded(view, 1)
        assert view.serving_state() is ServingState.LIVE
    await store.close()


async def test_what_a_lost_log_held_is_stored_again_in_the_new_one(
    log: MemoryEventLog,
) -> None:
    """After a broken epoch nothing is a duplicate because it was folded before."""
    view = View(time.time_ns)
    publisher = Publisher(log, view)
    view.replace(State(), "another-log", restored=False)
    for event in events(2):
        view.state.event_ids.add(event_key(event))
    view.broken("the log is another one")

    published = await publisher.publish(events(2))

    assert set(published.outcomes) == {Outcome.STORED}
    assert published.epoch == (await log.status()).epoch


def test_clock_that_was_set_back_does_not_keep_the_state_live() -> None:
    """Once the log was heard after the step, silence counts from there."""
    now_ns = [10 * 3_600 * 10**9]
    view = View(lambda: now_ns[0])
    view.caught_up()
    now_ns[0] -= 3_600 * 10**9
    view.caught_up()
    assert view.serving_state() is ServingState.LIVE

    now_ns[0] += SILENCE_NS_MAX + 1

    assert view.serving_state() is ServingState.STALE
