"""From where to pull: the sources of a content for a region, best first.

A ranking is a total order: equal sources are ordered by their region's code.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from placement.core.estimate import Duration
from placement.core.event import RegionState
from placement.core.graph import ImageParts, is_blob, mounts, pull_bytes
from placement.core.near_equals import place_of, word_of
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.routes import RouteFit
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from placement.core.ways import Way

NEAR_EQUAL: Final = 1.1
"""Durations within a tenth of each other are no reason to prefer a source."""
FACTORS: Final = (
    "transfer_bytes",
    "round_trip_seconds",
    "bytes_per_second",
    "sample_count",
    "complete",
    "missing_at_source_bytes",
    "draining",
)
"""What speaks for and against every ranked source, by name."""


_NONE: Final[Mapping[str, float]] = MappingProxyType({})
_DRAINS: Final = 1
_LACKS: Final = 2
"""What makes a source worse than any other without it, however near it may be."""


class Source(NamedTuple):
    """A region to pull from, what that is expected to take, and why."""

    region: Region
    repository: Repository
    duration: Duration
    phase: ReplicaPhase
    factors: Mapping[str, float] = _NONE
    """Named numbers that speak for and against it, always in the same order."""


class Ranking(NamedTuple):
    """The sources of one content, best first, and what stands beside them."""

    digest: Digest
    sources: tuple[Source, ...]
    mounts: tuple[tuple[Region, Repository], ...]
    size_bytes: int


class Question(NamedTuple):
    """Who asks for content of which repository, from where."""

    repository: Repository
    region: Region
    source_count_max: int


class Answer(NamedTuple):
    """A ranking, and where to pull when none of its sources works."""

    ranking: Ranking
    fallback: Source


class _Asked(NamedTuple):
    """What is asked about, by its rows; ABSENT is what nobody ever named."""

    digest: Digest
    content: Row
    owner: Row
    placement: Row


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
    return _ranking(network, question, _asked(network.state, question, digest))


def rank_and_fall_back(network: Network, question: Question, digest: Digest) -> Answer:
    """Return ``rank_sources`` and ``fallback_source`` of one content."""
    asked = _asked(network.state, question, digest)
    ranking = _ranking(network, question, asked)
    return Answer(ranking, _fallback(network, question, asked))


def _asked(state: State, question: Question, digest: Digest) -> _Asked:
    owner = state.find_repository(question.repository)
    content = state.content_in(owner, digest)
    placement = ABSENT
    if ABSENT not in (content, owner):
        placement = state.placements.find(PAIR.pack(owner, content))
    return _Asked(digest, content, owner, placement)


def _ranking(network: Network, question: Question, asked: _Asked) -> Ranking:
    if asked.content == ABSENT:
        return Ranking(asked.digest, (), (), 0)
    scored = []
    if asked.placement != ABSENT:
        scored = _scored(network, question, asked)
    ordered = _ordered(scored, question, asked.digest)
    return Ranking(
        asked.digest,
        tuple([_source(network, question, asked, one) for one in ordered]),
        _mountable(network, question, asked),
        network.state.size_bytes(asked.content),
    )


class _Scored(NamedTuple):
    """A region that holds the content, and what it is ordered by, but for near-equals.

    A higher *rank* is a worse one.
    """

    rank: int
    p50_ns: int
    region: Region
    row: Row
    way: Way
    fit: RouteFit
    missing_bytes: int | None
    """Of all that the content refers to; None where all of one platform is there."""


def _scored(network: Network, question: Question, asked: _Asked) -> list[_Scored]:
    """Return what may serve the content, in no order that means anything."""
    state, topology, now_ns = network.state, network.topology, network.now_ns
    holders = state.holders_of(asked.placement)
    missing = None
    if state.has_children(asked.content):
        missing = _missing_bytes(network, asked, holders)
    size = whole_bytes(network, asked.content)
    found = []
    for row in holders:
        region, said = state.region_at(row), state.region_state_at(row, now_ns)
        if said is RegionState.DOWN or not topology.stores(region):
            continue
        way = network.ways.way(region, question.region, now_ns)
        fit = network.route(region, question.region) if way.limited else way.fit
        lacks = None if missing is None else missing[row]
        rank = _DRAINS if said is RegionState.DRAINING else 0
        if lacks is not None:
            rank += _LACKS
        found.append(_Scored(rank, fit.p50_ns(size), region, row, way, fit, lacks))
    return found


def _missing_bytes(
    network: Network, asked: _Asked, holders: Sequence[Row]
) -> dict[Row, int | None]:
    """Return what each of *holders* lacks of an image; None: nothing of a platform."""
    owner, content, kept = asked.owner, asked.content, network.missing_bytes
    unknown = [row for row in holders if (owner, content, row) not in kept]
    if unknown:
        parts = ImageParts(network.state, owner, content)
        for row in unknown:
            kept[owner, content, row] = parts.missing_bytes(row)
    return {row: kept[owner, content, row] for row in holders}


def _ordered(found: list[_Scored], question: Question, digest: Digest) -> list[_Scored]:
    """Return the best of *found*, as many as are asked for, the best first."""
    nearest: dict[int, int] = {}
    for one in found:
        nearest[one.rank] = min(one.p50_ns, nearest.get(one.rank, one.p50_ns))
    near = {rank: round(p50_ns * NEAR_EQUAL) for rank, p50_ns in nearest.items()}
    word = word_of(digest)

    def key(one: _Scored) -> tuple[int, int, int, Region]:
        place = place_of(one.way.seed, word)
        return one.rank, max(one.p50_ns, near[one.rank]), place, one.region

    return sorted(found, key=key)[: question.source_count_max]


def whole_bytes(network: Network, content: Row) -> int:
    """Return the bytes that one machine pulls of an image; kept for one answer."""
    found = network.pulls.get(content)
    if found is None:
        found = network.pulls[content] = pull_bytes(network.state, content)
    return found


def _source(
    network: Network, question: Question, asked: _Asked, one: _Scored
) -> Source:
    """Return a source with the factors that speak for and against it, as FACTORS."""
    size = whole_bytes(network, asked.content)
    factors = {
        "transfer_bytes": float(size),
        "round_trip_seconds": one.way.round_trip_ns / 1e9,
        "bytes_per_second": 1 / one.fit.seconds_per_byte,
        "sample_count": float(one.fit.sample_count),
        "complete": float(one.missing_bytes is None),
        "missing_at_source_bytes": float(one.missing_bytes or 0),
        "draining": float(one.rank & _DRAINS),
    }
    phase = network.state.phase(asked.placement, one.row)
    duration = one.fit.duration(size)
    return Source(one.region, question.repository, duration, phase, factors)


def _mountable(
    network: Network, question: Question, asked: _Asked
) -> tuple[tuple[Region, Repository], ...]:
    state, owner, content = network.state, asked.owner, asked.content
    if len(state.indexes.placements_of(content)) == (asked.placement != ABSENT):
        return ()  # no other repository ever had it
    storage = network.storage(question.region)
    region_row = state.regions.find(storage.encode())
    if region_row == ABSENT or not is_blob(state, content):
        return ()
    owners = mounts(state, owner, content, region_row)
    return tuple(sorted((storage, state.repository_at(each)) for each in owners))


def fallback_source(
    network: Network, question: Question, digest: Digest | None
) -> Source:
    """Return the home region as a source, whether or not it is known to hold *digest*.

    A lost notification must never break a pull: the home region is always worth asking.
    """
    asked = _Asked(Digest(""), ABSENT, ABSENT, ABSENT)
    if digest is not None:
        asked = _asked(network.state, question, digest)
    return _fallback(network, question, asked)


def _fallback(network: Network, question: Question, asked: _Asked) -> Source:
    state, home = network.state, network.topology.home
    size, phase = 0, ReplicaPhase.ABSENT
    if asked.content != ABSENT:
        size = whole_bytes(network, asked.content)
    if asked.placement != ABSENT:
        phase = state.phase(asked.placement, state.regions.find(home.encode()))
    duration = network.route(home, question.region).duration(size)
    return Source(home, question.repository, duration, phase)
