"""A checkpoint that one service offers to another: what it is, and who gives or takes.

An offer's id is a hash over all that it says and over every chunk's own hash, in order.
So whoever has chunks that make the id has what was offered, whatever happened to them
on their way.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import astuple, dataclass
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

from placement.core.errors import PlacementError
from placement.ports import Begin, CheckpointHeader, Chunk

CHUNK_BYTES_MAX: Final = 64 * 1024**2
"""Some 16,384 rows are a few megabytes, with the longest of keys."""
CHUNKS_MAX: Final = 4_000_000


class CheckpointUnsharedError(PlacementError):
    """The service has no checkpoint that it could give away now."""

    reason = "CHECKPOINT_UNSHARED"


class CheckpointBusyError(PlacementError):
    """As many read checkpoints as may, or this reader takes nothing."""

    reason = "CHECKPOINT_BUSY"


class CheckpointRefusedError(PlacementError):
    """A checkpoint from elsewhere is not what it should be, or not of our log."""

    reason = "CHECKPOINT_REFUSED"


class PeerError(Exception):
    """A peer gave no checkpoint, or not all of one, and says why."""

    def __init__(self, why: str, *, again: bool) -> None:
        """Keep whether the same peer may be asked *again*."""
        super().__init__(why)
        self.again = again


class HashedChunk(NamedTuple):
    """A chunk and the hash that it is said to have."""

    chunk: Chunk
    own_hash: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """A checkpoint that is there for the taking."""

    checkpoint_id: str
    header: CheckpointHeader
    seal: str
    """Of the state in the peer's memory, when it was saved."""
    chunk_count: int
    body_bytes: int

    def is_of(self, hashes: Iterable[bytes]) -> bool:
        """Say whether chunks of these *hashes*, in order, are what is offered."""
        size = (self.chunk_count, self.body_bytes)
        said = offer(self.header, self.seal, size, hashes)
        return said.checkpoint_id == self.checkpoint_id


def offer(
    header: CheckpointHeader,
    seal: str,
    size: tuple[int, int],
    hashes: Iterable[bytes],
) -> Offer:
    """Return the offer of so many chunks and bytes, whose *hashes* come in order."""
    said = ascii((*astuple(header), seal, *size)).encode()
    total = blake2b(said, digest_size=32)
    for each in hashes:
        total.update(each)
    return Offer(total.hexdigest(), header, seal, *size)


class SharedCopies(Protocol):
    """A service's side: copies of its checkpoint that stay as they are."""

    async def make(self, header: CheckpointHeader, seal: str) -> Offer:
        """Copy the checkpoint as it is now, which is of *header*, and prove it.

        It takes the place of the copy before. Raises CheckpointUnsharedError.
        """

    def read(
        self, offered: Offer, held_count: int
    ) -> AsyncGenerator[Sequence[HashedChunk], None]:
        """Yield its chunks after the first *held_count*, some at a time."""

    async def drop(self) -> None:
        """Delete the copy, if there is one."""


class Peer(Protocol):
    """Another service, as one that may give its checkpoint."""

    @property
    def name(self) -> str:
        """What an operator calls it, HOST:PORT."""

    def stream(
        self, fold_version: int, checkpoint_id: str, held_count: int
    ) -> AsyncGenerator[Offer | HashedChunk, None]:
        """Yield an offer, and its chunks: after *held_count* if it is that one.

        Raises PeerError, and CheckpointRefusedError for what no peer of ours sends.
        """


class Staging(Protocol):
    """The taker's side: where chunks wait, on the disk, until they are whole."""

    async def held(self) -> tuple[str, int, int]:
        """Return the id of what was begun, and how many chunks and bytes are there.

        They survive the process. An empty id: nothing was begun, or it is damaged.
        """

    async def add(self, offered: Offer, chunks: Sequence[HashedChunk]) -> None:
        """Add the next chunks; those of another offer go first.

        Raises CheckpointRefusedError for what is not as it is said to be, and
        CheckpointUnwritableError, also where there is no room for it.
        """

    async def load(self, offered: Offer, begin: Begin) -> None:
        """Give all chunks to what *begin* returns for the offer's header.

        Raises CheckpointRefusedError unless they are all that was offered.
        """

    async def adopt(self, offered: Offer) -> None:
        """Let what is there be the service's checkpoint: wholly, or not at all."""

    async def clear(self) -> None:
        """Forget what was begun."""
