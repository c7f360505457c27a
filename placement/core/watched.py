"""What a watcher sees of the state: placements and tags that it is interested in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Protocol, TypeVar

from placement.core.oci import Digest, Repository, Tag
from placement.core.sight import owns
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.changes import Changes
from placement.core.tables.keys import PAIR, tag_name, tag_owner
from placement.core.tables.table import Row
from placement.core.topology import Region


class Seen(Protocol):
    """One thing that is watched, as it looks now."""

    @property
    def gone(self) -> bool:
        """Whether whoever watches may forget it."""


Item = TypeVar("Item", bound=Seen)
Item_co = TypeVar("Item_co", bound=Seen, covariant=True)


class Scene(Protocol[Item_co]):
    """What is watched, in one state, as one watcher is told of it."""

    @property
    def changes(self) -> Changes:
        """The notes of what changed."""

    @property
    def chunked(self) -> bool:
        """Whether many things are told as one, so that sending takes longest."""
        return False

    @property
    def room(self) -> int:
        """Return how many things a snapshot tells of, at the most; 0: it says not."""
        return 0

    def begin(self) -> int:
        """Return from which note on a snapshot that begins now is out of date."""
        return self.changes.end

    def parts(self) -> Iterator[Callable[[int], Item_co | None]]:
        """Yield what tells the next part of a snapshot, given the time."""

    def following(self, position: int, now_ns: int) -> tuple[int, Iterable[Item_co]]:
        """Return the position after the next changes, and what is told of them."""

    def beside(self, now_ns: int) -> Iterable[Item_co]:
        """Return what else is to be told before a bookmark at *now_ns*."""
        del now_ns  # nothing is
        return ()


class RowScene(Scene[Item_co], Protocol[Item_co]):
    """A scene whose things are told one by one."""

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Yield what a snapshot tells of: a row, and the second part of its note."""

    def look(self, row: Row, now_ns: int, *, is_tag: bool) -> Item_co | None:
        """Return how the row's looks; None: it is none of the watcher's business."""

    def parts(self) -> Iterator[Callable[[int], Item_co | None]]:
        """Yield what tells the next thing, unless it is gone."""
        for row, is_tag in self.rows():
            yield partial(self._there, row, is_tag=is_tag)

    def _there(self, row: Row, now_ns: int, *, is_tag: bool) -> Item_co | None:
        seen = self.look(row, now_ns, is_tag=is_tag)
        return None if seen is None or seen.gone else seen

    def following(self, position: int, now_ns: int) -> tuple[int, Iterable[Item_co]]:
        """Return the position after the next change, and what is to be told of it."""
        position, noted = self.changes.read(position)
        if noted is None:
            return position, ()
        row, is_tag = noted
        seen = self.look(row, now_ns, is_tag=is_tag)
        return position, () if seen is None else (seen,)


class Watchable(Protocol[Item_co]):
    """What can be watched, whatever the state."""

    @property
    def trusting(self) -> bool:
        """Whether it is told of a state that is neither LIVE nor DEGRADED."""

    def select(self, state: State) -> Scene[Item_co]:
        """Return what is watched in *state*."""


@dataclass(frozen=True, slots=True)
class Interest(Watchable["Watched"]):
    """What is watched; nothing said means all of it.

    *regions* choose placements that are in at least one of them, and tell where else
    those are; a tag belongs to no region. *prefixes* choose repositories by whole path
    components: ``acme`` is ``acme`` and ``acme/web``, and not ``acmecorp``.
    """

    regions: frozenset[Region] = frozenset()
    prefixes: tuple[Repository, ...] = ()
    tags: bool = False
    organization: str = ""
    """Whose repositories alone may be told of; empty: everybody's."""

    @property
    def trusting(self) -> bool:
        """Whether it is told what is known, however old that is."""
        return True

    @property
    def everywhere(self) -> bool:
        """Whether every repository is watched."""
        return not self.prefixes and not self.organization

    def select(self, state: State) -> "Selection":
        """Return how what is watched looks in *state*."""
        return Selection(state, self)

    def means(self, name: Repository) -> bool:
        """Say whether what is in the repository of this *name* is watched."""
        if self.organization and not owns(self.organization, name):
            return False
        return not self.prefixes or any(
            name == prefix or name.startswith(f"{prefix}/") for prefix in self.prefixes
        )


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
    """Whatever was told before is void: all that is watched follows.

    So many things at the most, but for what is added meanwhile; 0: that is not said.
    """

    reason: SnapshotReason
    item_count_max: int = 0


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
class Selection(RowScene[Watched]):
    """One interest in one state; it remembers which repositories are meant."""

    state: State
    interest: Interest
    _meant: dict[Row, bool] = field(default_factory=dict)

    @property
    def changes(self) -> Changes:
        """Return the notes of what changed."""
        return self.state.indexes.changes

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Yield what there is, by row, what is added late too; true is a tag's."""
        row = 0
        while row < len(self.state.placements):
            yield Row(row), False
            row += 1
        row = 0
        while self.interest.tags and row < len(self.state.tags):
            yield Row(row), True
            row += 1

    def look(self, row: Row, now_ns: int, *, is_tag: bool) -> Watched | None:
        """Return how a placement or tag looks; None: it is none of our business."""
        del now_ns  # it looks the same at any time
        return self.tag(row) if is_tag else self.placement(row)

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
        owner = tag_owner(key)
        if not self.interest.tags or not self._means(owner):
            return None
        pointed = self.state.tags.get(row, cells.Tag.DIGEST)
        digest = self.state.digest_at(Row(pointed - 1)) if pointed else None
        name = tag_name(key)
        return WatchedTag(self.state.repository_at(owner), name, digest)

    def _means(self, owner: Row) -> bool:
        if self.interest.everywhere:
            return True
        meant = self._meant.get(owner)
        if meant is None:
            meant = self.interest.means(self.state.repository_at(owner))
            self._meant[owner] = meant
        return meant
