"""What a copy has come to so far: written by who moves bytes, read by who reports."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from placement.core.oci import Descriptor, Digest
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Transfer:
    """One blob that moved without a break, by our own clock."""

    digest: Digest
    source_region: Region
    moved_bytes: int
    duration_ns: int
    concurrency: int


@dataclass(slots=True)
class Progress:
    """One copy under way; *rank* may be lowered, when somebody begins to wait."""

    rank: int
    moved_bytes: int = 0
    cut_count: int = 0
    """How often a body broke off and was gone on with."""
    source_region: Region | None = None
    """Where the last bytes came from; None: none had to move."""
    under_way: dict[Digest, tuple[Descriptor, int]] = field(default_factory=dict)
    """Blobs that are moving, with the bytes that are here."""
    arrived: list[Descriptor] = field(default_factory=list)
    """Blobs that are here, verified, and not yet told of."""
    transfers: list[Transfer] = field(default_factory=list)
    """What was measured and is not yet told of."""

    def hurry(self, rank: int) -> None:
        """Go on at *rank*, if that is before its own."""
        self.rank = min(self.rank, rank)

    def come(self, digest: Digest) -> float:
        """Return how much of a blob that is moving is here, from 0 to 1."""
        blob, held_bytes = self.under_way.get(digest, (None, 0))
        return held_bytes / blob.size_bytes if blob and blob.size_bytes else 0.0

    def taken_arrived(self) -> list[Descriptor]:
        """Return what arrived since the last time."""
        taken, self.arrived = self.arrived, []
        return taken

    def taken_transfers(self) -> list[Transfer]:
        """Return what was measured since the last time."""
        taken, self.transfers = self.transfers, []
        return taken


class Lanes:
    """How many blobs come from each region just now, over all copies."""

    def __init__(self) -> None:
        """Begin with none."""
        self._open: Counter[Region] = Counter()

    def count(self, region: Region) -> int:
        """Return how many come from *region*."""
        return self._open[region]

    @contextmanager
    def entered(self, region: Region) -> Iterator[None]:
        """Count one more from *region* within the block."""
        self._open[region] += 1
        try:
            yield
        finally:
            self._open[region] -= 1
