"""An image of two platforms over one base layer, and who is asked about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from placement.core.event import Event
from placement.core.fetch import Fetch, plan_fetch
from placement.core.images import SelectedImage, Selection, select_image
from placement.core.network import Network
from placement.core.oci import Platform, Repository
from placement.core.state import State
from placement.core.topology import Region, Topology
from tests.builders import (
    AMD64,
    ARM64,
    ATTESTATION,
    HOUR_NS,
    INDEX,
    LAYER,
    MANIFEST,
    START_NS,
    TOPOLOGY,
    WEB,
    descriptor,
    digest,
    pushed,
)

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Part:
    """One content of the image."""

    size_bytes: int
    media_type: str = LAYER
    references: tuple[tuple[str, Platform | None], ...] = ()


PARTS: Final[dict[str, Part]] = {
    "base": Part(30 * MEGABYTE),
    "amd": Part(10 * MEGABYTE),
    "arm": Part(20 * MEGABYTE),
    "about": Part(5_000),
    "for-amd": Part(1_000, MANIFEST, (("base", None), ("amd", None))),
    "for-arm": Part(2_000, MANIFEST, (("base", None), ("arm", None))),
    "proof": Part(3_000, MANIFEST, (("about", None),)),
    "app": Part(
        4_000,
        INDEX,
        (("for-amd", AMD64), ("for-arm", ARM64), ("proof", ATTESTATION)),
    ),
}
AMD_PARTS: Final = ("base", "amd", "for-amd", "app")
AMD_BYTES: Final = 40 * MEGABYTE + 5_000
ARM_BYTES: Final = 50 * MEGABYTE + 6_000


def parts_pushed(
    region: Region, names: Sequence[str] = tuple(PARTS), repository: Repository = WEB
) -> list[Event]:
    """Return pushes of parts of the image, all of them unless some are named."""
    return [
        pushed(
            name,
            region,
            repository,
            size_bytes=PARTS[name].size_bytes,
            media_type=PARTS[name].media_type,
            references=[
                descriptor(
                    child, PARTS[child].size_bytes, PARTS[child].media_type, platform
                )
                for child, platform in PARTS[name].references
            ],
        )
        for name in names
    ]


def network(
    state: State, topology: Topology = TOPOLOGY, at_ns: int = START_NS + HOUR_NS
) -> Network:
    """Return what questions are asked of, an hour after the log began."""
    return Network(state, topology, at_ns)


def selected(
    state: State,
    name: str = "app",
    platform: Platform | None = AMD64,
    repository: Repository = WEB,
) -> SelectedImage:
    """Return the image of a digest's name, for one platform."""
    return select_image(state, Selection(repository, digest(name), platform))


def fetched(
    state: State, target: Region, *images: SelectedImage, topology: Topology = TOPOLOGY
) -> Fetch:
    """Return how *images*, the amd64 one if none is named, come to *target*."""
    chosen = images or (selected(state),)
    owners = [(image.owner, image.contents) for image in chosen]
    return plan_fetch(network(state, topology), owners, target)
