"""Every port in memory, for tests: the same promises, and controls to break them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress

from placement.adapters.log_message import check_body, matches
from placement.adapters.message_ids import DUPLICATE_WINDOW_NS, MessageIds
from placement.ports import (
    READ_BATCH_MESSAGES_MAX,
    Appended,
    Begin,
    CheckpointDamagedError,
    CheckpointHeader,
    CheckpointUnwritableError,
    Chunk,
    Clock,
    Expected,
    LogFullError,
    LogMovedError,
    LogReplacedError,
    LogStatus,
    LogUnavailableError,
    Message,
    RunRecord,
)

IDLE_SECONDS = 1.0


class MemoryEventLog:
    """An EventLog whose messages die with the process.

    ``stop`` and ``resume`` make it unreachable and reachable; ``replace``, ``rewind``
    and ``trim`` do what LogReplacedError is for.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        messages_max: int | None = None,
        duplicate_window_ns: int = DUPLICATE_WINDOW_NS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """Be empty; *messages_max* None means never full."""
        self._clock = clock
        self._messages_max = messages_max
        self._idle_seconds = idle_seconds
        self._messages: list[Message] = []
        self._first_sequence = 1
        self._ids = MessageIds(duplicate_window_ns)
        self._epoch_number = 1
        self._reachable = True
        self._closed = False
        self._changed = asyncio.Event()

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store a message as the port says: what is expected is looked at first."""
        check_body(body)
        self._check_reachable()
        now_ns = self._clock()
        stored = self._ids.sequence(message_id, now_ns)
        if expected is not None:
            self._check_expected(expected, subject, stored)
        if stored:
            return Appended(self._epoch, stored, duplicate=True)
        if self._messages_max is not None and len(self._messages) >= self._messages_max:
            message = f"the log holds {self._messages_max} messages, which is its limit"
            raise LogFullError(message)
        sequence = self._last_sequence + 1
        self._messages.append(Message(sequence, now_ns, subject, body))
        self._ids.remember(message_id, sequence, now_ns)
        self._announce()
        return Appended(self._epoch, sequence, duplicate=False)

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield as the port says; without *epoch*, from that of the first moment."""
        epoch, position = epoch or self._epoch, after_sequence
        last: Message | None = None
        while True:
            changed = self._changed
            if self._closed:
                message = "the log was closed by this process"
                raise LogUnavailableError(message)
            if self._reachable:
                self._check_readable(epoch, position, last)
                start = position + 1 - self._first_sequence
                batch = self._messages[start : start + READ_BATCH_MESSAGES_MAX]
                yield batch
                if batch:
                    position, last = position + len(batch), batch[-1]
                    await asyncio.sleep(0)
                    continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle_seconds):
                    await changed.wait()

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Return one message, or the first of *subject* from there on, or None."""
        self._check_reachable()
        if subject:
            later = self._messages[max(0, sequence - self._first_sequence) :]
            return next((m for m in later if matches(subject, m.subject)), None)
        if not self._first_sequence <= sequence <= self._last_sequence:
            return None
        return self._at(sequence)

    async def last(self, subject: str) -> Message | None:
        """Return the last message of *subject*, or None."""
        self._check_reachable()
        newest_first = reversed(self._messages)
        return next((m for m in newest_first if matches(subject, m.subject)), None)

    async def status(self) -> LogStatus:
        """Say what log this is and how far it reaches."""
        self._check_reachable()
        return LogStatus(self._epoch, self._first_sequence, self._last_sequence)

    async def close(self) -> None:
        """Make every later call raise LogUnavailableError."""
        self._closed = True
        self._announce()

    def stop(self) -> None:
        """Become unreachable."""
        self._reachable = False
        self._announce()

    def resume(self) -> None:
        """Be reachable again, with all that was stored."""
        self._reachable = True
        self._announce()

    def replace(self) -> None:
        """Become another, empty log: a new epoch, which knows no message id."""
        self._epoch_number += 1
        self._messages.clear()
        self._first_sequence = 1
        self._ids.clear()
        self._announce()

    def rewind(self, last_sequence: int) -> None:
        """Lose what came after *last_sequence*, as a store put back from a backup."""
        del self._messages[max(0, last_sequence + 1 - self._first_sequence) :]
        self._ids.forget_after(self._last_sequence)
        self._announce()

    def trim(self, first_sequence: int) -> None:
        """Lose what came before *first_sequence*."""
        count = min(max(0, first_sequence - self._first_sequence), len(self._messages))
        del self._messages[:count]
        self._first_sequence += count
        self._announce()

    @property
    def _epoch(self) -> str:
        """The name of this log among those that this object has been."""
        return f"memory-{self._epoch_number}"

    @property
    def _last_sequence(self) -> int:
        """The sequence of the newest message, or of the one before the first."""
        return self._first_sequence + len(self._messages) - 1

    def _at(self, sequence: int) -> Message:
        """Return the message at *sequence*, which the log holds."""
        return self._messages[sequence - self._first_sequence]

    def _announce(self) -> None:
        """Wake every reader."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _check_reachable(self) -> None:
        """Raise LogUnavailableError while stopped or closed."""
        if self._closed or not self._reachable:
            message = f"the log is {'closed' if self._closed else 'stopped'}"
            raise LogUnavailableError(message)

    def _check_readable(self, epoch: str, position: int, last: Message | None) -> None:
        """Raise LogReplacedError if a reader of *epoch* at *position* cannot go on.

        *last* is the message that it read there, if it read one.
        """
        fault = ""
        if epoch != self._epoch:
            fault = f"the log was made anew: it is {self._epoch}, and was {epoch}"
        elif position > self._last_sequence:
            fault = f"the log ends at {self._last_sequence}, before {position}"
        elif position + 1 < self._first_sequence:
            fault = f"the log begins at {self._first_sequence}, after {position}"
        elif last and position >= self._first_sequence and self._at(position) != last:
            fault = f"message {position} is another than was read: rewound, and grown"
        if fault:
            raise LogReplacedError(fault, epoch=epoch, sequence=str(position))

    def _check_expected(self, expected: Expected, subject: str, stored: int) -> None:
        """Raise LogMovedError unless what is expected holds.

        Or held when the message itself was *stored*: then it is the first one since.
        """
        assert matches(expected.subjects, subject), "an append expects of its own kind"
        since = max(0, expected.sequence + 1 - self._first_sequence)
        sought = (reversed(self._messages), self._messages[since:])
        last, first_since = (
            next((m.sequence for m in ms if matches(expected.subjects, m.subject)), 0)
            for ms in sought
        )
        if last != expected.sequence and (not stored or first_since != stored):
            raise LogMovedError(expected, last)


class MemoryRunRecords:
    """RunRecords that outlive a projector, and die with the process."""

    def __init__(self) -> None:
        """Hold an empty record."""
        self._record = RunRecord()
        self.writable = True

    def load(self) -> RunRecord:
        """Return what was noted or kept last."""
        return self._record

    def note(self, record: RunRecord) -> None:
        """Remember *record*."""
        self._record = record

    def keep(self, record: RunRecord) -> None:
        """Remember *record*; CheckpointUnwritableError unless ``writable``."""
        if not self.writable:
            message = "the records in memory are not writable"
            raise CheckpointUnwritableError(message)
        self._record = record


class MemoryCheckpointStore:
    """A CheckpointStore whose checkpoint dies with the process.

    Set ``writable`` to False and saving fails; ``damage`` makes loading fail.
    ``discarded`` holds the headers of what was put aside, with the reasons.
    """

    def __init__(self) -> None:
        """Be empty and in order."""
        self._header: CheckpointHeader | None = None
        self._chunks: dict[tuple[str, int], Chunk] = {}
        self._damaged = False
        self.writable = True
        self.discarded: list[tuple[str, CheckpointHeader]] = []

    async def load(self, begin: Begin) -> CheckpointHeader | None:
        """Read the last saved checkpoint; CheckpointDamagedError after ``damage``."""
        if self._damaged:
            message = "the checkpoint in memory was damaged"
            raise CheckpointDamagedError(message)
        if self._header is not None:
            take = begin(self._header)
            for key in sorted(self._chunks):
                take(self._chunks[key])
        return self._header

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Keep *header* and *chunks*, all or none; an empty body deletes its chunk."""
        replaced = {(chunk.table, chunk.number): chunk for chunk in chunks}
        if not self.writable:
            message = "the store in memory is not writable"
            raise CheckpointUnwritableError(message)
        if self._damaged:
            message = "the checkpoint in memory was damaged"
            raise CheckpointDamagedError(message)
        merged = self._chunks | replaced
        self._chunks = {key: chunk for key, chunk in merged.items() if chunk.body}
        self._header = header

    async def discard(self, reason: str) -> None:
        """Begin anew; what was there goes to ``discarded``."""
        if self._header is not None:
            self.discarded.append((reason, self._header))
        self._header = None
        self._chunks.clear()
        self._damaged = False

    async def close(self) -> None:
        """Keep everything: the next user of the object finds it."""

    def damage(self) -> None:
        """Let the next ``load`` find a byte that was not saved."""
        self._damaged = True
