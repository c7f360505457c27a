"""Sources: who may serve, who comes first, what is mountable, the fallback home."""

from dataclasses import replace

import pytest

from placement.core.event import (
    DurationNs,
    Event,
    RegionChanged,
    RegionState,
    TransferMeasured,
)
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.ranking import (
    Question,
    Ranking,
    fallback_source,
    rank_sources,
)
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region, Topology
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LHR,
    NOWHERE,
    SCL,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    descriptor,
    digest,
    event,
    evicted,
    fold_in,
    folded,
    pushed,
)

NOW_NS = START_NS


def question(region: Region, repository: Repository = WEB, most: int = 5) -> Question:
    """Return who asks."""
    return Question(repository, region, most)


def ranking(state: State, region: Region, content: Digest = A) -> Ranking:
    """Return the ranking of *content* in acme/web for *region*."""
    return rank_sources(Network(state, TOPOLOGY, NOW_NS), question(region), content)


def regions(state: State, region: Region, content: Digest = A) -> list[str]:
    """Return the regions to pull from, best first."""
    return [source.region for source in ranking(state, region, content).sources]


def change(region: Region, state: RegionState) -> Event:
    """Return an operator's word on a region."""
    return event(IAD, RegionChanged(region, state))


def test_nearest_holder_comes_first() -> None:
    """By expected duration, from where the asker is."""
    state = folded(pushed("a", SYD), pushed("a", IAD), pushed("a", FRA))

    assert regions(state, AMS) == ["fra", "iad", "syd"]
    assert regions(state, SYD) == ["syd", "iad", "fra"]


def test_source_says_what_it_costs_and_why() -> None:
    """The whole of what has to move, and the numbers that it rests on."""
    state = folded(
        pushed("a", FRA, size_bytes=1_000, references=[descriptor("b", 9_000_000)]),
        pushed("b", FRA, size_bytes=9_000_000),
    )

    [source] = ranking(state, FRA).sources

    assert source.factors == {
        "transfer_bytes": 9_001_000.0,
        "round_trip_seconds": 0.001,
        "bytes_per_second": 80e6,
        "sample_count": 0.0,
        "complete": 1.0,
        "missing_at_source_bytes": 0.0,
        "draining": 0.0,
    }
    assert source.duration.p50_ns == 493_812_500
    assert source.phase is ReplicaPhase.COMPLETE


def test_whole_image_comes_before_a_near_part_of_it() -> None:
    """A source that lacks a layer would have to fetch it first."""
    layer = [descriptor("b")]
    state = folded(
        pushed("a", AMS, references=layer),
        pushed("a", SYD, references=layer),
        pushed("b", SYD),
    )

    assert regions(state, AMS) == ["syd", "ams"]


def test_whole_image_in_a_draining_region_comes_before_a_part_elsewhere() -> None:
    """Another region will do only if it has what is asked for."""
    layer = [descriptor("b")]
    state = folded(
        pushed("a", AMS, references=layer),
        pushed("a", SYD, references=layer),
        pushed("b", SYD),
        change(SYD, RegionState.DRAINING),
    )

    assert regions(state, AMS) == ["syd", "ams"]


def test_draining_region_comes_after_active_ones() -> None:
    """Near as it may be: it is to be left alone where another one will do."""
    state = folded(
        pushed("a", AMS), pushed("a", SYD), change(AMS, RegionState.DRAINING)
    )

    assert regions(state, AMS) == ["syd", "ams"]


def test_region_that_is_down_is_no_source() -> None:
    """Nor one that the catalogue does not know, nor one that stores nothing."""
    state = folded(
        pushed("a", AMS),
        pushed("a", FRA),
        pushed("a", NOWHERE),
        pushed("a", SCL),
        change(AMS, RegionState.DOWN),
    )

    assert regions(state, AMS) == ["fra"]


def beside(*regions: Region) -> Topology:
    """Return a catalogue in which *regions* are where Amsterdam is."""
    place = TOPOLOGY.regions[AMS]
    moved = {region: replace(place, code=region) for region in regions}
    return Topology({**TOPOLOGY.regions, **moved}, IAD)


def test_equal_sources_do_not_depend_on_who_spoke_first() -> None:
    """Two regions at one place have one order for one asker and one content."""
    told = [pushed("a", FRA), pushed("a", AMS)]
    topology = beside(FRA)

    found, mirrored = (
        rank_sources(Network(state, topology, NOW_NS), question(IAD), A)
        for state in (folded(*told), folded(*reversed(told)))
    )

    assert {source.region for source in found.sources} == {AMS, FRA}
    assert found.sources[0].duration == found.sources[1].duration
    assert [s.region for s in mirrored.sources] == [s.region for s in found.sources]


def test_near_equal_sources_share_the_askers_contents() -> None:
    """Over many contents, none of three equals is always first, or never."""
    names = [f"layer-{number}" for number in range(60)]
    state = folded(*(pushed(name, at) for name in names for at in (AMS, FRA, LHR)))
    network = Network(state, beside(FRA, LHR), NOW_NS)

    first = [
        rank_sources(network, question(IAD), digest(name)).sources[0].region
        for name in names
    ]

    assert all(10 <= first.count(region) <= 30 for region in (AMS, FRA, LHR))


def test_source_that_is_a_little_slower_is_a_near_equal() -> None:
    """A tenth is no reason to prefer anybody; the next region is half as far again."""
    names = [f"layer-{number}" for number in range(40)]
    state = folded(*(pushed(name, at) for name in names for at in (AMS, FRA, IAD)))

    orders = {tuple(regions(state, LHR, digest(name))) for name in names}

    assert orders == {("ams", "fra", "iad"), ("fra", "ams", "iad")}


def test_measured_route_beats_a_shorter_distance() -> None:
    """Transfers that were slow ten times over say more than a map."""
    slow = TransferMeasured(AMS, 50_000_000, DurationNs(60 * SECOND_NS))
    state = folded(pushed("a", AMS), pushed("a", IAD), event(FRA, slow))
    assert regions(state, LHR) == ["ams", "iad"]

    fold_in(state, *(event(FRA, slow) for _ in range(4)))

    assert regions(state, FRA) == ["iad", "ams"]
    source = ranking(state, FRA).sources[1]
    assert source.factors["sample_count"] == 5


def test_only_so_many_sources_are_named() -> None:
    """The best of them."""
    state = folded(pushed("a", SYD), pushed("a", IAD), pushed("a", FRA))

    found = rank_sources(Network(state, TOPOLOGY, NOW_NS), question(AMS, most=1), A)

    assert [source.region for source in found.sources] == ["fra"]


@pytest.mark.parametrize("name", ["a", "b"], ids=["removed", "unheard of"])
def test_what_nobody_holds_has_no_sources(name: str) -> None:
    """Removed everywhere, or never announced: the fallback is all there is."""
    state = folded(pushed("a", AMS), evicted("a", AMS))

    found = ranking(state, AMS, digest(name))

    assert (found.sources, found.mounts) == ((), ())


def test_blob_of_another_repository_is_no_source_and_mountable() -> None:
    """Through acme/web it is a 404; in the same registry it can be mounted."""
    state = folded(pushed("a", AMS, API), pushed("b", AMS, WEB))

    found = ranking(state, AMS)

    assert found.sources == ()
    assert found.mounts == ((AMS, API),)


def test_delete_in_one_repository_leaves_the_other_as_a_source() -> None:
    """Presence is per repository, and so is its end."""
    state = folded(pushed("a", AMS, WEB), pushed("a", AMS, API), evicted("a", AMS, API))

    in_api = rank_sources(Network(state, TOPOLOGY, NOW_NS), question(AMS, API), A)

    assert regions(state, AMS) == ["ams"]
    assert in_api.sources == ()
    assert in_api.mounts == ((AMS, WEB),)


def test_what_is_in_another_region_is_not_mountable() -> None:
    """A mount moves nothing between regions."""
    state = folded(pushed("a", FRA, API), pushed("b", AMS, WEB))

    assert ranking(state, AMS).mounts == ()


def test_region_without_storage_mounts_where_it_is_served() -> None:
    """Santiago's registry is the one in Ashburn."""
    state = folded(pushed("a", IAD, API), pushed("b", AMS, WEB))

    assert ranking(state, SCL).mounts == ((IAD, API),)


@pytest.mark.parametrize("content", [A, None], ids=["unheard of", "no digest"])
def test_what_nobody_announced_still_has_its_fallback_home(
    content: Digest | None,
) -> None:
    """A lost notification must never break a pull."""
    source = fallback_source(Network(State(), TOPOLOGY, NOW_NS), question(AMS), content)

    assert (source.region, source.phase) == (IAD, ReplicaPhase.ABSENT)
    assert source.duration.p50_ns > 370_000_000


def test_fallback_says_what_home_is_known_to_hold() -> None:
    """It is a source like any other, with its phase and the bytes to move."""
    state = folded(pushed("a", IAD), pushed("b", AMS))

    held = fallback_source(Network(state, TOPOLOGY, NOW_NS), question(IAD), A)
    lacking = fallback_source(
        Network(state, TOPOLOGY, NOW_NS), question(IAD), digest("b")
    )

    assert (held.phase, lacking.phase) == (ReplicaPhase.COMPLETE, ReplicaPhase.ABSENT)
    assert held.duration.p50_ns == lacking.duration.p50_ns == 506_300_000


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], AMS),
        ([change(AMS, RegionState.DRAINING)], FRA),
        ([change(AMS, RegionState.DOWN), change(FRA, RegionState.DOWN)], LHR),
        (
            [
                change(
                    region, RegionState.DRAINING if region == SYD else RegionState.DOWN
                )
                for region in TOPOLOGY.regions
            ],
            SYD,
        ),
        ([change(region, RegionState.DOWN) for region in TOPOLOGY.regions], AMS),
    ],
    ids=["active", "drained", "down", "one drains", "all down"],
)
def test_region_is_served_by_the_best_that_may_be_used(
    told: list[Event], expected: Region
) -> None:
    """The nearest active one, else one that drains, and one that is down last."""
    assert Network(folded(*told), TOPOLOGY, NOW_NS).storage(AMS) == expected
