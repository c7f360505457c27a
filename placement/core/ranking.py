"""From where to pull: the sources of a content for a region, best first.

A ranking is a total order: equal sources are ordered by their region's code.
"""

from dataclasses import dataclass

from placement.core.estimate import Duration, transfer_duration
from placement.core.event import Factor, Identifier, RegionState
from placement.core.graph import mountable, mounts, pull_bytes, size_of, standing
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region, Topology


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
    """Who asks for content, and when."""

    repository: Repository
    region: Region
    now_ns: int
    source_count_max: int


def rank_sources(
    state: State, topology: Topology, question: Question, digest: Digest
) -> Ranking:
    """Return the sources of *digest* in the question's repository, best first.

    A source holds the content whole in that repository and is in the catalogue, stores,
    and is not down. Whole images and those in active regions come first, then shorter
    expected durations, then the region's code. The duration is that of all which the
    content refers to, for the largest platform.
    """
    content = state.find_digest(digest)
    if content == ABSENT:
        return Ranking(digest, (), (), 0)
    found = []
    placement = state.find_placement(question.repository, digest)
    if placement != ABSENT:
        for replica in state.replicas_of(placement):
            usable = usable_source(state, topology, replica.region, question.now_ns)
            if usable and replica.phase >= ReplicaPhase.COMPLETE:
                found.append(_scored(state, topology, question, digest, replica.region))
    found.sort(key=lambda scored: scored[0])
    best = tuple(source for _, source in found[: question.source_count_max])
    mountable = _mountable(state, topology, question, content)
    return Ranking(digest, best, mountable, state.size_bytes(content))


def usable_source(
    state: State, topology: Topology, region: Region, now_ns: int
) -> bool:
    """Say whether *region* may serve: in the catalogue, storing, not down."""
    down = state.region_state(region, now_ns) is RegionState.DOWN
    return topology.stores(region) and not down


def _scored(
    state: State,
    topology: Topology,
    question: Question,
    digest: Digest,
    region: Region,
) -> tuple[tuple[bool, bool, int, Region], Source]:
    content = state.find_digest(digest)
    repository = state.find_repository(question.repository)
    region_row = state.regions.find(region.encode())
    placement = state.find_placement(question.repository, digest)
    whole = standing(state, repository, content, region_row)
    size = pull_bytes(state, content)
    duration = transfer_duration(topology, region, question.region, size)
    draining = state.region_state(region, question.now_ns) is RegionState.DRAINING
    factors = {
        "transfer_bytes": float(size),
        "round_trip_seconds": topology.round_trip_ns(region, question.region) / 1e9,
        "missing_at_source_bytes": 0.0 if whole.complete else whole.missing_bytes,
        "draining": float(draining),
    }
    source = Source(
        region,
        question.repository,
        duration,
        state.phase(placement, region_row),
        tuple(Factor(Identifier(name), float(factors[name])) for name in factors),
    )
    return (not whole.complete, draining, duration.p50_ns, region), source


def _mountable(
    state: State, topology: Topology, question: Question, content: Row
) -> tuple[tuple[Region, Repository], ...]:
    storage = storage_region(state, topology, question.region, question.now_ns)
    region_row = state.regions.find(storage.encode())
    if region_row == ABSENT:
        return ()
    repository = state.find_repository(question.repository)
    if not mountable(state, repository, content, region_row):
        return ()
    owners = mounts(state, repository, content, region_row)
    return tuple(sorted((storage, state.repository_at(owner)) for owner in owners))


def storage_region(
    state: State, topology: Topology, region: Region, now_ns: int
) -> Region:
    """Return the storage region that serves *region* now: the first that is active.

    Where none is active, the first that drains, and else the first of all.
    """
    order = topology.serving_order(region)
    return min(order, key=lambda storage: state.region_state(storage, now_ns))


def fallback_source(
    state: State, topology: Topology, question: Question, digest: Digest | None
) -> Source:
    """Return the home region as a source, whether or not it is known to hold *digest*.

    A lost notification must never break a pull: the home region is always worth asking.
    """
    home = topology.home
    size, phase = 0, ReplicaPhase.ABSENT
    content = ABSENT if digest is None else state.find_digest(digest)
    if digest is not None and content != ABSENT:
        size = max(pull_bytes(state, content), size_of(state, [content]))
        placement = state.find_placement(question.repository, digest)
        region_row = state.regions.find(home.encode())
        if ABSENT not in (placement, region_row):
            phase = state.phase(placement, region_row)
    duration = transfer_duration(topology, home, question.region, size)
    return Source(home, question.repository, duration, phase)
