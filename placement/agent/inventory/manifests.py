"""Manifests that were read before: content never changes, so once is enough."""

from collections import OrderedDict
from typing import Final

from placement.core.oci import Descriptor, Digest

REFERENCES_KEPT: Final = 100_000
"""Of all manifests together; some 300 bytes each."""


class ManifestCache:
    """What manifests refer to, by digest; those used least recently go first."""

    def __init__(self, references_max: int = REFERENCES_KEPT) -> None:
        """Keep at most *references_max* references, and as many manifests."""
        self._references_max = references_max
        self._kept: OrderedDict[Digest, tuple[Descriptor, ...]] = OrderedDict()
        self._weight = 0

    def get(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        """Return what *digest* refers to; None when that is not known."""
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
        return found

    def put(self, digest: Digest, references: tuple[Descriptor, ...]) -> None:
        """Remember what *digest* refers to."""
        if digest in self._kept:
            return
        self._kept[digest] = references
        self._weight += 1 + len(references)
        while self._weight > self._references_max:
            _, gone = self._kept.popitem(last=False)
            self._weight -= 1 + len(gone)
