"""What a mirror knows of some images, as a state that every question can read.

Estimates weigh routes, mounts and arrivals against each other; there is one way to do
that, and it reads a state. So the images in question are written into one, by the same
functions that the fold writes with.
"""

from itertools import islice
from typing import Final

from placement.core.event import Event, Identifier, TickPassed
from placement.core.folds.description import convert, describe, refer
from placement.core.folds.presence import At, arrive
from placement.core.graph import contents
from placement.core.mirror.images import RepositoryGraph
from placement.core.mirror.mirror import NOWHERE, Mirror
from placement.core.oci import ContentKind, Descriptor, Platform, Repository
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region

_TYPES: Final = {
    ContentKind.UNKNOWN: "",
    ContentKind.BLOB: "application/octet-stream",
    ContentKind.MANIFEST: "application/vnd.oci.image.manifest.v1+json",
    ContentKind.INDEX: "application/vnd.oci.image.index.v1+json",
}
"""A media type that is of the kind that was told."""
_TOLD_NS: Final = 1
"""When all of it is said to have happened: after nothing was gone."""
_NOTHING: Final = Event(Identifier("excerpt"), Region(""), TickPassed(0))
MOUNTS_LOOKED_AT: Final = 1024
"""So many other repositories of a content are asked whether it can be mounted."""
_COLUMNS: Final = {
    ReplicaPhase.ANNOUNCED: cells.Replica.ANNOUNCED,
    ReplicaPhase.PARTIAL: cells.Replica.ANNOUNCED,
    ReplicaPhase.COMPLETE: cells.Replica.COMPLETE,
    ReplicaPhase.VERIFIED: cells.Replica.VERIFIED,
}


class Excerpt:
    """A state that holds what a mirror knows of the images that were put into it."""

    def __init__(self, mirror: Mirror) -> None:
        """Begin with the mirror's regions and routes, and no content."""
        self._mirror = mirror
        self.state = State()
        for name in ("regions", "routes", "transfers"):
            setattr(self.state, name, getattr(mirror.state, name))
        self._done: set[tuple[int, bytes]] = set()

    def add_image(self, repository: Repository, key: bytes) -> None:
        """Put in an image of a repository, its equivalents, and what can be mounted."""
        owner = self._mirror.owners.get(repository)
        if owner is None:
            return
        graph = RepositoryGraph(self._mirror.placements, self._mirror.references, owner)
        for image in (key, *self._mirror.references.converted_from(key)):
            for node in contents(graph, image):
                self._add(graph, repository, node)
        for copy_key in self._mirror.references.converted_from(key):
            row = self.state.digest_row(self._mirror.digest(copy_key))
            convert(self.state, row, self._mirror.digest(key))

    def _add(self, graph: RepositoryGraph, repository: Repository, key: bytes) -> None:
        state, row = self.state, graph.row(key)
        digest = describe(state, self._described(graph, key))
        if row != NOWHERE:
            self._place(row, repository, key)
        children = [
            self._described(graph, child, platform)
            for child, platform in graph.children(key)
        ]
        refer(state, digest, tuple(children))
        self._add_mounts(row, key)

    def _described(
        self, graph: RepositoryGraph, key: bytes, platform: Platform | None = None
    ) -> Descriptor:
        kind, size_bytes = graph.kind(key), graph.size_bytes(key)
        if not size_bytes or kind is ContentKind.UNKNOWN:
            # A copy made it of an image of another repository, and only there.
            told_kind, told_bytes = self._told_elsewhere(key)
            kind = kind or told_kind
            size_bytes = size_bytes or told_bytes
        return Descriptor(self._mirror.digest(key), _TYPES[kind], size_bytes, platform)

    def _told_elsewhere(self, key: bytes) -> tuple[ContentKind, int]:
        """Return what other repositories are told of a content, which is the same."""
        placements, kind, size_bytes = self._mirror.placements, 0, 0
        for row in islice(self._mirror.sharers.of(key), MOUNTS_LOOKED_AT):
            kind = kind or placements.kinds.cells[row]
            size_bytes = size_bytes or placements.sizes.cells[row]
            if kind and size_bytes:
                break
        return ContentKind(kind), size_bytes

    def _add_mounts(self, row: int, key: bytes) -> None:
        """Put in other repositories, one at least for each region that has it."""
        mirror, seen = self._mirror, 0
        for other in islice(mirror.sharers.of(key), MOUNTS_LOOKED_AT):
            mask = mirror.placements.mask(other)
            if other != row and mask & ~seen:
                seen |= mask
                owner = mirror.placements.owners.cells[other]
                self._place(other, mirror.repositories[owner], key)

    def _place(self, row: int, repository: Repository, key: bytes) -> None:
        """Put in where a placement is."""
        mirror, state = self._mirror, self.state
        if (row, key) in self._done:
            return
        self._done.add((row, key))
        placement = state.placement_row(repository, mirror.digest(key))
        for region, bit in mirror.region_rows.items():
            phase = mirror.phase(row, region)
            if phase is ReplicaPhase.ABSENT:
                continue
            at = At(
                _NOTHING,
                state.region_row(Region(region)),
                0,
                _TOLD_NS,
                _TOLD_NS,
                late=False,
            )
            replica = arrive(state, at, placement, _COLUMNS[phase])
            held = mirror.placements.coming.get(row, {}).get(bit, (0, 0))[1]
            state.replicas.set(replica, cells.Replica.HELD, held)
