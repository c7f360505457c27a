"""Which image is meant: a reference and a platform, settled to contents."""

from collections.abc import Iterator
from dataclasses import dataclass

from placement.core.errors import PlatformUnknownError
from placement.core.graph import size_of, variants
from placement.core.lookup import resolve
from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.state import State
from placement.core.tables.table import Row


@dataclass(frozen=True, slots=True)
class Selection:
    """One image for one platform, as a caller names it."""

    repository: Repository
    reference: Digest | Tag
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class SelectedImage:
    """What that is: the digest, and the contents that the platform needs of it."""

    selection: Selection
    digest: Digest
    owner: Row
    contents: tuple[Row, ...]


def select_image(state: State, selection: Selection) -> SelectedImage:
    """Return what *selection* means now.

    Without a platform, the largest one. Raises ManifestUnknownError,
    ContentUnknownError and PlatformUnknownError.
    """
    resolved = resolve(state, selection.repository, selection.reference)
    digest = resolved.content.digest
    found = variants(state, state.find_digest(digest))
    fitting = [rows for platform, rows in found if fits(platform, selection.platform)]
    if not fitting:
        offered = sorted(str(platform) for platform, _ in found if platform)
        raise PlatformUnknownError(
            selection.repository, selection.reference, str(selection.platform), offered
        )
    rows = _largest(state, fitting)
    owner = state.find_repository(selection.repository)
    return SelectedImage(selection, digest, owner, tuple(rows))


def _largest(state: State, found: list[list[Row]]) -> list[Row]:
    """Return the largest of *found*; of equals, by name, whatever their rows are."""
    sizes = [size_of(state, rows) for rows in found]
    largest = [
        rows for rows, size in zip(found, sizes, strict=True) if size == max(sizes)
    ]
    return max(largest, key=lambda rows: [state.digest_at(row) for row in rows])


def fits(offered: Platform | None, wanted: Platform | None) -> bool:
    """Say whether what is *offered* runs where *wanted* is asked for.

    What nobody told the platform of fits all. An empty part of *wanted* fits any.
    """
    if offered is None or wanted is None:
        return True
    parts = (
        (wanted.os, offered.os),
        (wanted.architecture, offered.architecture),
        (wanted.variant, offered.variant),
    )
    return all(not want or want == have for want, have in parts)


def counterparts(state: State, image: SelectedImage) -> Iterator[SelectedImage]:
    """Yield *image*, and the images of other digests that a copy made of it."""
    yield image
    for row in state.indexes.conversions_of(state.find_digest(image.digest)):
        digest = state.digest_at(row)
        for platform, rows in variants(state, row):
            if fits(platform, image.selection.platform):
                yield SelectedImage(image.selection, digest, image.owner, tuple(rows))
                break
