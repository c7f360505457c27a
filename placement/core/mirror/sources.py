"""From where to pull, in microseconds: the same answers as ``ranking`` gives.

What a source costs a region that asks is worked out once for as long as routes and
catalogue stay as they are; an answer then only multiplies by the content's size.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from placement.core.estimate import LONGEST_NS
from placement.core.event import RegionState
from placement.core.mirror.mirror import NOWHERE, Mirror
from placement.core.near_equals import place_of, seed_of, word_of
from placement.core.network import Network, steady_until_ns
from placement.core.oci import Digest
from placement.core.ranking import NEAR_EQUAL
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region, Topology

MASKS_KEPT: Final = 4096
"""Sets of regions whose costs one asker has at hand."""

ROUNDING: Final = 1 + 1e-6
"""More than rounding to nanoseconds may change of a ratio."""
ABSENT: Final = ReplicaPhase.ABSENT
COMPLETE: Final = ReplicaPhase.COMPLETE
VERIFIED: Final = ReplicaPhase.VERIFIED
_made: Final = tuple.__new__
"""Makes a named tuple of a tuple, in half the time of its own constructor."""


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
    seed: int
    """Stands for the region among near-equals; see ``near_equals``."""


class LocalRanking(NamedTuple):
    """The sources of one content, best first; none: nobody is known to hold it."""

    sources: tuple[LocalSource, ...]
    size_bytes: int
    """The content's own size; 0 when not known."""
    home: Cost
    """What the fallback is computed from: its region, bytes and phase."""
    home_bytes: int
    home_phase: ReplicaPhase

    @property
    def fallback(self) -> LocalSource:
        """Return the home region: worth asking, whether or not it is known to hold it.

        Its ``complete`` says nothing.
        """
        [source] = priced((self.home,), self.home_bytes, 0, 0)
        return source._replace(phase=self.home_phase)


class Ground(NamedTuple):
    """What is known of the way from a source to who asks."""

    round_trip_seconds: float
    bytes_per_second: float
    sample_count: float


class Costs(NamedTuple):
    """What the sources of a set of regions cost one asker, for any content."""

    costs: tuple[Cost, ...]
    settled: bool
    """Whether they are in the order of their durations, however large the content is,
    none of them drains, and no two of them are ever near-equal."""
    mask: int
    """Their bits."""
    draining: bool
    """Whether any of them drains."""


class Asker:
    """What every source costs one region that asks."""

    def __init__(self, mirror: Mirror, network: Network, region: Region) -> None:
        """Work out what each region of the catalogue costs *region*."""
        topology = network.topology
        found = [
            _cost(mirror, network, source, region)
            for source in topology.regions
            if network.serves(source)
        ]
        self._costs = sorted(found, key=lambda cost: (cost.start_p50_ns, cost.region))
        self.home = _cost(mirror, network, topology.home, region)
        self.storage = network.storage(region)
        """The storage region that serves it."""
        self.grounds = {cost.region: _ground(network, cost, region) for cost in found}
        """What speaks for each region, besides the content."""
        self.by_mask: dict[int, Costs] = {}
        """The costs of those sets of regions that were asked about."""

    def costs(self, mask: int) -> Costs:
        """Return the costs of the regions of *mask* that may be sources."""
        if len(self.by_mask) >= MASKS_KEPT:
            self.by_mask.clear()
        costs = tuple(cost for cost in self._costs if mask >> cost.bit & 1)
        draining = any(cost.draining for cost in costs)
        settled = not draining and all(map(_always_before, costs, costs[1:]))
        bits = sum(1 << cost.bit for cost in costs)
        found = self.by_mask[mask] = Costs(costs, settled, bits, draining)
        return found

    def ordered(
        self, found: Sequence[LocalSource], costs: Sequence[Cost], digest: str
    ) -> list[LocalSource]:
        """Return *found*, of these *costs*, in the order that ``ranking`` describes."""
        shortest: dict[tuple[bool, bool], int] = {}
        for one in found:
            group = (not one.complete, one.draining)
            shortest[group] = min(shortest.get(group, one.p50_ns), one.p50_ns)
        near = {group: round(p50 * NEAR_EQUAL) for group, p50 in shortest.items()}
        word = word_of(Digest(digest))
        keyed = []
        for one, cost in zip(found, costs, strict=True):
            group = (not one.complete, one.draining)
            place = place_of(cost.seed, word)
            keyed.append((*group, max(near[group], one.p50_ns), place, one.region, one))
        keyed.sort()  # no two regions are the same, so that no source is compared
        return [one for *_, one in keyed]


def _alike_ordered(
    found: Sequence[LocalSource], costs: Sequence[Cost], digest: str
) -> list[LocalSource]:
    """Return what ``Asker.ordered`` does of complete sources, none of which drains."""
    near = round(min([one.p50_ns for one in found]) * NEAR_EQUAL)
    word, keyed = word_of(Digest(digest)), []
    for one, cost in zip(found, costs, strict=True):
        p50_ns = one.p50_ns if one.p50_ns > near else near  # noqa: FURB136 - faster
        keyed.append((p50_ns, place_of(cost.seed, word), one.region, one))
    keyed.sort()  # no two regions are the same, so that no source is compared
    return [found for *_, found in keyed]


def _always_before(one: Cost, other: Cost) -> bool:
    """Say whether *one* is the shorter by more than a tenth, for every size."""
    far = NEAR_EQUAL * ROUNDING
    start = one.start_p50_ns * far < other.start_p50_ns
    return start and one.seconds_per_byte * far < other.seconds_per_byte


def priced(
    costs: Sequence[Cost], size_bytes: int, whole: int, verified: int
) -> list[LocalSource]:
    """Return sources of so many bytes, as ``RouteFit.duration`` computes them.

    *whole* and *verified* say where all of an image is, and who read the content back.
    """
    found = []
    for region, bit, url, draining, start_p50, start_p90, seconds, spread, _ in costs:
        byte_ns = size_bytes * seconds * 1e9
        p50_ns, p90_ns = round(start_p50 + byte_ns), round(start_p90 + byte_ns * spread)
        if p90_ns > LONGEST_NS:
            p50_ns, p90_ns = min(p50_ns, LONGEST_NS), LONGEST_NS
        if p90_ns < p50_ns:  # noqa: PLR1730 - twice as fast as max
            p90_ns = p50_ns
        phase = VERIFIED if verified >> bit & 1 else COMPLETE
        complete = whole >> bit & 1 == 1
        source = (region, url, p50_ns, p90_ns, phase, complete, draining)
        found.append(_made(LocalSource, source))
    return found


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
        seed_of(asker, source),
    )


def _ground(network: Network, cost: Cost, asker: Region) -> Ground:
    return Ground(
        network.topology.round_trip_ns(cost.region, asker) / 1e9,
        1 / cost.seconds_per_byte,
        float(network.route(cost.region, asker).sample_count),
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
            self._since_ns = now_ns
            self._until_ns = steady_until_ns(self._mirror.state, now_ns)
        found = self._askers.get(region)
        if found is None:
            known = self._topology.known(Region(region))
            found = Asker(self._mirror, self.network(now_ns), known)
            self._askers[region] = found
        return found

    def rank(
        self, asker: Asker, repository: str, digest: str, key: bytes, most: int
    ) -> LocalRanking:
        """Return at most so many sources of a content, best first."""
        mirror = self._mirror
        placements, owner = mirror.placements, mirror.owners.get(repository)
        row = NOWHERE if owner is None else placements.find(key, owner)
        if owner is None or row == NOWHERE:
            return self._nowhere(asker, key)
        size, mask = placements.sizes.cells[row], placements.mask(row)
        pulled, whole = size, mask
        if key in mirror.references:
            image = mirror.images.image(key, owner)
            pulled, whole = image.pull_bytes, image.complete
        verified = placements.verified_mask(row) if placements.verified else 0
        home, phase = asker.home, ABSENT
        if mask >> home.bit & 1:
            phase = VERIFIED if verified >> home.bit & 1 else COMPLETE
        elif row in placements.coming:
            phase = mirror.phase(row, home.region)
        told = asker.by_mask.get(mask) or asker.costs(mask)
        costs, settled, held, draining = told
        sources = priced(costs, pulled, whole, verified)
        alike = held & whole == held and not draining
        if len(sources) > 1 and not (settled and alike):
            ordered = _alike_ordered if alike else asker.ordered
            sources = ordered(sources, costs, digest)
        if len(sources) > most:
            sources = sources[:most]
        fallback_bytes = pulled if pulled > size else size  # noqa: FURB136 - faster
        found = (tuple(sources), size, home, fallback_bytes, phase)
        return _made(LocalRanking, found)

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
        return LocalRanking((), size, asker.home, max(pulled, size), ABSENT)
