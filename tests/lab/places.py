"""Where the lab's registries are, and what lies between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

IAD: Final = "iad"
SYD: Final = "syd"
FRA: Final = "fra"
SIN: Final = "sin"
REGIONS: Final = (IAD, SYD, FRA, SIN)

MEGABIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Link:
    """What packets meet between two regions, each way."""

    ends: tuple[str, str]
    round_trip_ms: float
    bits_per_second: float

    def joins(self, one: str, other: str) -> bool:
        """Return whether it is between the two."""
        return {one, other} == set(self.ends)


LINKS: Final = (
    Link((IAD, SYD), 200, 80 * MEGABIT),
    Link((IAD, FRA), 90, 200 * MEGABIT),
    Link((IAD, SIN), 237, 80 * MEGABIT),
    Link((SYD, FRA), 246, 80 * MEGABIT),
    Link((SYD, SIN), 93, 160 * MEGABIT),
    Link((FRA, SIN), 155, 100 * MEGABIT),
)
"""Round trips as between AWS's us-east-1, ap-southeast-2, eu-central-1 and
ap-southeast-1 (placement/data/network/paths.csv), iad-syd and iad-fra rounded up.
Bandwidths are what one client of a registry gets, not what the cable carries."""


def link_between(one: str, other: str) -> Link:
    """Return the link that joins two regions."""
    return next(link for link in LINKS if link.joins(one, other))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run: which regions, which images, how often."""

    regions: Sequence[str]
    images: Sequence[str]
    clients: Sequence[str]
    rounds: int
    waits_s: Sequence[float]
    crowd: int


FULL: Final = Plan(
    regions=(IAD, SYD, FRA),
    images=("app", "big"),
    clients=("skopeo", "podman", "containerd"),
    rounds=3,
    waits_s=(0.0, 10.0, 30.0),
    crowd=50,
)
QUICK: Final = Plan(
    regions=(IAD, SYD),
    images=("app",),
    clients=("skopeo",),
    rounds=1,
    waits_s=(0.0,),
    crowd=5,
)
