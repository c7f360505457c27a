"""Several consecutive messages of the log, decoded so that they fold in columns.

Pulls of content, and starts and stops of machines, are nearly all that a busy log
holds, and most of them commute with whatever stands around them. They travel as
columns, everything else as objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from placement.core.event import Recorded, RecordedMessage, SetAside

Numbers = NDArray[np.int64]
Codes = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@dataclass(slots=True)  # frozen, a log of small messages would take 3 % longer
class Frame:
    """One message of a block: what the fold advances by, and its events' places."""

    sequence: int
    store_time_ns: int
    hashed: Callable[[], bytes]
    """Returns what tells the message from others: of most of them nobody asks."""
    first: int
    """The place of its first event among all events of the block."""
    count: int
    """How many events it holds; none if all of them are left out."""
    _hash: bytes = field(default=b"", repr=False, compare=False)

    @property
    def message_hash(self) -> bytes:
        """What tells the message from any other at the same sequence."""
        if not self._hash:
            self._hash = self.hashed()
        return self._hash


@dataclass(frozen=True, slots=True)
class Pulls:
    """Events ``ContentPulled`` as columns of one length, in the order of the log.

    Each has a sha256 digest, no tag, and names neither app nor organization. Texts are
    places in *names*, which holds each once.
    """

    index: Numbers
    """Its place among all events of the block."""
    batch_index: Numbers
    """Its place in its message."""
    time_ns: Numbers
    """When it happened, never later than it was stored."""
    store_time_ns: Numbers
    digests: Bytes
    """Of shape (pulls, 32)."""
    repository: Codes
    region: Codes
    client: Codes
    """The client's region; -1 where the event does not say."""
    source: Codes
    """The source's region; -1 where the event does not say."""
    media: Codes
    transferred_bytes: Numbers
    duration_ns: Numbers
    """0 where the event does not say."""
    client_kind: NDArray[np.int8]
    names: list[str]

    def __len__(self) -> int:
        """Return how many pulls there are."""
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Starts:
    """Events ``MachineStarted`` as columns of one length, in the order of the log.

    Each has a sha256 digest and names neither app nor organization; its tag, platform,
    cause and when it was asked for are left out. Texts are places in *names*, which
    holds each once.
    """

    index: Numbers
    """Its place among all events of the block."""
    batch_index: Numbers
    """Its place in its message."""
    time_ns: Numbers
    """When it happened, never later than it was stored."""
    store_time_ns: Numbers
    digests: Bytes
    """Of shape (starts, 32)."""
    repository: Codes
    region: Codes
    source: Codes
    """The source's region; -1 where the event does not say."""
    transferred_bytes: Numbers
    wait_ns: Numbers
    """For its image; -1 where the event does not say, as in the two that follow."""
    expected_p50_ns: Numbers
    expected_p90_ns: Numbers
    cache: NDArray[np.int8]
    machines: list[str]
    names: list[str]

    def __len__(self) -> int:
        """Return how many starts there are."""
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Stops:
    """Events ``MachineStopped`` as columns of one length, in the order of the log.

    None names an app or organization; of which image each is, is left out. Regions are
    places in *names*, which holds each once.
    """

    index: Numbers
    """Its place among all events of the block."""
    batch_index: Numbers
    """Its place in its message."""
    time_ns: Numbers
    """When it happened, never later than it was stored."""
    store_time_ns: Numbers
    region: Codes
    machines: list[str]
    names: list[str]

    def __len__(self) -> int:
        """Return how many stops there are."""
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Block:
    """Messages that follow each other, and their events in the order of the log."""

    frames: tuple[Frame, ...]
    event_ids: list[str]
    """Of each event; empty for what is set aside."""
    items: list[Recorded | SetAside | None]
    """Each event; None for one that is in columns."""
    pulls: Pulls
    starts: Starts
    stops: Stops
    recorded: Callable[[int], Recorded]
    """Returns the event at a place that is in columns, as an object."""

    def messages(self) -> list[RecordedMessage]:
        """Return the same messages, with every event as an object."""
        return [
            RecordedMessage(
                frame.sequence,
                frame.store_time_ns,
                frame.message_hash,
                tuple(self.item(frame.first + place) for place in range(frame.count)),
            )
            for frame in self.frames
        ]

    def orders_ns(self) -> Numbers:
        """Return of each event when it was stored, and its place in its message added.

        In most logs that rises from each event to the next.
        """
        found = np.empty(len(self.items), np.int64)
        for part in (self.pulls, self.starts, self.stops):
            found[part.index] = part.store_time_ns + part.batch_index
        for place, item in enumerate(self.items):
            if item is not None:
                found[place] = item.store_time_ns + item.batch_index
        return found

    def item(self, place: int) -> Recorded | SetAside:
        """Return the event at *place*, as an object."""
        return self.items[place] or self.recorded(place)
