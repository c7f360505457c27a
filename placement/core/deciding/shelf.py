"""What a storage region holds of one repository: its images, and contents of none.

An image is a manifest or index that nothing else on the shelf refers to; what it refers
to belongs to it. Presence is per repository, so a shelf is what can be removed without
touching any other repository of the region.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from placement.core import oci
from placement.core.decisions import may_have_left
from placement.core.graph import contents
from placement.core.oci import ContentKind, Tag
from placement.core.state import State
from placement.core.tables.cells import Digest, ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row

_SIGNED: Final = re.compile(r"sha256-([0-9a-f]{64})")
"""How tags of signatures begin that are found by the name of what they sign."""


@dataclass(frozen=True, slots=True)
class HeldImage:
    """An image of which a region holds at least the manifest or index itself.

    *here*: the contents that the region holds, in the graph's order, digests' rows.
    """

    placement: Row
    digest: Row
    here: tuple[Row, ...]


@dataclass(frozen=True)
class Shelf:
    """One repository in one storage region, as rows; made for one question."""

    state: State
    owner: Row
    region: Row
    expected: frozenset[Row] = frozenset()
    """Digests of images that have to be there, whether or not they are."""
    _families: dict[Row, list[Row]] = field(default_factory=dict, repr=False)
    held: frozenset[Row] = field(init=False)
    """The digests that the region can serve from the repository."""

    def __post_init__(self) -> None:
        """Find what is there."""
        state = self.state
        found = (
            state.content_of(placement)
            for placement in state.indexes.placements_in(self.owner)
            if state.phase(placement, self.region) >= ReplicaPhase.COMPLETE
        )
        object.__setattr__(self, "held", frozenset(found))

    @cached_property
    def doubtful(self) -> frozenset[Row]:
        """Those of the digests that may have left: nothing is to rely on them."""
        state, region = self.state, self.region
        return frozenset(
            row
            for row in self.held
            if may_have_left(state, self.placement(row), region)
        )

    @cached_property
    def images(self) -> dict[Row, HeldImage]:
        """The images by their digest's row, in the order of the rows."""
        manifests = [row for row in sorted(self.held) if is_manifest(self.state, row)]
        below = set(self._children(manifests))
        return {row: self._image(row) for row in manifests if row not in below}

    def _image(self, digest: Row) -> HeldImage:
        here = tuple(row for row in contents(self.state, digest) if row in self.held)
        return HeldImage(self.placement(digest), digest, here)

    @cached_property
    def users(self) -> dict[Row, int]:
        """How many images need each content that is there; absent: none does.

        Those count that are arriving or have to be there: their layers may have come
        before them.
        """
        found: dict[Row, int] = {}
        for image in self.images.values():
            for row in image.here:
                found[row] = found.get(row, 0) + 1
        for manifest in dict.fromkeys([*self._arriving, *sorted(self.expected)]):
            for row in contents(self.state, manifest):
                if row in self.held:
                    found[row] = found.get(row, 0) + 1
        return found

    @cached_property
    def _arriving(self) -> list[Row]:
        state = self.state
        return [
            digest
            for placement in state.indexes.placements_in(self.owner)
            for digest in [state.content_of(placement)]
            if digest not in self.held and is_manifest(state, digest)
            if state.phase(placement, self.region) is not ReplicaPhase.ABSENT
        ]

    @cached_property
    def loose(self) -> list[Row]:
        """The blobs that no image on the shelf refers to, by row.

        None where some graph is not known: it may refer to any of them.
        """
        if not self.is_known:
            return []
        return [row for row in sorted(self.held) if row not in self.users]

    @cached_property
    def is_known(self) -> bool:
        """Whether it is known of everything here what it consists of.

        If not, nothing here can be told to be needed by nobody else.
        """
        state = self.state
        for row in self.held:
            refers = state.digests.get(row, Digest.EDGES) > 0
            if is_manifest(state, row) and (not refers or row not in self.users):
                return False  # its graph was never told, or goes round in a circle
            if state.kind(row) is ContentKind.UNKNOWN and row not in self.users:
                return False
            if state.kind(row) is ContentKind.INDEX and any(
                child in self.held and not state.digests.get(child, Digest.EDGES)
                for child, _ in state.children(row)
            ):
                return False
        unseen = (
            row for row in self.expected if state.kind(row) is not ContentKind.BLOB
        )
        if not all(state.digests.get(row, Digest.EDGES) for row in unseen):
            return False
        roots = [*self.images, *self._arriving, *self.expected]
        return all(is_closed(state, contents(state, row)) for row in roots)

    def placement(self, digest: Row) -> Row:
        """Return the row of a digest in this repository, or ABSENT."""
        return self.state.placements.find(PAIR.pack(self.owner, digest))

    def family(self, image: HeldImage) -> list[Row]:
        """Return the placements whose use is a use of *image*, by row.

        Its manifests, the indexes of the repository that name one of them, and the
        digests that copies have made of any of these, or that it was made of.
        """
        found = self._families.get(image.digest)
        if found is None:
            found = self._families[image.digest] = self._family(image)
        return found

    def _family(self, image: HeldImage) -> list[Row]:
        own = [
            row
            for row in contents(self.state, image.digest)
            if is_manifest(self.state, row)
        ]
        found = dict.fromkeys([image.digest, *own])
        for row in list(found):
            found.update(dict.fromkeys(self._parents.get(row, ())))
        for row in list(found):
            found.update(dict.fromkeys(_twins(self.state, row)))
        placements = (self.placement(row) for row in found)
        return sorted(row for row in placements if row != ABSENT)

    def _children(self, manifests: Sequence[Row]) -> Iterator[Row]:
        for row in manifests:
            for child, _ in self.state.children(row):
                yield child

    @cached_property
    def _parents(self) -> dict[Row, list[Row]]:
        """The indexes of the repository, held here or not, by what they refer to."""
        found: dict[Row, list[Row]] = {}
        for placement in self.state.indexes.placements_in(self.owner):
            digest = self.state.content_of(placement)
            if self.state.kind(digest) is ContentKind.INDEX:
                for child, _ in self.state.children(digest):
                    found.setdefault(child, []).append(digest)
        return found

    @cached_property
    def tags(self) -> dict[Row, list[Tag]]:
        """The repository's tags by the digest that they point to, by name."""
        found: dict[Row, list[Tag]] = {}
        for tag, pointer in self.state.tags_in(self.owner):
            digest = self.state.find_digest(pointer.digest)
            found.setdefault(digest, []).append(tag)
        return found

    def is_attached(self, digest: Row) -> bool:
        """Say whether it is about another image on the shelf, such as a signature."""
        subject = self.state.digests.get(digest, Digest.SUBJECT)
        if subject and Row(subject - 1) in self.held:
            return True
        for tag in self.tags.get(digest, ()):
            named = _SIGNED.match(tag)
            if named is None:
                continue
            signed = self.state.find_digest(oci.Digest(f"sha256:{named[1]}"))
            if signed in self.held:
                return signed != digest
        return False


def is_manifest(state: State, digest: Row) -> bool:
    """Say whether the content refers to others, or is of a kind that does."""
    kinds = {ContentKind.MANIFEST, ContentKind.INDEX}
    return state.kind(digest) in kinds or state.digests.get(digest, Digest.EDGES) > 0


def is_closed(state: State, rows: Sequence[Row]) -> bool:
    """Say whether *rows* hold all that any of them refers to: nothing was cut off."""
    every = set(rows)
    return all(child in every for row in rows for child, _ in state.children(row))


def _twins(state: State, digest: Row) -> list[Row]:
    """Return the digests that stand for the same image in another form."""
    original = state.digests.get(digest, Digest.ORIGINAL)
    found = list(state.indexes.conversions_of(digest))
    if original:
        first = Row(original - 1)
        found += [first, *state.indexes.conversions_of(first)]
    return found
