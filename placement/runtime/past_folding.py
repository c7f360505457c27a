"""One past state: made of an older checkpoint and of what the log holds after it.

Nothing of it is seen before it is whole, and it never holds the loop for longer than a
slice, after which it is patient: it can wait, and who asks about now cannot.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.ports import (
    Appended,
    CheckpointDamagedError,
    CheckpointHeader,
    Chunk,
    EventLog,
    Expected,
    LogReplacedError,
    LogStatus,
    Message,
)
from placement.runtime.checkpoint import Restored
from placement.runtime.line import Line
from placement.runtime.past_bases import (
    Bases,
    CheckpointAwayError,
    OlderCheckpoints,
    bases,
)
from placement.runtime.quarantine import read_quarantine
from placement.runtime.slices import Patience, in_slices
from placement.wire.events import message_hash

Reading = AsyncGenerator[Sequence[Message], None]


@dataclass
class Sources:
    """What past states are made of."""

    log: EventLog
    checkpoints: OlderCheckpoints
    counts: Counter[str]
    """How many messages were folded, checkpoints loaded, and found damaged."""
    seed: int = 0
    """Of the tables' hash, where a state begins empty."""


class PastFold:
    """The fold of the log of *epoch* up to message *sequence*."""

    def __init__(self, sources: Sources, epoch: str, sequence: int) -> None:
        """Begin nothing yet."""
        self._sources = sources
        self._epoch = epoch
        self._sequence = sequence
        self._patience = Patience()
        self._state: State | None = None

    @property
    def folded(self) -> int:
        """Up to which message it is folded; 0: nothing is."""
        return 0 if self._state is None else self._state.sequence

    async def run(self, found: Bases, messages_max: int) -> State:
        """Return the state.

        *found* is what ``look`` returned. Raises what ``Bases.nearest`` does,
        LogUnavailableError, LogReplacedError and FoldFailedError.
        """
        state = await self._base(found, messages_max)
        self._state = state
        before = state.sequence
        try:
            await self._fold_on(state, found.status)
        finally:
            self._sources.counts["messages"] += state.sequence - before
        return state

    async def _base(self, found: Bases, messages_max: int) -> State:
        """Return the nearest state that there is, or an empty one."""
        for header in found.nearest(self._sequence, messages_max):
            held = await self._held(header, found.status)
            if held != header.message_hash:
                if held is not None:
                    why = "the log holds another message where it ends"
                    await self._sources.checkpoints.drop(header, why)
                continue
            try:
                return await self._loaded(header)
            except CheckpointAwayError:
                continue
            except CheckpointDamagedError as error:
                self._sources.counts["damaged"] += 1
                await self._sources.checkpoints.drop(header, str(error))
        headers = [each for each in found.headers if each.sequence > self._sequence]
        left = Bases(found.status, found.epoch, headers)
        left.nearest(self._sequence, messages_max)  # raises unless the log is whole
        return State(self._sources.seed)

    async def _held(self, header: CheckpointHeader, status: LogStatus) -> bytes | None:
        """Return the hash of the log's message where a checkpoint ends.

        None: it was trimmed meanwhile, and nobody can say any more.
        """
        if header.sequence < status.first_sequence:
            return header.message_hash  # its epoch says so: nothing else can
        message = await self._sources.log.message(header.sequence)
        return None if message is None else message_hash(message)

    async def _loaded(self, header: CheckpointHeader) -> State:
        """Return the state of a checkpoint.

        Raises CheckpointDamagedError and CheckpointAwayError.
        """
        restored, pause = Restored(FOLD_VERSION), self._patience.pause
        take = restored.begin(header)

        def taken(chunks: Sequence[Chunk]) -> Generator[None, None, None]:
            for chunk in chunks:
                take(chunk)
                yield

        async with aclosing(self._sources.checkpoints.read(header)) as reading:
            async for chunks in reading:
                await in_slices(taken(chunks), pause)
        state = await in_slices(restored.state_steps(), pause)
        self._sources.counts["loaded"] += 1
        return state

    async def _fold_on(self, state: State, status: LogStatus) -> None:
        """Fold what follows up to the point, and nothing after it."""
        if state.sequence >= self._sequence:
            return
        log = LogUntil(self._sources.log, self._sequence)
        line = Line(log, state, self._epoch, shown=False)
        line.pause = self._patience.pause
        await line.prepare()
        await line.follow(status.first_sequence, _note_nothing)
        if line.lost or line.tainted or state.sequence != self._sequence:
            why = line.lost or line.tainted or "the log ends before it"
            message = f"as_of: message {self._sequence} was not reached: {why}"
            raise LogReplacedError(message, field="as_of")


async def look(sources: Sources, epoch: str) -> Bases:
    """Return what can be folded now of the log that the service knows as *epoch*.

    Raises LogUnavailableError.
    """
    status = await sources.log.status()
    quarantine = await read_quarantine(sources.log)
    headers = await sources.checkpoints.headers()
    return bases(status, epoch, headers, quarantine.unheeded)


class LogUntil:
    """A log as if it had ended with the message at *last_sequence*."""

    def __init__(self, log: EventLog, last_sequence: int) -> None:
        """Read *log*."""
        self._log = log
        self._last = last_sequence

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Append to the log itself."""
        return await self._log.append(subject, body, message_id, expected)

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield every message after *after_sequence* up to the last, and end then."""
        if after_sequence >= self._last:
            return
        reading = cast("Reading", self._log.read(after_sequence, epoch))
        async with aclosing(reading) as batches:
            async for batch in batches:
                yield [each for each in batch if each.sequence <= self._last]
                if batch and batch[-1].sequence >= self._last:
                    return

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Return one message, as the log holds it now."""
        return await self._log.message(sequence, subject)

    async def status(self) -> LogStatus:
        """Say what log this is."""
        return await self._log.status()

    async def close(self) -> None:
        """Let nothing go: it is another's."""


def _note_nothing(line: Line, *, caught_up: bool) -> None:
    del line, caught_up
