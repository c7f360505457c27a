"""What a watcher sees of the state: placements and tags that it is interested in."""

from dataclasses import dataclass, field
from enum import IntEnum

from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Interest:
    """What is watched; nothing said means all of it.

    *regions* choose placements that are in at least one of them, and tell where else
    those are; a tag belongs to no region. *prefixes* choose repositories by whole path
    components: ``acme`` is ``acme`` and ``acme/web``, and not ``acmecorp``.
    """

    regions: frozenset[Region] = frozenset()
    prefixes: tuple[Repository, ...] = ()
    tags: bool = False


@dataclass(frozen=True, slots=True, order=True)
class WatchedReplica:
    """How far content has arrived in a region, and how much of it is there."""

    region: Region
    phase: ReplicaPhase
    held_bytes: int


@dataclass(frozen=True, slots=True)
class WatchedPlacement:
    """Where content is, by region; nowhere that is watched: gone."""

    repository: Repository
    digest: Digest
    size_bytes: int
    replicas: tuple[WatchedReplica, ...]

    @property
    def gone(self) -> bool:
        """Whether whoever watches may forget it."""
        return not self.replicas


@dataclass(frozen=True, slots=True)
class WatchedTag:
    """Where a tag points to; None: it was removed."""

    repository: Repository
    tag: Tag
    digest: Digest | None

    @property
    def gone(self) -> bool:
        """Whether whoever watches may forget it."""
        return self.digest is None


Watched = WatchedPlacement | WatchedTag


class SnapshotReason(IntEnum):
    """Why a watcher is given a snapshot."""

    REQUESTED = 1
    """It came without a resume token."""
    COMPACTED = 2
    """It is so far behind that changes are forgotten."""
    REPLACED = 3
    """What it knows is of another log, or of another way to fold it."""


@dataclass(frozen=True, slots=True)
class SnapshotBegan:
    """Whatever was told before is void: all that is watched follows."""

    reason: SnapshotReason


@dataclass(frozen=True, slots=True)
class SnapshotEnded:
    """All that is watched was told; a bookmark follows."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What was told so far is exactly what was folded at *sequence*.

    *token* goes on from there; empty: nobody can.
    """

    token: str
    sequence: int
    store_time_ns: int


Told = Watched | SnapshotBegan | SnapshotEnded | Bookmark
"""What a watcher is told, but for how far the service may be trusted."""


@dataclass
class Selection:
    """One interest in one state; it remembers which repositories are meant."""

    state: State
    interest: Interest
    _meant: dict[Row, bool] = field(default_factory=dict)

    def placement(self, row: Row) -> WatchedPlacement | None:
        """Return how a placement looks now; None: it is, and was, none of our business.

        What was in a watched region once and is there no more is gone.
        """
        state = self.state
        owner, content = map(Row, PAIR.unpack(state.placements.key(row)))
        if not self._means(owner):
            return None
        records = state.replicas_of(row)
        wanted = self.interest.regions
        if wanted and not any(record.region in wanted for record in records):
            known = map(state.region_at, state.indexes.regions_of(row))
            if wanted.isdisjoint(known):
                return None
            records = []
        return WatchedPlacement(
            state.repository_at(owner),
            state.digest_at(content),
            state.size_bytes(content),
            tuple(WatchedReplica(r.region, r.phase, r.held_bytes) for r in records),
        )

    def tag(self, row: Row) -> WatchedTag | None:
        """Return where a tag points to now; None: tags, or this one, are not meant."""
        key = self.state.tags.key(row)
        owner = Row(int.from_bytes(key[:4], "little"))
        if not self.interest.tags or not self._means(owner):
            return None
        pointed = self.state.tags.get(row, cells.Tag.DIGEST)
        digest = self.state.digest_at(Row(pointed - 1)) if pointed else None
        name = Tag(key[4:].decode())
        return WatchedTag(self.state.repository_at(owner), name, digest)

    def _means(self, owner: Row) -> bool:
        if not self.interest.prefixes:
            return True
        meant = self._meant.get(owner)
        if meant is None:
            name = self.state.repository_at(owner)
            meant = self._meant[owner] = any(
                name == prefix or name.startswith(f"{prefix}/")
                for prefix in self.interest.prefixes
            )
        return meant
