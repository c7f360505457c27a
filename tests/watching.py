"""A watcher that keeps what it is told, and what it should know by then."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.watched import (
    Bookmark,
    Interest,
    SnapshotBegan,
    SnapshotEnded,
    SnapshotReason,
    WatchedPlacement,
    WatchedTag,
)
from placement.runtime.view import Basis, ServingState
from placement.runtime.watcher import WatchItem

Known = dict[tuple[str, str], object]
"""By repository and digest, or repository and tag."""


@dataclass
class Listener:
    """What one watcher knows."""

    placements: Known = field(default_factory=dict)
    tags: Known = field(default_factory=dict)
    reasons: list[SnapshotReason] = field(default_factory=list)
    bookmarks: list[Bookmark] = field(default_factory=list)
    states: list[ServingState] = field(default_factory=list)
    in_snapshot: bool = False
    told: int = 0
    """How many placements and tags it was told of."""
    certain: tuple[Known, Known] = field(default_factory=lambda: ({}, {}))
    """What it knew at the last bookmark."""

    @property
    def token(self) -> str:
        """Where it could go on."""
        return self.bookmarks[-1].token if self.bookmarks else ""

    def back(self) -> "Listener":
        """Return one that comes back with what was certain at the last bookmark."""
        placements, tags = self.certain
        return Listener(
            dict(placements),
            dict(tags),
            bookmarks=self.bookmarks[-1:],
            certain=self.certain,
        )

    def hear(
        self, items: Iterable[WatchItem], check: Callable[[], None] | None = None
    ) -> None:
        """Take *items* in, in order, and *check* at each bookmark."""
        for item in items:
            match item:
                case SnapshotBegan():
                    self.placements, self.tags = {}, {}
                    self.reasons.append(item.reason)
                    self.in_snapshot = True
                case SnapshotEnded():
                    assert self.in_snapshot
                    self.in_snapshot = False
                case WatchedPlacement():
                    self._keep(self.placements, item, item.digest)
                case WatchedTag():
                    self._keep(self.tags, item, item.tag)
                case Bookmark():
                    assert not self.in_snapshot
                    self.bookmarks.append(item)
                    self.certain = (dict(self.placements), dict(self.tags))
                    if check is not None:
                        check()
                case Basis():
                    self.states.append(item.state)

    def _keep(
        self, known: Known, item: WatchedPlacement | WatchedTag, name: str
    ) -> None:
        self.told += 1
        if item.gone:
            known.pop((item.repository, name), None)
        elif isinstance(item, WatchedPlacement):
            replicas = {r.region: (r.phase, r.held_bytes) for r in item.replicas}
            known[item.repository, name] = (item.size_bytes, replicas)
        else:
            known[item.repository, name] = item.digest


def expected(state: State, interest: Interest) -> tuple[Known, Known]:
    """Return what a watcher should know, read the slow way."""
    placements: Known = {}
    for _, row in state.placements.rows():
        repository, digest = state.placement_at(row)
        replicas = {
            record.region: (record.phase, record.held_bytes)
            for record in state.replicas_of(row)
            if record.phase is not ReplicaPhase.ABSENT
        }
        there = not interest.regions or interest.regions & set(replicas)
        if replicas and there and meant(repository, interest):
            size = state.size_bytes(state.content_of(row))
            placements[repository, digest] = (size, replicas)
    tags: Known = {}
    for key, row in state.repositories.rows():
        name = key.decode()
        if interest.tags and meant(Repository(name), interest):
            for tag, pointer in state.tags_in(row):
                tags[name, tag] = pointer.digest
    return placements, tags


def meant(repository: Repository, interest: Interest) -> bool:
    """Say whether a repository is below one of the prefixes, or there are none."""
    parts = repository.split("/")
    prefixes = [prefix.split("/") for prefix in interest.prefixes]
    return not prefixes or any(parts[: len(p)] == p for p in prefixes)
