"""From where to pull, in microseconds: the same answers as ``ranking`` gives.

What a source costs a region that asks is worked out once for as long as routes and
catalogue stay as they are; an answer then only multiplies by the content's size.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from placement.core.estimate import LONGEST_NS
from placement.core.event import RegionState
from placement.core.mirror.mirror import NOWHERE, Mirror
from placement.core.network import Network
from placement.core.ranking import NEAR_EQUAL
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region, Topology

FITTED_FOR_NS: Final = 60_000_000_000
"""What was learned of a route ages by the minute."""
MASKS_KEPT: Final = 4096
"""Sets of regions whose costs one asker has at hand."""

COMPLETE: Final = ReplicaPhase.COMPLETE
VERIFIED: Final = ReplicaPhase.VERIFIED


class LocalSource(NamedTuple):
    """A region to pull from, and what that is expected to take, in nanoseconds."""

    region: Region
    endpoint: str
    """The registry's base address there."""
    p50_ns: int
    p90_ns: int
    phase: ReplicaPhase
    complete: bool
    """Whether it has all that the content refers to, for one platform."""
    draining: bool


class LocalRanking(NamedTuple):
    """The sources of one content, best first; none: nobody is known to hold it."""

    sources: tuple[LocalSource, ...]
    fallback: LocalSource
    """The home region: always worth asking, whether or not it is known to hold it."""
    size_bytes: int
    """The content's own size; 0 when not known."""


class Cost(NamedTuple):
    """What pulling from a region costs one asker: affine in bytes, at p50 and p90."""

    region: Region
    bit: int
    endpoint: str
    draining: bool
    start_p50_ns: float
    start_p90_ns: float
    seconds_per_byte: float
    per_byte_spread: float


class Asker:
    """What every source costs one region that asks."""

    def __init__(self, mirror: Mirror, network: Network, region: Region) -> None:
        """Work out what each region of the catalogue costs *region*."""
        topology = network.topology
        self._name = region
        self._costs = [
            _cost(mirror, network, source, region)
            for source in topology.regions
            if network.serves(source)
        ]
        self.home = _cost(mirror, network, topology.home, region)
        self._by_mask: dict[int, tuple[Cost, ...]] = {}

    def costs(self, mask: int) -> tuple[Cost, ...]:
        """Return the costs of the regions of *mask* that may be sources."""
        found = self._by_mask.get(mask)
        if found is None:
            if len(self._by_mask) >= MASKS_KEPT:
                self._by_mask.clear()
            found = tuple(cost for cost in self._costs if mask >> cost.bit & 1)
            self._by_mask[mask] = found
        return found

    def place(self, digest: str, region: Region) -> bytes:
        """Return the place of *region* among near-equal sources of a content."""
        named = f"{self._name}\0{digest}\0{region}".encode()
        return blake2b(named, digest_size=8).digest()


def _cost(mirror: Mirror, network: Network, source: Region, asker: Region) -> Cost:
    route = network.route(source, asker)
    return Cost(
        source,
        mirror.region_bit(source),
        network.topology.endpoint(source),
        network.region_state(source) is RegionState.DRAINING,
        route.start_up_ns,
        route.start_up_ns * route.start_up_spread,
        route.seconds_per_byte,
        route.per_byte_spread,
    )


class Sources:
    """Ranks the sources of contents by one mirror and one catalogue."""

    def __init__(self, mirror: Mirror, topology: Topology) -> None:
        """Begin with no asker known."""
        self._mirror = mirror
        self._topology = topology
        self._askers: dict[str, Asker] = {}
        self._version = -1
        self._since_ns = self._until_ns = 0
        """When the costs of the askers are true."""

    def network(self, now_ns: int, state: State | None = None) -> Network:
        """Return what an answer given at *now_ns* knows of the network.

        *state* is an excerpt; None: of regions and routes alone.
        """
        mirror = self._mirror
        known = mirror.state if state is None else state
        return Network(known, self._topology, now_ns, leaving=mirror.leaving)

    def asker(self, region: str, now_ns: int) -> Asker:
        """Return what each source costs *region*; raises RegionUnknownError."""
        version = self._mirror.network_version
        if version != self._version or not self._since_ns <= now_ns < self._until_ns:
            self._askers.clear()
            self._version = version
            self._since_ns = now_ns - now_ns % FITTED_FOR_NS
            self._until_ns = min(self._ends(now_ns))
        found = self._askers.get(region)
        if found is None:
            known = self._topology.known(Region(region))
            found = Asker(self._mirror, self.network(now_ns), known)
            self._askers[region] = found
        return found

    def _ends(self, now_ns: int) -> Iterator[int]:
        """Yield the moments at which something costs otherwise than at *now_ns*."""
        yield self._since_ns + FITTED_FOR_NS
        regions = self._mirror.state.regions
        for _, row in regions.rows():
            expire_ns = regions.get(row, cells.Region.STATE_EXPIRE)
            if expire_ns > now_ns:
                yield expire_ns

    def rank(
        self, asker: Asker, repository: str, digest: str, key: bytes, most: int
    ) -> LocalRanking:
        """Return at most so many sources of a content, best first."""
        mirror = self._mirror
        placements, owner = mirror.placements, mirror.owners.get(repository)
        row = NOWHERE
        if owner is not None:
            row = placements.find(key, owner)
        if owner is None or row == NOWHERE:
            return self._nowhere(asker, key)
        size, mask = placements.sizes.cells[row], placements.mask(row)
        pulled, whole = size, mask
        if key in mirror.references:
            image = mirror.images.image(key, owner)
            pulled, whole = image.pull_bytes, image.complete
        verified = placements.verified_mask(row) if placements.verified else 0
        sources = [_at(cost, pulled, verified, whole) for cost in asker.costs(mask)]
        if len(sources) > 1:
            sources = ordered(asker, sources, digest)[:most]
        home = asker.home
        phase = mirror.phase(row, home.region)
        fallback = _at(home, max(pulled, size), 0, whole)._replace(phase=phase)
        return LocalRanking(tuple(sources), fallback, size)

    def _nowhere(self, asker: Asker, key: bytes) -> LocalRanking:
        """Return the ranking of what is in no region in the repository.

        Another repository may tell how large it is.
        """
        mirror, size, pulled = self._mirror, 0, 0
        if not mirror.sharers.far_behind:
            row = next(mirror.sharers.of(key), NOWHERE)
            if row != NOWHERE:
                size = mirror.placements.sizes.cells[row]
                owner = mirror.placements.owners.cells[row]
                pulled = mirror.images.image(key, owner).pull_bytes
        fallback = _at(asker.home, max(pulled, size), 0, 0)
        fallback = fallback._replace(phase=ReplicaPhase.ABSENT)
        return LocalRanking((), fallback, size)


def _at(cost: Cost, size_bytes: int, verified: int, whole: int) -> LocalSource:
    """Return a source of so many bytes, as ``RouteFit.duration`` computes them."""
    region, bit, endpoint, draining, start_p50, start_p90, per_byte, spread = cost
    byte_ns = size_bytes * per_byte * 1e9
    p50_ns, p90_ns = start_p50 + byte_ns, start_p90 + byte_ns * spread
    p50_ns = round(min(LONGEST_NS, p50_ns))
    p90_ns = round(min(LONGEST_NS, p90_ns))
    return LocalSource(
        region,
        endpoint,
        p50_ns,
        max(p50_ns, p90_ns),
        VERIFIED if verified >> bit & 1 else COMPLETE,
        bool(whole >> bit & 1),
        draining,
    )


def ordered(
    asker: Asker, found: Sequence[LocalSource], digest: str
) -> list[LocalSource]:
    """Return *found* in the order that ``rank_sources`` describes."""
    shortest: dict[tuple[bool, bool], int] = {}
    for one in found:
        group = (not one.complete, one.draining)
        shortest[group] = min(shortest.get(group, one.p50_ns), one.p50_ns)
    near = {group: round(p50_ns * NEAR_EQUAL) for group, p50_ns in shortest.items()}

    def key(one: LocalSource) -> tuple[bool, bool, int]:
        group = (not one.complete, one.draining)
        return (*group, max(near[group], one.p50_ns))

    keys = {one.region: key(one) for one in found}
    if len(set(keys.values())) == len(found):
        return sorted(found, key=key)
    return sorted(
        found, key=lambda one: (*key(one), asker.place(digest, one.region), one.region)
    )
