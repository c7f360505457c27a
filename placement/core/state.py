"""The state: tables of integers, and the indexes that are derived from them.

Only the fold writes it. Questions read it through the methods below, which speak domain
words. Column positions are named constants beside each table's definition.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from placement.core.event import RegionState
from placement.core.names import NamedTables
from placement.core.oci import (
    ContentKind,
    Digest,
    Platform,
    Repository,
    Tag,
    content_kind,
)
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.indexes import Indexes
from placement.core.tables.keys import PAIR, digest_key, tag_key, tag_name
from placement.core.tables.records import ReplicaRecord, TagPointer
from placement.core.tables.table import ABSENT, Row, RowNumbers
from placement.core.topology import Region

_PLAIN: Final = frozenset({ReplicaPhase.ABSENT, ReplicaPhase.COMPLETE})


class State(NamedTables):
    """All that has been folded, at *sequence*."""

    def __init__(self, seed: int = 0) -> None:
        """Begin before the first message; *seed* changes no answer."""
        super().__init__(seed)
        self.sequence = self.store_time_ns = 0
        self._hashed: Callable[[], bytes] = bytes
        self.indexes = Indexes(self)
        self._codes: list[Region] = []
        """The code of each region's row that was asked for, and of those before."""

    @property
    def message_hash(self) -> bytes:
        """What tells the last message from any other at its sequence; b"" before it."""
        return self._hashed()

    @message_hash.setter
    def message_hash(self, value: bytes) -> None:
        self._hashed = lambda: value

    def hash_when_asked(self, hashed: Callable[[], bytes]) -> None:
        """Let *hashed* return ``message_hash``: few of them are ever asked for."""
        self._hashed = hashed

    # Rows of things by their names; adding is for the fold alone.

    def region_row(self, region: Region) -> Row:
        """Return the region's row, added if it is new."""
        return self.regions.find_or_add(region.encode())

    def repository_row(self, repository: Repository) -> Row:
        """Return the repository's row, added if it is new."""
        return self.repositories.find_or_add(repository.encode())

    def digest_row(self, digest: Digest) -> Row:
        """Return the digest's row, added if it is new."""
        return self.digests.find_or_add(digest_key(digest.encode()))

    def placement_row(self, repository: Repository, digest: Digest) -> Row:
        """Return the row of *digest* in *repository*, added if it is new."""
        owner, content = self.repository_row(repository), self.digest_row(digest)
        key = PAIR.pack(owner, content)
        row = self.placements.find(key)
        if row == ABSENT:
            row, _ = self.placements.add(key)
            self.indexes.add_placement(row, owner, content)
        return row

    def region_at(self, row: Row) -> Region:
        """Return the code of a region's row."""
        codes = self._codes
        while row >= len(codes):
            codes.append(Region(self.regions.key(Row(len(codes))).decode()))
        return codes[row]

    def content_of(self, placement: Row) -> Row:
        """Return the digest's row of a placement."""
        return Row(self.placements.part(placement, 1))

    def size_bytes(self, digest: Row) -> int:
        """Return the content's own size; 0 when not known."""
        return self.digests.get(digest, cells.Digest.SIZE)

    def media_type(self, digest: Row) -> str:
        """Return the content's media type; empty when not known."""
        media = self.digests.get(digest, cells.Digest.MEDIA)
        return self.media_types.key(Row(media - 1)).decode() if media else ""

    def kind(self, digest: Row) -> ContentKind:
        """Return what the content is; a blob is known by what refers to it."""
        return content_kind(self.media_type(digest))

    def children(self, digest: Row) -> Iterator[tuple[Row, Platform | None]]:
        """Yield what a manifest or index refers to, in its order."""
        for position in range(self.digests.get(digest, cells.Digest.EDGES)):
            edge = self.edges.find(PAIR.pack(digest, position))
            platform = self.edges.get(edge, cells.Edge.PLATFORM)
            yield (
                Row(self.edges.get(edge, cells.Edge.CHILD)),
                self.platform_at(Row(platform - 1)) if platform else None,
            )

    def platform_at(self, row: Row) -> Platform:
        """Return the platform of a row."""
        parts = self.platforms.key(row).decode().split("\0")
        return Platform(*parts)

    def has_children(self, digest: Row) -> bool:
        """Say whether a manifest or index is known to refer to anything."""
        return self.digests.get(digest, cells.Digest.EDGES) > 0

    def phase(self, placement: Row, region: Row) -> ReplicaPhase:
        """Return how far the content has arrived; *region* may be ABSENT: nowhere."""
        if region == ABSENT:
            return ReplicaPhase.ABSENT
        row = self.replicas.find(PAIR.pack(placement, region))
        return ReplicaPhase.ABSENT if row == ABSENT else self.phase_at(row)

    def phase_at(self, replica: Row) -> ReplicaPhase:
        """Return how far the replica of a row has arrived."""
        gone, announced, complete, verified, held, _, _ = self.replicas.values(replica)
        if verified > gone:
            return ReplicaPhase.VERIFIED
        if complete > gone:
            return ReplicaPhase.COMPLETE
        if announced > gone:
            return ReplicaPhase.PARTIAL if held else ReplicaPhase.ANNOUNCED
        return ReplicaPhase.ABSENT

    def note_presence(self, placement: Row, region: Row, phase: ReplicaPhase) -> None:
        """Let PRESENT say whether *region* holds the content whole; for the fold."""
        bits = self.placements.get(placement, cells.PlacementLink.PRESENT)
        bit, present = cells.BEYOND_BIT, phase >= ReplicaPhase.COMPLETE
        if region < cells.PRESENT_BITS:
            bit = 1 << region
        elif not present:
            present = any(
                self.replicas.part(row, 1) >= cells.PRESENT_BITS
                and self.phase_at(row) >= ReplicaPhase.COMPLETE
                for row in self.indexes.replicas_of(placement)
            )
        bits = bits | bit if present else bits & ~bit
        self.placements.set(placement, cells.PlacementLink.PRESENT, bits)
        self._note_details(placement, phase)

    def _note_details(self, placement: Row, phase: ReplicaPhase) -> None:
        """Let DETAILED say whether replicas tell more than PRESENT does."""
        column = cells.PlacementLink.DETAILED
        detailed = phase not in _PLAIN
        if not detailed and self.placements.get(placement, column):
            detailed = any(
                self.phase_at(row) not in _PLAIN
                for row in self.indexes.replicas_of(placement)
            )
        self.placements.set(placement, column, int(detailed))

    def replicas_of(self, placement: Row) -> list[ReplicaRecord]:
        """Return what is there or on its way, by region code."""
        found = []
        for row in self.indexes.replicas_of(placement):
            phase = self.phase_at(row)
            if phase is not ReplicaPhase.ABSENT:
                region = Row(self.replicas.part(row, 1))
                found.append(self._replica_at(row, placement, region, phase))
        return sorted(found)

    def holders_of(self, placement: Row) -> list[Row]:
        """Return the regions that have the content whole."""
        bits = self.placements.get(placement, cells.PlacementLink.PRESENT)
        if bits & cells.BEYOND_BIT:
            return [
                region
                for region in self.indexes.regions_of(placement)
                if self.holds(placement, region)
            ]
        found = []
        while bits:
            lowest = bits & -bits
            found.append(Row(lowest.bit_length() - 1))
            bits ^= lowest
        return found

    def holds(self, placement: Row, region: Row) -> bool:
        """Say whether *region*, which may be ABSENT, has the content whole."""
        if 0 <= region < cells.PRESENT_BITS:
            bits = self.placements.get(placement, cells.PlacementLink.PRESENT)
            return bool(bits >> region & 1)
        return self.phase(placement, region) >= ReplicaPhase.COMPLETE

    def presence_of(
        self, placements: RowNumbers
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return who has each content whole: bit r for the region of row r.

        And of which placements that is all; of the others, ask ``holders_of``.
        """
        bits = self.placements.column(cells.PlacementLink.PRESENT)[placements]
        return bits, bits & cells.BEYOND_BIT == 0

    def _replica_at(
        self, row: Row, placement: Row, region: Row, phase: ReplicaPhase
    ) -> ReplicaRecord:
        held = self.replicas.get(row, cells.Replica.HELD)
        if phase >= ReplicaPhase.COMPLETE:
            held = self.size_bytes(self.content_of(placement))
        created = self.replicas.get(row, cells.Replica.CREATE_TIME)
        changed = self.replicas.get(row, cells.Replica.CHANGE_TIME)
        return ReplicaRecord(self.region_at(region), phase, held, created, changed)

    def tag(self, repository: Repository, tag: Tag) -> TagPointer | None:
        """Return what *tag* points to, or None when there is no such tag."""
        owner = self.find_repository(repository)
        row = ABSENT if owner == ABSENT else self.tags.find(tag_key(owner, tag))
        return None if row == ABSENT else self._pointer_at(row)

    def _pointer_at(self, row: Row) -> TagPointer | None:
        digest, region, _, time_ns, sequence = self.tags.values(row)
        if not digest:
            return None
        pointed = self.digest_at(Row(digest - 1))
        return TagPointer(pointed, self.region_at(Row(region)), time_ns, sequence)

    def tags_in(self, repository: Row) -> list[tuple[Tag, TagPointer]]:
        """Return the repository's tags, by name, all at once: see ``tag_steps``."""
        found = map(self.tag_at, self.indexes.tags_of(repository))
        return sorted((tag for tag in found if tag), key=lambda pair: pair[0])

    def tag_at(self, row: Row) -> tuple[Tag, TagPointer] | None:
        """Return a row's tag and what that points to; None: it was removed."""
        pointer = self._pointer_at(row)
        if pointer is None:
            return None
        return tag_name(self.tags.key(row)), pointer

    def tag_target(self, row: Row) -> Row:
        """Return the digest that a row's tag points to; ABSENT: it was removed."""
        return Row(self.tags.get(row, cells.Tag.DIGEST) - 1)

    def app_of(self, repository: Row) -> Row:
        """Return the app's row; a repository that no event owned has none: ABSENT."""
        return Row(self.repositories.get(repository, cells.Repository.APP) - 1)

    def app_name(self, app: Row) -> tuple[str, str]:
        """Return an app's organization and name."""
        organization, name = self.apps.key(app).decode().split("\0")
        return organization, name

    def region_state(self, region: Region, now_ns: int) -> RegionState:
        """Return what operators said of *region*; ACTIVE unless they said otherwise."""
        return self.region_state_at(self.regions.find(region.encode()), now_ns)

    def region_state_at(self, row: Row, now_ns: int) -> RegionState:
        """Return ``region_state`` of a region's row, which may be ABSENT."""
        state = 0 if row == ABSENT else self.regions.get(row, cells.Region.STATE)
        if not state:
            return RegionState.ACTIVE
        expire = self.regions.get(row, cells.Region.STATE_EXPIRE)
        if expire and expire <= now_ns:
            return RegionState.ACTIVE
        return RegionState(state)

    def count(self, name: str) -> int:
        """Return a counter of the fold, such as ``folded``."""
        row = self.counters.find(name.encode())
        return 0 if row == ABSENT else self.counters.get(row, 0)

    @property
    def latest_order_ns(self) -> int:
        """The log's time at the last event folded, which never steps back."""
        return self.count("latest_order_ns")

    @latest_order_ns.setter
    def latest_order_ns(self, value_ns: int) -> None:
        self.counters.set(self.counters.find_or_add(b"latest_order_ns"), 0, value_ns)

    def add_count(self, name: str, count: int = 1) -> None:
        """Count one more of *name*, or *count*; for the fold alone."""
        self.counters.increase(self.counters.find_or_add(name.encode()), 0, count)
