"""The images that are pushed: of layers that no other image has, in two versions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.oci_layout import write_image

SIZES: Final = {
    "tiny": (900_000, 500_000, 400_000),
    "app": (4_000_000, 2_000_000, 1_000_000, 200_000),
    "big": (40_000_000, 30_000_000, 20_000_000, 8_000_000, 2_000_000),
}
"""Bytes of each layer; the last two change from version to version."""
CHANGED_LAYERS: Final = 2
VERSIONS: Final = ("v1", "v2")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an app's image, as an OCI layout on disk."""

    kind: str
    """A key of SIZES."""
    repository: str
    tag: str
    layout: Path
    digest: str
    layers_bytes: int

    @property
    def by_digest(self) -> str:
        """What a machine pulls: its scheduler knows the digest since the deploy."""
        return f"{self.repository}@{self.digest}"

    @property
    def which(self) -> str:
        """``first`` or ``second``."""
        return "first" if self.tag == VERSIONS[0] else "second"


def made(
    folder: Path, kind: str, repository: str, seed: int
) -> tuple[Version, Version]:
    """Write both versions of an image that shares nothing with another seed's."""
    first, second = VERSIONS
    return (
        _version(folder, kind, repository, first, seed),
        _version(folder, kind, repository, second, seed),
    )


def _version(folder: Path, kind: str, repository: str, tag: str, seed: int) -> Version:
    sizes = SIZES[kind]
    root = folder / f"{repository.replace('/', '-')}-{tag}"
    kept = len(sizes) - CHANGED_LAYERS
    # A layer's bytes follow from the sizes before it and its own: one byte more in the
    # first that changes makes another layer of it and of all that follow.
    changed = sizes[kept] + VERSIONS.index(tag)
    layer_sizes = (*sizes[:kept], changed, *sizes[kept + 1 :])
    digest = write_image(root, tag, layer_sizes, seed, level=0)
    return Version(kind, repository, tag, root, digest, sum(layer_sizes))
