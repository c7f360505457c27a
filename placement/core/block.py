"""Several consecutive messages of the log, decoded so that they fold in columns.

Pulls of content are nearly all that a busy log holds, and most of them commute with
whatever stands around them. They travel as columns, everything else as objects.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.core.event import Recorded, RecordedMessage, SetAside

Numbers = NDArray[np.int64]
Codes = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a block: what the fold advances by, and its events' places."""

    sequence: int
    store_time_ns: int
    message_hash: bytes
    first: int
    """The place of its first event among all events of the block."""
    count: int
    """How many events it holds; none if all of them are left out."""


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
class Block:
    """Messages that follow each other, and their events in the order of the log."""

    frames: tuple[Frame, ...]
    event_ids: list[str]
    """Of each event; empty for what is set aside."""
    items: list[Recorded | SetAside | None]
    """Each event; None for one that is among the *pulls*."""
    pulls: Pulls
    recorded: Callable[[int], Recorded]
    """Returns the event at a place that is among the *pulls*, as an object."""

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

    def item(self, place: int) -> Recorded | SetAside:
        """Return the event at *place*, as an object."""
        return self.items[place] or self.recorded(place)
