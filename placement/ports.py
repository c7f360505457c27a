"""The promises that the runtime relies on: a log, a checkpoint, and notes of a run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from placement.core.errors import PlacementError

Clock = Callable[[], int]
"""Nanoseconds since 1970, UTC. Made in ``app``; the core never has one."""

READ_BATCH_MESSAGES_MAX = 512
"""A batch that EventLog.read yields holds at most so many messages."""


class LogUnavailableError(PlacementError):
    """The log cannot be reached now; the same call may succeed later."""

    reason = "LOG_UNAVAILABLE"


class LogForbiddenError(LogUnavailableError):
    """We have not the right to make such a call, until an operator gives it to us.

    Of an append, *subject* in its metadata is the message's own where that is denied.
    """


class LogReplacedError(PlacementError):
    """The log is another one than before, or was rewound or trimmed past us."""

    reason = "LOG_REPLACED"


class LogConfigurationError(PlacementError):
    """The log exists but is not set up as the service needs it; says the remedy."""

    reason = "LOG_CONFIGURATION"


class LogFullError(PlacementError):
    """The log refuses new messages because it is full."""

    reason = "LOG_FULL"


@dataclass(frozen=True, slots=True)
class Expected:
    """What an append rests on: the last message on *subjects* is at *sequence*.

    *subjects* is a pattern, in which ``*`` stands for any one token and a last ``>``
    for all that follow, and of which the appended message's own subject is one. A
    *sequence* of 0: there is no such message.
    """

    subjects: str
    sequence: int


class LogMovedError(PlacementError):
    """Another message was stored on the expected subjects: nothing was stored now.

    ``last_sequence`` is where the last of them is; 0 also when the log does not say.
    """

    reason = "LOG_MOVED"

    def __init__(self, expected: Expected, last_sequence: int) -> None:
        """Keep *last_sequence* for the caller."""
        subjects, sequence = expected.subjects, expected.sequence
        found = f"at {last_sequence}" if last_sequence else "another one"
        super().__init__(
            f"the last message on {subjects} is not at {sequence} but {found}: fold "
            "the log up to its end, decide again by what it holds, and append that",
            subjects=subjects,
            sequence=str(sequence),
            last_sequence=str(last_sequence),
        )
        self.last_sequence = last_sequence


class CheckpointDamagedError(PlacementError):
    """The checkpoint does not match its own hashes, or cannot be read."""

    reason = "CHECKPOINT_DAMAGED"


class CheckpointUnwritableError(PlacementError):
    """The checkpoint could not be written (disk full, I/O error); nothing of it was."""

    reason = "CHECKPOINT_UNWRITABLE"


class CheckpointFsyncError(CheckpointUnwritableError):
    """The disk failed to flush: what it holds is unknown until a process reads it anew.

    A second flush may succeed and still have lost what the first one lost, so the store
    refuses every later save, and the process ends with exit code 70.
    Source: Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.
    """

    exit_code = 70


class Message(NamedTuple):
    """A message where the log holds it."""

    sequence: int
    store_time_ns: int
    subject: str
    body: bytes
    trace: str = ""
    """The context that it came with, of W3C Trace Context; empty: none is known."""


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
    ``first_sequence == last_sequence + 1``. All of it was so *unconfirmed_ns* before
    somebody was asked: what a majority of copies stored since may be missing.
    """

    epoch: str
    first_sequence: int
    last_sequence: int
    unconfirmed_ns: int = 0


class EventLog(Protocol):
    """A totally ordered, durable log of messages, numbered from 1 without gaps.

    Each method may raise LogUnavailableError, except that ``read`` waits instead.
    """

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store a message durably, once per *message_id* within the log's memory.

        With *expected*, only if that holds; else LogMovedError is raised. Of any number
        of appends that expect the same, one is stored. All who write to the expected
        subjects should expect something: a replicated log may store an append that
        expects nothing while it stores one that does not know of it.

        A repeat is answered as a duplicate if it expects what the first did, or what
        holds now. If it expects anything else, it is that or a LogMovedError. What was
        refused may be stored later under the same id.

        Raises LogFullError, and LogUnavailableError when it is not known to be stored:
        repeat with the same id and expectation.
        """

    def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncIterator[Sequence[Message]]:
        """Yield every message after *after_sequence*, in order, for ever.

        Of the log that *epoch* names; without one, of the one that is there at first.
        A batch holds at most READ_BATCH_MESSAGES_MAX messages. An empty batch means:
        the log was reached just now and has nothing newer; it comes at least every two
        seconds while the log can be reached. While it cannot, nothing comes, and
        reading goes on by itself within three seconds of its return. Raises
        LogReplacedError when the next message can never come: another epoch, a log
        that ends before *after_sequence*, or messages that are gone.
        """

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Return one message, or None when the log does not hold it.

        With a *subject*, in which ``*`` stands for any one token and a last ``>`` for
        all that follow: the first message of that subject at *sequence* or later.
        """

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


Rest = Callable[[float], Awaitable[None]]
"""Lets others work for a while, after as many seconds of work as it is told."""
Begin = Callable[[CheckpointHeader], Callable[[Chunk], None]]
"""Begins with a header to take the chunks that are saved with it; returns what does."""


class CheckpointStore(Protocol):
    """Where one service keeps its state between runs. One writer at a time."""

    async def load(self, begin: Begin) -> CheckpointHeader | None:
        """Read the last saved checkpoint; None when there is none.

        Each chunk is given to what *begin* returns, one after the other, by table and
        number, perhaps in another thread; and kept by nobody else: a state of gigabytes
        is never there twice. What was given is worth nothing before this returns the
        header that *begin* was called with last: it is called again where an older
        checkpoint is fallen back to.

        Raises CheckpointDamagedError unless every byte is as it was saved, and
        CheckpointUnwritableError when what is there cannot be opened at all now.
        """

    async def save(self, header: CheckpointHeader, chunks: Iterable[Chunk]) -> None:
        """Write *chunks* and *header* in one transaction, or write nothing.

        Chunks that are not given stay as they are; an empty body deletes its chunk.
        *chunks* are taken whole before the first wait. Raises
        CheckpointUnwritableError, after which the next load returns the old or the new
        save, whole; its CheckpointFsyncError, after which every later save raises it
        too; and CheckpointDamagedError when what is there is not what was saved.
        """

    async def discard(self, reason: str) -> None:
        """Begin anew: put what is there aside, so that people can look at it."""

    async def close(self) -> None:
        """Let go of the files."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run of a service leaves for the next, however it ended."""

    epoch: str = ""
    """The newest name under which answers were given."""
    sequence: int = 0
    """No answer of that epoch rested on more of the log than this."""
    message_hash: bytes = b""
    """The hash of the message at *sequence*; empty at sequence 0."""
    failed_sequence: int = 0
    """The message whose folding ended the last run; 0: none did."""
    failed_count: int = 0
    """How many runs in a row ended there."""
    failed_reason: str = ""
    """How the last of them ended, for people."""


class RunRecords(Protocol):
    """Where a service keeps one RunRecord; quick enough to be called in the loop."""

    def load(self) -> RunRecord:
        """Return the newest record that is whole; an empty one when there is none."""

    def note(self, record: RunRecord) -> None:
        """Keep *record* whatever ends the process; a power failure may lose it.

        Raises nothing: with the disk gone, answers must go on.
        """

    def keep(self, record: RunRecord) -> None:
        """Keep *record* whatever happens; raises CheckpointUnwritableError."""


class Peers(Protocol):
    """Other services over the same log, which may be there and hear, or not."""

    async def tell(self, body: bytes) -> None:
        """Send *body* to whoever listens now; raises LogUnavailableError."""

    async def listen(self, received: Callable[[bytes], Awaitable[None]]) -> None:
        """Give each body to *received* until cancelled; raises LogUnavailableError."""
