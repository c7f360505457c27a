"""Laws of ranking by columns: nothing but the sources of each content, one by one."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from placement.core.event import RecordedMessage, RegionChanged, RegionState
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.ranking import Question, rank_sources
from placement.core.ranking_many import Ranked, RankMany
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import digest_key
from placement.core.tables.table import KeyBytes
from placement.core.topology import Region, Topology
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LHR,
    SYD,
    TOPOLOGY,
    WEB,
    digest,
    event,
    folded,
    folded_log,
    pushed,
)
from tests.strategies import DIGESTS, NOW_NS, examples, image_facts, logs, topologies

STORING = st.sampled_from([AMS, FRA, IAD, LHR, SYD])
SHA256S = [each for each in DIGESTS if each.startswith("sha256:")]


def keys_of(digests: list[Digest]) -> KeyBytes:
    """Return *digests* as columns want them."""
    packed = b"".join(digest_key(each.encode()) for each in digests)
    return np.frombuffer(packed, np.uint8).reshape(len(digests), 32)


def told(
    network: Network, question: Question, digests: list[Digest]
) -> tuple[list[list[tuple[str, int, int]]], Ranked]:
    """Return the sources of each content, by columns where these tell."""
    many = RankMany(network, question)
    ranked = many.rank(keys_of(digests))
    for position in ranked.undecided:
        ranking = rank_sources(network, question, digests[position])
        ranked.put_ranking(position, ranking)
    sources = ranked.sources()
    flat = zip(
        [many.regions[each] for each in sources.positions.tolist()],
        sources.p50_ns.tolist(),
        sources.p90_ns.tolist(),
        strict=True,
    )
    return [[next(flat) for _ in range(count)] for count in sources.counts], ranked


def expected(
    network: Network, question: Question, digests: list[Digest]
) -> list[list[tuple[str, int, int]]]:
    """Return the sources of each content, one by one."""
    rankings = [rank_sources(network, question, each) for each in digests]
    return [
        [(source.region, *source.duration) for source in ranking.sources]
        for ranking in rankings
    ]


@examples(200)
@given(
    logs(image_facts(), most=24),
    topologies(),
    st.data(),
    st.lists(st.sampled_from(SHA256S), min_size=1, max_size=12),
)
def test_many_contents_have_the_sources_of_each(
    log: list[RecordedMessage],
    topology: Topology,
    data: st.DataObject,
    digests: list[Digest],
) -> None:
    """In any state and any catalogue, for any asker: the same, in the same order."""
    region = data.draw(st.sampled_from(list(topology.regions)))
    repository = data.draw(st.sampled_from([WEB, Repository("api")]))
    question = Question(repository, region, data.draw(st.integers(1, 8)))
    network = Network(folded_log(log), topology, NOW_NS)

    found, _ = told(network, question, digests)

    assert found == expected(network, question, digests)


@examples(60)
@given(st.data(), st.integers(1, 8), st.sampled_from([AMS, IAD, LHR, SYD]))
def test_blobs_are_ranked_by_columns_alone(
    data: st.DataObject, most: int, asker: Region
) -> None:
    """Of every size, in any regions, one of which drains; none is left undecided."""
    names = [f"layer-{number}" for number in range(20)]
    said = data.draw(st.sampled_from([RegionState.DRAINING, RegionState.DOWN]))
    events = [event(IAD, RegionChanged(data.draw(STORING), said))]
    for name in names:
        size = data.draw(st.integers(0, 2**40))
        homes = data.draw(st.lists(STORING, unique=True))
        events += [pushed(name, at, size_bytes=size) for at in homes]
    network = Network(folded(*events), TOPOLOGY, NOW_NS)
    digests = [digest(name) for name in names]
    question = Question(WEB, asker, most)

    found, ranked = told(network, question, digests)

    assert found == expected(network, question, digests)
    assert ranked.undecided == []


def test_regions_beyond_the_bits_are_sources_like_any_other() -> None:
    """Whoever is in one of them is ranked one by one; the others by columns."""
    codes = [Region(f"r{number:02}") for number in range(cells.PRESENT_BITS + 3)]
    place = TOPOLOGY.regions[AMS]
    regions = {
        code: replace(place, code=code, latitude=float(number))
        for number, code in enumerate(codes)
    }
    topology = Topology(regions, codes[0])
    told_of = [pushed(f"layer-{number}", code) for number, code in enumerate(codes)]
    told_of += [pushed("layer-1", codes[-1]), pushed("layer-2", codes[-3])]
    network = Network(folded(*told_of), topology, NOW_NS)
    digests = [digest(f"layer-{number}") for number in range(len(codes))]
    question = Question(WEB, codes[5], 3)

    found, ranked = told(network, question, digests)

    assert found == expected(network, question, digests)
    assert ranked.undecided == [1, 2, *range(len(codes))[-3:]]


def test_state_without_anything_has_no_sources() -> None:
    """Nor regions; each content is told to have none."""
    network = Network(State(), TOPOLOGY, NOW_NS)

    found, _ = told(network, Question(WEB, AMS, 3), [digest("a"), digest("b")])

    assert found == [[], []]
