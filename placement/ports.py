"""The promises that the runtime relies on: a log to read, a checkpoint to keep."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from placement.core.errors import PlacementError

Clock = Callable[[], int]
"""Nanoseconds since 1970, UTC. Made in ``app``; the core never has one."""

READ_BATCH_MESSAGES_MAX = 512
"""A batch that EventLog.read yields holds at most so many messages."""


class LogUnavailableError(PlacementError):
    """The log cannot be reached now; the same call may succeed later."""

    reason = "LOG_UNAVAILABLE"


class LogReplacedError(PlacementError):
    """The log is another one than before, or was rewound or trimmed past us."""

    reason = "LOG_REPLACED"


class LogConfigurationError(PlacementError):
    """The log exists but is not set up as the service needs it; says the remedy."""

    reason = "LOG_CONFIGURATION"


class LogFullError(PlacementError):
    """The log refuses new messages because it is full."""

    reason = "LOG_FULL"


class CheckpointDamagedError(PlacementError):
    """The checkpoint does not match its own hashes, or cannot be read."""

    reason = "CHECKPOINT_DAMAGED"


class CheckpointUnwritableError(PlacementError):
    """The checkpoint could not be written (disk full, I/O error); nothing of it was."""

    reason = "CHECKPOINT_UNWRITABLE"


@dataclass(frozen=True, slots=True)
class Message:
    """A message where the log holds it."""

    sequence: int
    store_time_ns: int
    subject: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message is stored, and whether it was already there."""

    epoch: str
    sequence: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class LogStatus:
    """What log this is and how far it reaches.

    *epoch* changes when the log is deleted and made anew. An empty log has
    ``first_sequence == last_sequence + 1``.
    """

    epoch: str
    first_sequence: int
    last_sequence: int


class EventLog(Protocol):
    """A totally ordered, durable log of messages, numbered from 1 without gaps.

    Each method may raise LogUnavailableError, except that ``read`` waits instead.
    """

    async def append(self, subject: str, body: bytes, message_id: str) -> Appended:
        """Store a message durably, once per *message_id* within the log's memory.

        Raises LogFullError, and LogUnavailableError when it is not known to be stored:
        repeat with the same id.
        """

    def read(self, after_sequence: int) -> AsyncIterator[Sequence[Message]]:
        """Yield every message after *after_sequence*, in order, for ever.

        A batch holds at most READ_BATCH_MESSAGES_MAX messages. An empty batch means:
        the log was reached just now and has nothing newer; it comes at least every two
        seconds while the log can be reached. While it cannot, nothing comes, and
        reading goes on by itself within three seconds of its return. Raises
        LogReplacedError when the next message can never come: another epoch, a log
        that ends before *after_sequence*, or messages that are gone.
        """

    async def message(self, sequence: int) -> Message | None:
        """Return one message, or None when the log does not hold it."""

    async def status(self) -> LogStatus:
        """Say what log this is and how far it reaches, by asking it now."""

    async def close(self) -> None:
        """Let go of the connection; the log stays."""


@dataclass(frozen=True, slots=True)
class CheckpointHeader:
    """The position that a checkpoint stands for, and by which rules."""

    epoch: str
    sequence: int
    store_time_ns: int
    fold_version: int
    message_hash: bytes
    """The hash of the message at *sequence*; empty at sequence 0."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A packed run of rows of one table; *body* replaces the chunk of that number."""

    table: str
    number: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state with its position."""

    header: CheckpointHeader
    chunks: tuple[Chunk, ...]


class CheckpointStore(Protocol):
    """Where one service keeps its state between runs. One writer at a time."""

    async def load(self) -> Checkpoint | None:
        """Return the last saved checkpoint, or None when there is none.

        Raises CheckpointDamagedError unless every byte is as it was saved, and
        CheckpointUnwritableError when what is there cannot be opened at all now.
        """

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Write *chunks* and *header* in one transaction, or write nothing.

        Chunks that are not given stay as they are; an empty body deletes its chunk.
        *chunks* are taken whole before the first wait. Raises
        CheckpointUnwritableError, after which the next load returns the old or the new
        save, whole; and CheckpointDamagedError when what is there is not what was
        saved.
        """

    async def discard(self, reason: str) -> None:
        """Begin anew: put what is there aside, so that people can look at it."""

    async def close(self) -> None:
        """Let go of the files."""
