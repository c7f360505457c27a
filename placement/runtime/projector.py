"""The loop: read the log, fold it, let answers see it, and save it now and then."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from placement.core.fold import FOLD_VERSION, fold
from placement.core.state import State
from placement.ports import (
    CheckpointDamagedError,
    CheckpointStore,
    CheckpointUnwritableError,
    Clock,
    EventLog,
    LogConfigurationError,
    LogReplacedError,
    LogStatus,
    LogUnavailableError,
    Message,
)
from placement.runtime.checkpoint import inspect, require_whole, save, state_of
from placement.runtime.view import View
from placement.wire.events import decode_message

WATCH_SECONDS = 1.0
"""How often the log is asked what it is and how far it reaches."""
SLICE_SECONDS = 0.001
"""Folding lets answers in after so long, at the end of a message."""

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectorSettings:
    """When to save, and what an operator accepts."""

    checkpoint_interval_seconds: float = 5.0
    checkpoint_message_count: int = 20_000
    accept_partial_log: bool = False


class Projector:
    """Keeps a view up to date with a log, and a checkpoint behind it."""

    def __init__(
        self,
        log: EventLog,
        store: CheckpointStore,
        view: View,
        clock: Clock,
        settings: ProjectorSettings,
    ) -> None:
        """Write *view* from *log* and *store*; nothing happens until ``run``."""
        self._log = log
        self._store = store
        self._view = view
        self._clock = clock
        self._settings = settings
        self._unsaved_messages = 0
        self._saved_sequence = 0
        self._foreign = ""
        """Why the checkpoint is not used; it is kept until folding anew may begin."""
        self._save_due = asyncio.Event()

    async def restore(self) -> None:
        """Answer from the checkpoint, if there is one that can be believed."""
        try:
            checkpoint = await self._store.load()
            if checkpoint is None:
                return
            header = checkpoint.header
            if header.fold_version != FOLD_VERSION:
                found = header.fold_version
                self._foreign = f"fold version {found}, ours is {FOLD_VERSION}"
                return
            state = state_of(checkpoint)
        except CheckpointDamagedError as error:
            await self._discard(str(error))
            return
        self._view.replace(state, header.epoch, restored=True)
        self._saved_sequence = state.sequence
        log_events.info("checkpoint_loaded", sequence=state.sequence)

    async def run(self) -> None:
        """Fold for ever; raises LogReplacedError when that can never begin."""
        await self._accept(*await self._reach())
        async with asyncio.TaskGroup() as tasks:
            folding = tasks.create_task(self._fold_all())
            tasks.create_task(self._watch(folding))
            tasks.create_task(self._save_regularly())

    async def finish(self) -> None:
        """Save what is folded, once folding has stopped."""
        await self._save()

    async def _reach(self) -> tuple[LogStatus, str]:
        """Return what ``inspect`` does, a reason only when it is found twice.

        Raises LogConfigurationError, unless there is a checkpoint to answer from.
        """
        suspected = False
        while True:
            try:
                status, why = await inspect(self._log, self._view)
            except LogUnavailableError as error:
                log_events.warning("log_unreachable", reason=str(error))
            except LogConfigurationError as error:
                if not self._view.epoch:
                    raise
                log_events.error("log_misconfigured", reason=str(error))  # noqa: TRY400 - a remedy, no bug
            else:
                if suspected or not why:
                    return status, why
                suspected = True
            await asyncio.sleep(WATCH_SECONDS)

    async def _accept(self, status: LogStatus, why: str) -> None:
        why = self._foreign or why
        if why or not self._view.state.sequence:
            # Before anything is put aside: an older version may need it again.
            accept = self._settings.accept_partial_log
            require_whole(status, accept_partial_log=accept)
        if why:
            await self._discard(why)
            self._view.replace(State(), "", restored=False)
        self._view.epoch = status.epoch

    async def _discard(self, reason: str) -> None:
        log_events.error("checkpoint_refused", reason=reason, remedy="folding anew")
        await self._store.discard(reason)
        self._saved_sequence = 0

    async def _fold_all(self) -> None:
        after = self._view.state.sequence
        try:
            async for batch in self._log.read(after):
                await self._fold_batch(batch)
        except LogReplacedError as error:
            self._break(str(error))

    async def _fold_batch(self, batch: Sequence[Message]) -> None:
        if not batch:
            self._view.caught_up()
            return
        state, loop = self._view.state, asyncio.get_running_loop()
        slice_start = loop.time()
        for message in batch:
            fold(state, decode_message(message))
            if loop.time() - slice_start > SLICE_SECONDS:
                self._view.advanced()
                await asyncio.sleep(0)
                slice_start = loop.time()
        self._view.advanced()
        self._unsaved_messages += len(batch)
        if self._unsaved_messages >= self._settings.checkpoint_message_count:
            self._save_due.set()

    async def _watch(self, folding: asyncio.Task[None]) -> None:
        """Ask the log every second, so that age and identity are known for sure.

        A cluster that elects a leader may err for a moment: only what is found twice
        breaks the epoch, since that is for good.
        """
        suspected = False
        while not self._view.trouble_is_final:
            time_ns = self._clock()
            try:
                status, why = await inspect(self._log, self._view)
            except LogUnavailableError:
                pass
            else:
                if not why:
                    self._view.reached(time_ns, status.last_sequence)
                elif suspected:
                    self._break(why)
                    folding.cancel()
                suspected = bool(why)
            await asyncio.sleep(WATCH_SECONDS)

    def _break(self, why: str) -> None:
        log_events.error(
            "epoch_broken",
            reason=why,
            remedy="answers go on from the old state; restart to fold the log anew",
        )
        self._view.broken(why)
        self._save_due.set()

    async def _save_regularly(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.checkpoint_interval_seconds):
                    await self._save_due.wait()
            except TimeoutError:
                pass
            self._save_due.clear()
            await self._save()

    async def _save(self) -> None:
        view = self._view
        sequence = view.state.sequence
        if sequence == self._saved_sequence:
            return
        self._unsaved_messages = 0
        try:
            count = await save(self._store, view.state, view.epoch)
        except CheckpointUnwritableError as error:
            log_events.warning("checkpoint_failed", reason=str(error))
            view.degraded(str(error))
            return
        self._saved_sequence = sequence
        view.degraded("")
        log_events.debug("checkpoint_saved", sequence=sequence, chunk_count=count)
