"""Where the lab's registries are, and what lies between them."""

from collections.abc import Mapping, Sequence
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
    """How much is run.

    The first client pulls every image in every round. The others pull the first image
    once: they show that it works with them, too.
    """

    regions: Sequence[str]
    rounds_of: Mapping[str, int]
    """By image."""
    clients: Sequence[str]
    waits_s: Sequence[float]
    crowd: int
    complete: bool
    """Whether caches are compared, and failures are tried."""

    def pullers(self, image: str) -> list[tuple[str, bool]]:
        """Return who pulls an image without us, in order, and whether from caches too.

        Those take long: the first client asks them in every round for the small image,
        in every other one for larger images.
        """
        every = 1 if image == self.small else 2
        rounds = range(self.rounds_of[image])
        first = [
            (self.clients[0], self.complete and number % every == 0)
            for number in rounds
        ]
        return [*first, *((client, False) for client in self.others(image))]

    def others(self, image: str) -> list[str]:
        """Return who pulls an image once, to show that it works with them."""
        return list(self.clients[1:]) if image == self.small else []

    def story_rounds(self, image: str) -> int:
        """Return how often the story is told of an image: it takes longer."""
        return max(1, self.rounds_of[image] - 1)

    @property
    def images(self) -> list[str]:
        """All images, the smallest first."""
        return list(self.rounds_of)

    @property
    def small(self) -> str:
        """The smallest image."""
        return self.images[0]


FULL: Final = Plan(
    regions=(IAD, SYD, FRA),
    rounds_of={"app": 4, "big": 3},
    clients=("skopeo", "podman", "containerd"),
    waits_s=(0.0, 10.0, 30.0),
    crowd=50,
    complete=True,
)
QUICK: Final = Plan(
    regions=(IAD, SYD),
    rounds_of={"tiny": 1},
    clients=("skopeo",),
    waits_s=(0.0,),
    crowd=5,
    complete=False,
)
