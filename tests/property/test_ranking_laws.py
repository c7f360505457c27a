"""Laws of rankings and estimates, over any state and any catalogue."""

from hashlib import blake2b
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from placement.core.event import RecordedMessage
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.ranking import (
    Question,
    Ranking,
    Source,
    fallback_source,
    rank_sources,
)
from placement.core.state import State
from placement.core.topology import Region, Topology
from tests.builders import (
    AMS,
    SECOND_NS,
    START_NS,
    TOPOLOGY,
    folded,
    folded_log,
    pushed,
)
from tests.model import Model
from tests.model_content import replica_of
from tests.strategies import (
    DIGESTS,
    NOW_NS,
    REGIONS,
    examples,
    image_facts,
    logs,
    topologies,
)

REPOSITORIES = [Repository("acme/web"), Repository("api")]
DOWN = 3


def rankings(
    state: State, topology: Topology, region: Region, most: int = 10
) -> dict[tuple[str, str], Ranking]:
    """Return the ranking of every digest in every repository, for *region*."""
    return {
        (repository, digest): rank_sources(
            Network(state, topology, NOW_NS), Question(repository, region, most), digest
        )
        for repository in REPOSITORIES
        for digest in DIGESTS
    }


def down_regions(model: Model) -> set[str]:
    """Return the regions that nobody may be sent to now, by the plain model."""
    return {
        code
        for code, said in model.content.regions.items()
        if said.state == DOWN and not 0 < said.expire_ns <= NOW_NS
    }


def group_of(source: Source) -> tuple[bool, bool]:
    """Return what comes before any duration: whether it lacks something, or drains."""
    return not source.factors["complete"], source.factors["draining"] > 0


def near_place(asker: Region, digest: str, region: Region) -> int:
    """Return the place of a source among its near-equals, mixed by the book."""
    named = blake2b(f"{asker}\0{region}".encode(), digest_size=8).hexdigest()
    mixed = int(named, 16) ^ int(digest.partition(":")[2][:16], 16)
    golden = 11400714819323198485
    mixed = mixed * golden % 2**64
    return (mixed ^ mixed // 2**32) * golden % 2**64 // 2**7


def holders(model: Model, repository: str, digest: str) -> set[str]:
    """Return the regions that hold a content whole, by the plain model."""
    found = set()
    for place, claims in model.content.claims.items():
        gone, _, complete, verified, *_ = replica_of(claims)
        if place[:2] == (repository, digest) and max(complete, verified) > gone:
            found.add(place[2])
    return found


@examples(150)
@given(logs(image_facts(), most=16), topologies(), st.data())
def test_ranking_is_the_usable_holders_in_a_total_order(
    log: list[RecordedMessage], topology: Topology, data: st.DataObject
) -> None:
    """Each storing holder that is not down, once: whole, active, then the nearest.

    Those within a tenth of their group's nearest are in the order of a hash.
    """
    region = data.draw(st.sampled_from(list(topology.regions)))
    state, model = folded_log(log), Model()
    for item in log:
        model.fold(item)

    for (repository, digest), ranking in rankings(state, topology, region).items():
        usable = {
            code
            for code in holders(model, repository, digest) - down_regions(model)
            if topology.stores(Region(code))
        }
        assert sorted(source.region for source in ranking.sources) == sorted(usable)
        groups = [group_of(source) for source in ranking.sources]
        nearest: dict[tuple[bool, bool], int] = {}
        for group, source in zip(groups, ranking.sources, strict=True):
            p50_ns = source.duration.p50_ns
            nearest[group] = min(p50_ns, nearest.get(group, p50_ns))
        keys = []
        for group, source in zip(groups, ranking.sources, strict=True):
            near_ns = round(nearest[group] * 1.1)
            place = near_place(region, digest, source.region)
            farther_ns = max(near_ns, source.duration.p50_ns)
            keys.append((group, farther_ns, place, source.region))
            assert source.repository == repository
            assert 0 < source.duration.p50_ns <= source.duration.p90_ns
        assert all(one < other for one, other in pairwise(keys))


@examples(100)
@given(
    st.lists(st.sampled_from(REGIONS), min_size=2, unique=True),
    st.randoms(use_true_random=False),
)
def test_ranking_does_not_depend_on_the_order_of_facts(
    regions: list[Region], random: Random
) -> None:
    """Whoever is heard of first, the same sources come in the same order."""
    told = [
        pushed("a", region, at_ns=START_NS - (100 + number) * SECOND_NS)
        for number, region in enumerate(regions)
    ]
    straight = rankings(folded(*told), TOPOLOGY, AMS)

    random.shuffle(told)
    mixed = rankings(folded(*told), TOPOLOGY, AMS)

    assert mixed == straight


@examples(100)
@given(logs(image_facts(), most=16), topologies(), st.data())
def test_shorter_list_is_the_beginning_of_the_longer_one(
    log: list[RecordedMessage], topology: Topology, data: st.DataObject
) -> None:
    """Asking for fewer sources leaves out the worst."""
    region = data.draw(st.sampled_from(list(topology.regions)))
    state = folded_log(log)
    whole = rankings(state, topology, region)

    short = rankings(state, topology, region, most=2)

    assert {key: r.sources for key, r in short.items()} == {
        key: r.sources[:2] for key, r in whole.items()
    }


@examples(100)
@given(logs(image_facts(), most=8), topologies(), st.data())
def test_there_is_always_a_fallback_at_home(
    log: list[RecordedMessage], topology: Topology, data: st.DataObject
) -> None:
    """Whatever was announced, the home region is named, with a duration."""
    region = data.draw(st.sampled_from(list(topology.regions)))
    digest = data.draw(st.none() | st.sampled_from(DIGESTS))
    question = Question(REPOSITORIES[0], region, 1)

    source = fallback_source(
        Network(folded_log(log), topology, NOW_NS), question, digest
    )

    assert source.region == topology.home
    assert source.duration.p50_ns > 0


@examples(100)
@given(logs(image_facts(), most=8), topologies(), st.data())
def test_storage_region_is_the_best_that_may_be_used(
    log: list[RecordedMessage], topology: Topology, data: st.DataObject
) -> None:
    """An active one if there is any, else a draining one, and one that is down last."""
    region = data.draw(st.sampled_from(list(topology.regions)))
    state = folded_log(log)

    found = Network(state, topology, NOW_NS).storage(region)

    order = topology.serving_order(region)
    worth = {code: state.region_state(code, NOW_NS) for code in order}
    assert worth[found] == min(worth.values())
    assert found == next(code for code in order if worth[code] == worth[found])


@examples(300)
@given(topologies(), st.data(), st.integers(0, 2**50), st.integers(0, 2**50))
def test_more_bytes_never_take_less_time(
    topology: Topology, data: st.DataObject, size_bytes: int, more_bytes: int
) -> None:
    """An estimate grows with the size, between any two regions."""
    source, target = (
        data.draw(st.sampled_from(list(topology.regions))) for _ in range(2)
    )

    one = Network(State(), topology, 1).route(source, target).duration(size_bytes)
    other = (
        Network(State(), topology, 1)
        .route(source, target)
        .duration(size_bytes + more_bytes)
    )

    assert one.p50_ns <= other.p50_ns
    assert one.p90_ns <= other.p90_ns
