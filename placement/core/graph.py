"""An image as a graph: what it consists of, and what of it a region has or lacks.

An index refers to one manifest for each platform, a manifest to its config and layers.
Each content counts once, however often it is referred to.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol, TypeVar

from placement.core.oci import ContentKind, Platform
from placement.core.state import State
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row

DEPTH_MAX: Final = 4
"""An index of indexes of manifests of layers; what is deeper is left out."""
CONTENTS_MAX: Final = 4096
"""An image of more contents is cut off here, so that no graph can hold up an answer."""
REFERENCES_MAX: Final = 8192
"""So many are followed in one graph, and so many contents make up all variants."""


Node = TypeVar("Node", bound=Hashable)


class Graph(Protocol[Node]):
    """What contents are, and what they refer to: the state's rows, or a replica's."""

    def kind(self, digest: Node, /) -> ContentKind:
        """Return what the content is."""

    def size_bytes(self, digest: Node, /) -> int:
        """Return the content's own size; 0 when not known."""

    def children(self, digest: Node, /) -> Iterable[tuple[Node, Platform | None]]:
        """Return what a manifest or index refers to, in its order."""

    def has_children(self, digest: Node, /) -> bool:
        """Say whether a manifest or index is known to refer to anything."""


@dataclass(frozen=True, slots=True)
class ImageStanding:
    """What one region has of an image in one repository; sizes in bytes.

    *complete*: all of it for at least one platform. *mountable_bytes* are those of the
    missing ones that another repository of the same region has.
    """

    complete: bool
    present_bytes: int
    missing_bytes: int
    mountable_bytes: int


def variants(
    state: Graph[Node], digest: Node
) -> list[tuple[Platform | None, list[Node]]]:
    """Return what can be pulled: for each platform, all contents that it needs.

    A blob or manifest is one variant, of no platform. Attestations are none, and what
    comes after REFERENCES_MAX contents is left out.
    """
    if state.kind(digest) is not ContentKind.INDEX:
        return [(None, contents(state, digest))]
    found: list[tuple[Platform | None, list[Node]]] = []
    count = 0
    for child, platform in state.children(digest):
        if not is_attestation(platform) and count < REFERENCES_MAX:
            found.append((platform, [digest, *contents(state, child)]))
            count += len(found[-1][1])
    return found or [(None, [digest])]


def is_attestation(platform: Platform | None) -> bool:
    """Say whether a child of an index is about an image instead of being one."""
    return platform is not None and platform.os == "unknown"


def contents(state: Graph[Node], digest: Node) -> list[Node]:
    """Return *digest* and all that it refers to, each once, in the graph's order."""
    found: dict[Node, None] = {digest: None}
    for child in islice(_walk(state, digest), REFERENCES_MAX):
        found[child] = None
        if len(found) == CONTENTS_MAX:
            break
    return list(found)


def _walk(state: Graph[Node], digest: Node) -> Iterator[Node]:
    """Yield what is referred to, level by level; what several refer to comes again."""
    followed, level = {digest}, [digest]
    for _ in range(DEPTH_MAX):
        below: list[Node] = []
        for row in level:
            for child, _ in state.children(row):
                yield child
                if child not in followed:
                    followed.add(child)
                    below.append(child)
        level = below


def size_of(state: Graph[Node], rows: Sequence[Node]) -> int:
    """Return the sum of the sizes of *rows*, in bytes; unknown ones count nothing."""
    return sum(state.size_bytes(row) for row in rows)


def pull_bytes(state: Graph[Node], digest: Node) -> int:
    """Return what one machine pulls: the whole of the largest platform's variant."""
    if not state.has_children(digest):
        return state.size_bytes(digest)
    return max(size_of(state, rows) for _, rows in variants(state, digest))


def holds(state: State, repository: Row, digest: Row, region: Row) -> bool:
    """Say whether *region* can serve the content from *repository*."""
    placement = state.placements.find(PAIR.pack(repository, digest))
    return placement != ABSENT and state.holds(placement, region)


def missing(state: State, repository: Row, rows: list[Row], region: Row) -> list[Row]:
    """Return those of *rows* that *region* cannot serve from *repository*."""
    return [row for row in rows if not holds(state, repository, row, region)]


def mounts(state: State, repository: Row, digest: Row, region: Row) -> list[Row]:
    """Return the other repositories of *region* from which *digest* can be mounted."""
    owners = (
        Row(PAIR.unpack(state.placements.key(placement))[0])
        for placement in state.indexes.placements_of(digest)
        if state.holds(placement, region)
    )
    return sorted(owner for owner in owners if owner != repository)


def to_move(state: State, repository: Row, digest: Row, region: Row) -> list[Row]:
    """Return the image's contents that would have to be copied into *region*.

    Those that it lacks and cannot mount from another repository of its own. *region*
    may be ABSENT: nothing was ever heard of it.
    """
    absent = missing(state, repository, contents(state, digest), region)
    return [row for row in absent if not mountable(state, repository, row, region)]


def mountable(state: State, repository: Row, digest: Row, region: Row) -> bool:
    """Say whether a blob can be mounted from another repository of *region*.

    Only blobs can: manifests and indexes are pushed anew.
    """
    return is_blob(state, digest) and bool(mounts(state, repository, digest, region))


def is_blob(state: State, digest: Row) -> bool:
    """Say whether the content is no manifest and no index, as far as is known."""
    return state.kind(digest) in {ContentKind.BLOB, ContentKind.UNKNOWN}


def standing(state: State, repository: Row, digest: Row, region: Row) -> ImageStanding:
    """Return what *region* has of the image, over all of its platforms."""
    complete = any(
        not missing(state, repository, rows, region)
        for _, rows in variants(state, digest)
    )
    every = contents(state, digest)
    absent = missing(state, repository, every, region)
    mounted = [row for row in absent if mountable(state, repository, row, region)]
    absent_bytes = size_of(state, absent)
    return ImageStanding(
        complete=complete,
        present_bytes=size_of(state, every) - absent_bytes,
        missing_bytes=absent_bytes,
        mountable_bytes=size_of(state, mounted),
    )


class ImageParts:
    """An image in one repository, walked once, to be looked for in several regions."""

    def __init__(self, state: State, repository: Row, digest: Row) -> None:
        """Look up what it consists of."""
        self._state = state
        self._digest = digest
        self._variants = [rows for _, rows in variants(state, digest)]
        self._placements = {
            row: state.placements.find(PAIR.pack(repository, row))
            for rows in self._variants
            for row in rows
        }
        self._repository = repository

    def missing_bytes(self, region: Row) -> int | None:
        """Return what *region* lacks of it; None: it has all of one platform."""
        state, placements = self._state, self._placements
        held = {
            row
            for row, placement in placements.items()
            if placement != ABSENT and state.holds(placement, region)
        }
        if any(held.issuperset(rows) for rows in self._variants):
            return None
        every = contents(state, self._digest)
        return size_of(state, missing(state, self._repository, every, region))
