"""What an agent relies on to lose nothing: the promise of its spool.

The spool is an outbox on disk. What it took is sent to the log in order, and what was
sent is kept for a while, in case the log loses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from placement.core.errors import PlacementError

NOTE_BYTES_MAX: Final = 1 << 20
"""A body that is spooled is at most so long."""
ROUND_BYTES_MAX: Final = 8 << 20
"""What ``waiting`` returns at once: bodies of so many bytes, or a single one."""
DETAIL_LENGTH_MAX: Final = 2_048


class SpoolFullError(PlacementError):
    """The spool holds as much as it may: nothing of what was given was taken."""

    reason = "SPOOL_FULL"

    def __init__(self, held_bytes: int, most_bytes: int) -> None:
        """Say how much waits, and what to do."""
        super().__init__(
            f"{held_bytes} bytes wait in the spool, which may hold {most_bytes}: look "
            "why the log cannot be reached, or raise agent.spool.waiting_bytes_max",
            waiting_bytes=str(held_bytes),
        )


class SpoolUnwritableError(PlacementError):
    """The disk refused (full, I/O error): nothing of what was given was taken."""

    reason = "SPOOL_UNWRITABLE"


class SpoolFsyncError(SpoolUnwritableError):
    """The disk failed to flush: only a new process can know what it holds."""

    exit_code = 70


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody told the agent, as it came, or events of its own."""

    feed: str
    """Whose words *body* is in."""
    body: bytes
    received_ns: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """The few of the request's headers that say what the body means."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A note where the spool holds it; not *intact*: its bytes are not as they were."""

    number: int
    note: Note
    intact: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a log: the *sequence* of a message in the log of this *epoch*."""

    epoch: str
    sequence: int
    mark: str = field(default="", compare=False)
    """Stands for what that message says; empty: nobody knows."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What can never be sent, and why."""

    note: Note
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of entries: they need not be sent any more."""

    sent: Sequence[int] = ()
    """Numbers of those that the log holds now: they are kept."""
    position: Position | None = None
    """No message that holds them is after this; None: nothing was sent."""
    dropped: Sequence[int] = ()
    """Numbers of those that said nothing for the log: they are not kept."""
    asides: Sequence[Aside] = ()


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much a spool holds."""

    waiting_bytes_max: int = 1 << 30
    """Of bodies that wait; more are refused."""
    kept_bytes_max: int = 256 << 20
    """Of bodies that were sent; beyond, the oldest are forgotten."""
    kept_ns_max: int = 3 * 86_400 * 1_000_000_000
    """How long they are kept after they came."""
    reserve_bytes: int = 32 << 20
    """Of the disk, held back for writing down what was sent when there is no room."""
    aside_count_max: int = 10_000
    """What was set aside; beyond, the oldest is forgotten, and stays counted."""


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """How a spool is; what was sent and set aside counts from its first day."""

    waiting_count: int = 0
    waiting_bytes: int = 0
    oldest_waiting_ns: int | None = None
    """When the oldest that waits came."""
    kept_count: int = 0
    kept_bytes: int = 0
    sent_count: int = 0
    set_aside_count: int = 0
    position: Position | None = None
    """As far as is known, the last message of ours in the log."""


class Spool(Protocol):
    """A bounded outbox that outlives its process. One process at a time."""

    @property
    def figures(self) -> SpoolFigures:
        """How it is now, from memory."""

    async def put(self, notes: Sequence[Note]) -> None:
        """Take *notes*, all or none; they are on the disk once this returns.

        Many callers share one flush. Raises SpoolFullError, and SpoolUnwritableError
        after which they may still be there. Each body is at most NOTE_BYTES_MAX.
        """

    async def waiting(
        self, count_max: int, patience_s: float, after: int = 0
    ) -> Sequence[Entry]:
        """Return the oldest entries that wait to be sent, in the order they came.

        Of those with a number above *after*; with none of these, an empty list at once.
        Where none waits at all, waits up to *patience_s* for the first. Raises
        SpoolUnwritableError.
        """

    async def settle(self, settled: Settled) -> None:
        """Send these entries no more, keep them, and keep what was set aside.

        In one transaction, in which what is kept too long is forgotten. Raises
        SpoolUnwritableError.
        """

    async def resend(self, position: Position) -> int:
        """Let all wait again that is kept, but not in the log before *position*.

        That is: what was sent to another epoch, or to this *position* or later ones,
        which the log lost. Returns how many. Raises SpoolUnwritableError.
        """

    async def close(self) -> None:
        """Let go of the file; what is under way is finished."""
