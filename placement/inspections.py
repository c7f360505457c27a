"""What is seen of a broker, its stream and a spool by who only looks at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Unmet:
    """A field of the stream's configuration that is not as the service needs it."""

    field: str
    found: str
    needed: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Copy:
    """One of the stream's copies beside its leader's, as the leader sees it."""

    server: str
    current: bool
    lag: int
    """Operations that it is behind."""


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """A stream as its leader describes it."""

    epoch_created_ns: int
    first_sequence: int
    last_sequence: int
    message_count: int
    size_bytes: int
    bytes_max: int | None
    """None: no limit."""
    unmet: Sequence[Unmet]
    leader: str
    """Empty where the server is none of a cluster."""
    led: bool
    copies: Sequence[Copy]
    unconfirmed_ns: int
    """For so long the leader heard no majority of the copies."""
    server_time_ns: int | None
    """The broker's clock as it answered; None: it does not tell (before 2.10)."""

    @property
    def trimmed(self) -> bool:
        """Whether the beginning of what was stored is gone."""
        first = self.first_sequence if self.message_count else self.last_sequence + 1
        return first > 1


@dataclass(frozen=True, slots=True)
class BrokerSeen:
    """A broker that let us in."""

    servers: str
    """Where it is, without passwords."""
    version: tuple[int, ...]
    payload_bytes_max: int
    """The largest message that it takes."""
    payload_bytes_needed: int
    """The largest that we store."""
    trouble: str = ""
    """Why the stream could not be looked at; empty: it could, or there is none."""
    denied: bool = False
    """Whether that is because our user may not."""
    stream: StreamSeen | None = None

    @property
    def payload_suffices(self) -> bool:
        """Whether the largest message of ours is taken."""
        return self.payload_bytes_max >= self.payload_bytes_needed


@dataclass(frozen=True, slots=True)
class SpoolSeen:
    """An agent's spool as its file says; times in nanoseconds since 1970."""

    waiting_count: int
    waiting_bytes: int
    kept_count: int
    kept_bytes: int
    sent_count: int
    set_aside_count: int
    """From the first day on."""
    oldest_waiting_ns: int | None
    aside_count: int
    """Set aside, and still there."""
    asides: Mapping[str, int]
    """The same by reason."""
    feeds: Mapping[str, int]
    """When the last that is still there came, by feed."""


@dataclass(frozen=True, slots=True)
class AsideSeen:
    """What an agent could not send, and why."""

    number: int
    feed: str
    headers: Mapping[str, str]
    received_ns: int
    body: bytes
    reason: str
    detail: str


class Inspection(Protocol):
    """Looks at a broker; nothing that it does changes what is stored."""

    async def look(self) -> BrokerSeen:
        """Return how broker and stream are; LogUnavailableError: not let in."""

    async def may_append(self, subject: str) -> str:
        """Return why nothing of *subject* can be stored by our user; empty: it can."""

    async def may_read(self) -> str:
        """Return why our user cannot read the stream; empty: it can."""
