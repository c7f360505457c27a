"""What images consist of, kept for each manifest and index as it was told."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

import numpy as np

from placement.core.graph import contents, size_of, variants
from placement.core.mirror.placements import MirroredPlacements
from placement.core.oci import ContentKind, Platform
from placement.core.packed import KEY_BYTES, PackedContents

_REFERENCE: Final = Struct(f"<{KEY_BYTES}sqBI")
_COLUMNS: Final = np.dtype(
    [("key", f"V{KEY_BYTES}"), ("size", "<i8"), ("kind", "u1"), ("platform", "<u4")]
)
"""The same: a reference's key, size, kind, and platform plus one."""
_GRAPHS: Final = frozenset({ContentKind.MANIFEST, ContentKind.INDEX})

IMAGES_KEPT: Final = 2**16


@dataclass(frozen=True, slots=True)
class MirroredImage:
    """What a machine pulls of an image, and which regions have all of a variant."""

    pull_bytes: int
    complete: int


class References:
    """What each manifest and index refers to, and which images are copies of others."""

    def __init__(self) -> None:
        """Begin with none."""
        self._told: dict[bytes, bytes] = {}
        self._platforms: list[Platform] = []
        self._converted: dict[bytes, list[bytes]] = {}

    def __contains__(self, key: bytes) -> bool:
        """Say whether it is told what the content refers to."""
        return key in self._told

    @property
    def bytes_held(self) -> int:
        """Return how large what is told is, without the dictionary around it."""
        return sum(map(len, self._told.values()))

    def apply(self, told: PackedContents) -> None:
        """Take in what contents refer to."""
        platforms = [0, *map(self._platform, told.platforms)]
        table = np.empty(len(told.reference_digests), _COLUMNS)
        table["key"] = told.reference_digests.view(f"V{KEY_BYTES}").reshape(-1)
        table["size"] = told.reference_sizes
        table["kind"] = told.reference_kinds
        table["platform"] = np.array(platforms, np.uint32)[told.reference_platforms]
        packed, begin = table.tobytes(), 0
        keys = [key.tobytes() for key in told.digests]
        for key, count in zip(keys, told.reference_counts.tolist(), strict=True):
            end = begin + count * _REFERENCE.size
            if count:
                self._told[key] = packed[begin:end]
            begin = end
        for row, original in zip(told.converted.tolist(), told.originals, strict=True):
            copies = self._converted.setdefault(original.tobytes(), [])
            if keys[row] not in copies:
                copies.append(keys[row])

    def _platform(self, platform: Platform) -> int:
        """Return how a platform is kept: its position plus one."""
        if platform not in self._platforms:
            self._platforms.append(platform)
        return self._platforms.index(platform) + 1

    def of(self, key: bytes) -> Iterator[tuple[bytes, int, int, Platform | None]]:
        """Yield what a content refers to: key, size, kind and platform."""
        told = self._told.get(key, b"")
        for child, size, kind, platform in _REFERENCE.iter_unpack(told):
            yield child, size, kind, self._platforms[platform - 1] if platform else None

    def converted_from(self, key: bytes) -> list[bytes]:
        """Return the contents that copies made of another one."""
        return self._converted.get(key, [])


class RepositoryGraph:
    """The graph of one repository's images, whose nodes are digests' keys."""

    def __init__(
        self, placements: MirroredPlacements, references: References, owner: int
    ) -> None:
        """Look at what is told of the repository with the row *owner*."""
        self._placements = placements
        self._references = references
        self._owner = owner
        self._referred: dict[bytes, tuple[int, int]] = {}
        """What references say of the contents that were met: size and kind."""

    def row(self, key: bytes) -> int:
        """Return the placement's row, or -1."""
        return self._placements.find(key, self._owner)

    def kind(self, key: bytes) -> ContentKind:
        """Return what the content is."""
        row = self.row(key)
        told = self._placements.kinds.cells[row] if row >= 0 else 0
        return ContentKind(told or self._referred.get(key, (0, 0))[1])

    def size_bytes(self, key: bytes) -> int:
        """Return the content's own size; 0 when not known."""
        row = self.row(key)
        told = self._placements.sizes.cells[row] if row >= 0 else 0
        return told or self._referred.get(key, (0, 0))[0]

    def children(self, key: bytes) -> Iterator[tuple[bytes, Platform | None]]:
        """Yield what a manifest or index refers to, in its order."""
        for child, size, kind, platform in self._references.of(key):
            self._referred[child] = (size, kind)
            yield child, platform

    def has_children(self, key: bytes) -> bool:
        """Say whether a manifest or index is known to refer to anything."""
        return any(True for _ in self._references.of(key))

    def whole(self, key: bytes) -> bool:
        """Say whether all of the graph is told: then it never changes."""
        return all(
            node in self._references or self.kind(node) not in _GRAPHS
            for node in contents(self, key)
        )

    def image(self, key: bytes) -> MirroredImage:
        """Return what a machine pulls of it, and where all of it is."""
        largest, complete = 0, 0
        for _, nodes in variants(self, key):
            largest = max(largest, size_of(self, nodes))
            there = -1
            for node in nodes:
                row = self.row(node)
                there &= self._placements.mask(row) if row >= 0 else 0
            complete |= there
        return MirroredImage(largest, complete)


class Images:
    """The images that were asked for, until something of their repository changes."""

    def __init__(self, placements: MirroredPlacements, references: References) -> None:
        """Begin with none."""
        self._placements = placements
        self._references = references
        self._kept: dict[int, dict[bytes, MirroredImage]] = {}
        """By repository, then by digest."""
        self._count = 0

    def image(self, key: bytes, owner: int) -> MirroredImage:
        """Return what is to be known of an image in a repository."""
        kept = self._kept.get(owner)
        found = kept.get(key) if kept is not None else None
        if found is None:
            graph = RepositoryGraph(self._placements, self._references, owner)
            found = graph.image(key)
            if graph.whole(key):
                self._keep(key, owner, found)
        return found

    def _keep(self, key: bytes, owner: int, image: MirroredImage) -> None:
        if self._count >= IMAGES_KEPT:
            self._kept.clear()
            self._count = 0
        self._kept.setdefault(owner, {})[key] = image
        self._count += 1

    def forget(self, owners: set[int]) -> None:
        """Forget the images of repositories in which something changed."""
        for owner in owners:
            self._count -= len(self._kept.pop(owner, ()))
