"""Whom to ask for what, in which order: worked out from memory, without a call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from placement.agent.lately import Lately
from placement.agent.registry.client import Registry
from placement.agent.router.health import Health
from placement.agent.router.settings import RouterSettings
from placement.client.feed import LocalBasis
from placement.client.local_answers import LocalTag
from placement.core.errors import PlacementError
from placement.core.mirror.sources import LocalRanking
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region, Topology

ASKED_MAX: Final = 8
"""Registries that are asked for one content."""
SOURCES_MAX: Final = 5
ROUND_TRIPS: Final = 2.5
"""To connect and be answered, and what jitter adds."""
ANSWER_SECONDS_MAX: Final = 0.8
TAG_SECONDS: Final = 0.7
DAMAGED_KEPT: Final = 1024
DAMAGED_SECONDS: Final = 600.0
"""Who gave damaged bytes is asked for them again after so long: it may be mended."""
PUSHED_KEPT: Final = 1024
PUSHED_SECONDS: Final = 600.0


class Placements(Protocol):
    """What a router asks of a local replica: LocalPlacements answers it."""

    @property
    def basis(self) -> LocalBasis:
        """Return what answers rest on."""

    @property
    def topology(self) -> Topology:
        """Return the region catalogue."""

    def rank_sources(
        self, repository: str, digest: str, region: str, max_source_count: int = 0
    ) -> LocalRanking:
        """Return the regions that hold a content, best first."""

    def resolve(
        self, repository: str, tag: str, *, accept_stale: bool = False
    ) -> LocalTag:
        """Return what a tag points to."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A content of a repository."""

    repository: Repository
    digest: Digest


class Places:
    """The registries of the catalogue, as seen from one region."""

    def __init__(
        self,
        settings: RouterSettings,
        local: Placements,
        registries: Mapping[Region, Registry],
        health: Health,
        *,
        clock: Callable[[], float],
    ) -> None:
        """Answer from *local*, of those regions that have a registry."""
        self.region = settings.region
        self.local = local
        self._settings = settings
        self._registries = registries
        self._health = health
        self._damaged = Lately[tuple[Region, Wanted]](
            DAMAGED_SECONDS, DAMAGED_KEPT, clock
        )
        self._pushed: dict[str, tuple[Region, float]] = {}
        self._clock = clock

    @property
    def origin(self) -> Region:
        """The registry that has everything, as far as anybody knows."""
        return self._settings.origin or self.local.topology.home

    @property
    def stores(self) -> bool:
        """Whether our own region keeps content."""
        own = self._settings.region
        return own in self._registries and self.local.topology.stores(own)

    def sources(self, wanted: Wanted) -> list[Region]:
        """Return the regions that are known to hold it, best first."""
        try:
            ranking = self.local.rank_sources(
                wanted.repository, wanted.digest, self.region, SOURCES_MAX
            )
        except PlacementError:  # our region is not in the catalogue
            return []
        return [source.region for source in ranking.sources]

    def candidates(self, wanted: Wanted, hint: Region | None = None) -> list[Region]:
        """Return whom to ask for it, in order.

        Our own registry first, whatever is known of it: it is near, and a lost
        notification must not cost an ocean. Then *hint*, who holds it, the origin, and
        everybody else. Who gave damaged bytes is not asked for the same for a while.
        """
        order = [self.region]
        order += [hint] if hint is not None else []
        order += [*self.sources(wanted), self.origin, *self.near()]
        trusted = [one for one in order if not self.is_damaged(one, wanted)]
        return self.well(trusted)[:ASKED_MAX]

    def elsewhere(self, wanted: Wanted, hint: Region | None = None) -> list[Region]:
        """Return whom to ask besides our own registry."""
        return [one for one in self.candidates(wanted, hint) if one != self.region]

    def push_targets(self, repository: str) -> list[Region]:
        """Return where to push, best first: here, if our region stores.

        A push that went elsewhere since we were down goes on there: a manifest and its
        layers belong into one registry.
        """
        region, ends_s = self._pushed.get(repository, (self.region, 0.0))
        order = [region] if ends_s > self._clock() else []
        order += [self.region] if self.stores else []
        return self.known([*order, *self.near()])

    def pushed(self, repository: str, region: Region) -> None:
        """Remember where a push to *repository* goes."""
        self._pushed.pop(repository, None)
        if region == self.region:
            return
        while len(self._pushed) >= PUSHED_KEPT:
            del self._pushed[next(iter(self._pushed))]
        self._pushed[repository] = (region, self._clock() + PUSHED_SECONDS)

    def is_well(self, region: Region) -> bool:
        """Say whether *region* has a registry that is no suspect."""
        return region in self._registries and self._health.well(region)

    def well(self, regions: Iterable[Region]) -> list[Region]:
        """Return each of *regions* that has a registry once, the suspects last."""
        known = self.known(regions)
        return sorted(known, key=lambda one: not self._health.well(one))

    def known(self, regions: Iterable[Region]) -> list[Region]:
        """Return each of *regions* that has a registry once."""
        return [one for one in dict.fromkeys(regions) if one in self._registries]

    def answer_seconds(self, region: Region) -> float:
        """Return how long *region* may take to begin an answer."""
        topology = self.local.topology
        seconds = self._settings.source_seconds
        if region in topology.regions and self.region in topology.regions:
            round_trip_s = topology.round_trip_ns(region, self.region) / 1e9
            seconds = max(seconds, ROUND_TRIPS * round_trip_s)
        return min(seconds, max(ANSWER_SECONDS_MAX, self._settings.source_seconds))

    def tag_seconds(self, region: Region) -> float:
        """Return how long *region* may take to say what a tag points to.

        Longer than for content: no other registry's word is as good. A suspect has
        less time.
        """
        seconds = self.answer_seconds(region)
        return max(seconds, TAG_SECONDS) if self._health.well(region) else seconds

    def best_known(self, owner: Region, others: Iterable[Region]) -> list[Region]:
        """Return who is asked of a tag: its owner anyhow, no other who is a suspect."""
        known = self.known([owner, *others])
        return [one for one in known if one == owner or self._health.well(one)]

    def endpoint(self, region: Region) -> str:
        """Return the address of *region*'s registry for clients; empty: none."""
        topology = self.local.topology
        if region not in topology.regions:
            return ""
        return topology.endpoint(region).rstrip("/")

    def tag(self, repository: Repository, tag: Tag) -> LocalTag | None:
        """Return what is known of a tag, however old that is."""
        try:
            return self.local.resolve(repository, tag, accept_stale=True)
        except PlacementError:
            return None

    def damaged(self, regions: Sequence[Region], wanted: Wanted) -> None:
        """Remember for DAMAGED_SECONDS that what *regions* gave, in turn, was damaged.

        Not where others ended what our own registry began: it may be any of them, and
        which is found out once one of them gives the whole.
        """
        if regions[0] == self.region and set(regions) != {self.region}:
            return
        for region in regions:
            self._damaged.note((region, wanted))

    def is_damaged(self, region: Region, wanted: Wanted) -> bool:
        """Say whether *region* gave other bytes, a short while ago."""
        return self._damaged.noted_s((region, wanted)) is not None

    def trusts_own(self, wanted: Wanted) -> bool:
        """Say whether our own registry is no suspect, and gave no other bytes."""
        return self.is_well(self.region) and not self.is_damaged(self.region, wanted)

    def near(self) -> list[Region]:
        """Return every region's registry, the nearest first."""
        topology = self.local.topology
        if self.region not in topology.regions:
            return list(self._registries)
        return list(topology.serving_order(self.region))
