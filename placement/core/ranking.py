"""From where to pull: the sources of a content for a region, best first.

A ranking is a total order: equal sources are ordered by their region's code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from placement.core.estimate import Duration
from placement.core.event import Factor, RegionState
from placement.core.facts.values import factors_of
from placement.core.graph import mountable, mounts, pull_bytes, size_of, standing
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.records import ReplicaRecord
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

NEAR_EQUAL: Final = 1.1
"""Durations within a tenth of each other are no reason to prefer a source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A region to pull from, what that is expected to take, and why."""

    region: Region
    repository: Repository
    duration: Duration
    phase: ReplicaPhase
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """The sources of one content, best first, and what stands beside them."""

    digest: Digest
    sources: tuple[Source, ...]
    mounts: tuple[tuple[Region, Repository], ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks for content of which repository, from where."""

    repository: Repository
    region: Region
    source_count_max: int


def rank_sources(network: Network, question: Question, digest: Digest) -> Ranking:
    """Return the sources of *digest* in the question's repository, best first.

    A source holds the content whole in that repository and is in the catalogue, stores,
    and is not down. Whole images come first, then active regions, then those within a
    tenth of the shortest expected duration, which are near-equals, then shorter
    durations. Near-equals are in an order that the asker's region and the digest choose
    for good: askers spread over them, and no answer flaps between them. The order is
    total. A duration is that of all which the content refers to, for the largest
    platform.
    """
    state = network.state
    content = state.find_digest(digest)
    if content == ABSENT:
        return Ranking(digest, (), (), 0)
    placement = state.find_placement(question.repository, digest)
    records = () if placement == ABSENT else state.replicas_of(placement)
    size = whole_bytes(network, content)
    found = [
        _scored(network, question, placement, record, size)
        for record in records
        if network.serves(record.region) and record.phase >= ReplicaPhase.COMPLETE
    ]
    ordered = _ordered(found, question, digest)[: question.source_count_max]
    return Ranking(
        digest,
        tuple(_source(network, question, one, size) for one in ordered),
        _mountable(network, question, content),
        state.size_bytes(content),
    )


@dataclass(frozen=True, slots=True)
class _Scored:
    """A region that holds the content, and what it is ordered by."""

    region: Region
    phase: ReplicaPhase
    duration: Duration
    missing_bytes: int
    """Of all that the content refers to; 0 unless it is *lacking*."""
    lacking: bool
    draining: bool


def _ordered(
    found: Sequence[_Scored], question: Question, digest: Digest
) -> list[_Scored]:
    shortest: dict[tuple[bool, bool], int] = {}
    for one in found:
        group = (one.lacking, one.draining)
        p50_ns = one.duration.p50_ns
        shortest[group] = min(shortest.get(group, p50_ns), p50_ns)

    def key(one: _Scored) -> tuple[bool, bool, int, bytes, Region]:
        group = (one.lacking, one.draining)
        near_ns = round(shortest[group] * NEAR_EQUAL)
        p50_ns = max(near_ns, one.duration.p50_ns)
        named = f"{question.region}\0{digest}\0{one.region}".encode()
        place = blake2b(named, digest_size=8).digest()
        return (*group, p50_ns, place, one.region)

    return sorted(found, key=key)


def _scored(
    network: Network,
    question: Question,
    placement: Row,
    record: ReplicaRecord,
    size: int,
) -> _Scored:
    region = record.region
    missing_bytes = _missing_bytes(network, placement, region)
    return _Scored(
        region,
        record.phase,
        network.route(region, question.region).duration(size),
        missing_bytes or 0,
        missing_bytes is not None,
        network.region_state(region) is RegionState.DRAINING,
    )


def _missing_bytes(network: Network, placement: Row, region: Region) -> int | None:
    """Return what *region* lacks of an image; None: it has all of one platform."""
    kept, key = network.missing_bytes, (placement, region)
    if key not in kept:
        state = network.state
        owner, content = map(Row, PAIR.unpack(state.placements.key(placement)))
        row = state.regions.find(region.encode())
        whole = standing(state, owner, content, row)
        kept[key] = None if whole.complete else whole.missing_bytes
    return kept[key]


def whole_bytes(network: Network, content: Row) -> int:
    """Return the bytes that one machine pulls of an image; kept for one answer."""
    found = network.pulls.get(content)
    if found is None:
        found = network.pulls[content] = pull_bytes(network.state, content)
    return found


def _source(network: Network, question: Question, one: _Scored, size: int) -> Source:
    """Return a source with the factors that speak for and against it."""
    route = network.route(one.region, question.region)
    round_trip_ns = network.topology.round_trip_ns(one.region, question.region)
    factors = {
        "transfer_bytes": float(size),
        "round_trip_seconds": round_trip_ns / 1e9,
        "bytes_per_second": 1 / route.seconds_per_byte,
        "sample_count": float(route.sample_count),
        "complete": float(not one.lacking),
        "missing_at_source_bytes": float(one.missing_bytes),
        "draining": float(one.draining),
    }
    named = factors_of(factors)
    return Source(one.region, question.repository, one.duration, one.phase, named)


def _mountable(
    network: Network, question: Question, content: Row
) -> tuple[tuple[Region, Repository], ...]:
    state = network.state
    storage = network.storage(question.region)
    region_row = state.regions.find(storage.encode())
    if region_row == ABSENT:
        return ()
    repository = state.find_repository(question.repository)
    if not mountable(state, repository, content, region_row):
        return ()
    owners = mounts(state, repository, content, region_row)
    return tuple(sorted((storage, state.repository_at(owner)) for owner in owners))


def fallback_source(
    network: Network, question: Question, digest: Digest | None
) -> Source:
    """Return the home region as a source, whether or not it is known to hold *digest*.

    A lost notification must never break a pull: the home region is always worth asking.
    """
    state, home = network.state, network.topology.home
    size, phase = 0, ReplicaPhase.ABSENT
    content = ABSENT if digest is None else state.find_digest(digest)
    if digest is not None and content != ABSENT:
        size = max(pull_bytes(state, content), size_of(state, [content]))
        placement = state.find_placement(question.repository, digest)
        region_row = state.regions.find(home.encode())
        if ABSENT not in {placement, region_row}:
            phase = state.phase(placement, region_row)
    duration = network.route(home, question.region).duration(size)
    return Source(home, question.repository, duration, phase)
