"""Sources: who may serve, who comes first, what is mountable, the fallback home."""

from dataclasses import replace

import pytest

from placement.core.event import Event, RegionChanged, RegionState
from placement.core.oci import Digest, Repository
from placement.core.ranking import (
    Question,
    Ranking,
    fallback_source,
    rank_sources,
    storage_region,
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
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    descriptor,
    digest,
    event,
    evicted,
    folded,
    pushed,
)

NOW_NS = START_NS


def question(region: Region, repository: Repository = WEB, most: int = 5) -> Question:
    """Return who asks."""
    return Question(repository, region, NOW_NS, most)


def ranking(state: State, region: Region, content: Digest = A) -> Ranking:
    """Return the ranking of *content* in acme/web for *region*."""
    return rank_sources(state, TOPOLOGY, question(region), content)


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

    assert {factor.name: factor.value for factor in source.factors} == {
        "transfer_bytes": 9_001_000.0,
        "round_trip_seconds": 0.001,
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


def test_equal_sources_are_ordered_by_their_code() -> None:
    """Two regions at one place are told apart by name, not by who spoke first."""
    state = folded(pushed("a", FRA), pushed("a", AMS))
    beside = replace(TOPOLOGY.regions[AMS], code=FRA)
    topology = Topology({**TOPOLOGY.regions, FRA: beside}, IAD)

    found = rank_sources(state, topology, question(IAD), A)

    assert [source.region for source in found.sources] == ["ams", "fra"]
    assert found.sources[0].duration == found.sources[1].duration


def test_only_so_many_sources_are_named() -> None:
    """The best of them."""
    state = folded(pushed("a", SYD), pushed("a", IAD), pushed("a", FRA))

    found = rank_sources(state, TOPOLOGY, question(AMS, most=1), A)

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

    in_api = rank_sources(state, TOPOLOGY, question(AMS, API), A)

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
    source = fallback_source(State(), TOPOLOGY, question(AMS), content)

    assert (source.region, source.phase) == (IAD, ReplicaPhase.ABSENT)
    assert source.duration.p50_ns > 370_000_000


def test_fallback_says_what_home_is_known_to_hold() -> None:
    """It is a source like any other, with its phase and the bytes to move."""
    state = folded(pushed("a", IAD), pushed("b", AMS))

    held = fallback_source(state, TOPOLOGY, question(IAD), A)
    lacking = fallback_source(state, TOPOLOGY, question(IAD), digest("b"))

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
    assert storage_region(folded(*told), TOPOLOGY, AMS, NOW_NS) == expected
