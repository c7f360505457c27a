"""The static rule: where the app runs, from the best source, never to itself."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from placement.core.copies import Candidate, Image, tagged_images
from placement.core.errors import PolicyUnknownError
from placement.core.event import Event, RegionChanged, RegionState
from placement.core.forecast import Forecaster
from placement.core.network import Network
from placement.core.planning import plan
from placement.core.policy import DEFAULT, STATIC, named_policy
from placement.core.state import State
from placement.core.topology import Region, Topology
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    LATEST,
    NOWHERE,
    SCL,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    B,
    descriptor,
    event,
    folded,
    pulled,
    pushed,
    started,
    topology_of,
)

IMAGE = Image(WEB, A)


def planned(
    *told: Event, now_ns: int = START_NS + HOUR_NS, images: tuple[Image, ...] = (IMAGE,)
) -> list[Candidate]:
    """Return what is to be copied after *told*."""
    return static(Network(folded(*told), TOPOLOGY, now_ns), images)


def static(network: Network, images: Iterable[Image]) -> list[Candidate]:
    """Return what the static rule wants."""
    return plan(network, images, Forecaster(network.state, STATIC))


def routes(candidates: list[Candidate]) -> list[tuple[Region, Region]]:
    """Return from where to where."""
    return [(candidate.source, candidate.target) for candidate in candidates]


def change(region: Region, state: RegionState) -> Event:
    """Return an operator's word on a region."""
    return event(IAD, RegionChanged(region, state))


def test_image_is_copied_to_where_its_app_started() -> None:
    """With the evidence, the bytes, and what a start there waits less."""
    state = folded(
        pushed("a", AMS, size_bytes=9_000_000),
        started("a", SYD, machine="m1"),
        started("a", SYD, machine="m2"),
    )

    [candidate] = static(Network(state, TOPOLOGY, START_NS + 2 * HOUR_NS), [IMAGE])

    assert (candidate.source, candidate.target) == (AMS, SYD)
    assert candidate.start_regions == (SYD,)
    assert candidate.transfer_bytes == 9_000_000
    assert candidate.saved_ns == pytest.approx(3.11e9, rel=0.02)
    assert candidate.reason == "app-started-here"
    assert candidate.explanation == "the app started in syd 2 times, last 2 h ago"
    assert [factor.name for factor in candidate.factors] == [
        "start_count",
        "last_start_age_seconds",
        "transfer_bytes",
        "remote_start_seconds",
        "local_start_seconds",
    ]


def test_holder_is_no_target() -> None:
    """What is there need not be copied."""
    assert planned(pushed("a", AMS), pushed("a", FRA), started("a", FRA)) == []


def test_new_version_goes_where_the_old_one_ran() -> None:
    """Demand is the app's: the new image has never started anywhere."""
    candidates = planned(
        pushed("b", AMS), started("b", FRA), pushed("a", AMS), images=(IMAGE,)
    )

    assert routes(candidates) == [(AMS, FRA)]


def test_app_of_another_repository_wants_nothing() -> None:
    """Who runs acme/api says nothing about acme/web."""
    assert planned(pushed("a", AMS), started("b", FRA, API)) == []


def test_region_without_storage_is_served_by_the_nearest() -> None:
    """Starts in Santiago want a copy in Ashburn, as one candidate with its own."""
    [candidate] = planned(
        pushed("a", AMS),
        started("a", SCL, machine="m1"),
        started("a", IAD, machine="m2"),
    )

    assert (candidate.source, candidate.target) == (AMS, IAD)
    assert candidate.start_regions == (IAD, SCL)


def test_storage_that_nobody_spoke_of_can_be_a_target() -> None:
    """A region of the catalogue that is in no event yet lacks everything."""
    topology = topology_of(SCL, SYD, AMS, home=AMS, storing=[AMS, SYD])
    stated = replace(topology.regions[SCL], serving_order=(SYD,))
    topology = Topology({**topology.regions, SCL: stated}, AMS)
    state = folded(pushed("a", AMS), started("a", SCL))

    candidates = static(Network(state, topology, START_NS + HOUR_NS), [IMAGE])

    assert routes(candidates) == [(AMS, SYD)]


def test_start_outside_the_catalogue_wants_nothing() -> None:
    """Nobody knows where it is."""
    assert planned(pushed("a", AMS), started("a", NOWHERE)) == []


@pytest.mark.parametrize(
    ("age_ns", "count"), [(60 * DAY_NS, 1), (60 * DAY_NS + 1, 0)], ids=["60 d", "over"]
)
def test_app_belongs_where_it_started_in_the_last_60_days(
    age_ns: int, count: int
) -> None:
    """What a perfectly kept static rule would do."""
    candidates = planned(
        pushed("a", AMS),
        started("a", FRA),
        now_ns=START_NS + 2 * SECOND_NS + age_ns,
    )

    assert len(candidates) == count


def test_pulls_stand_in_where_nobody_reports_starts() -> None:
    """And the explanation says so."""
    [candidate] = planned(pushed("b", AMS), pulled("a", FRA), pushed("a", AMS))

    assert candidate.reason == "app-pulled-here"
    assert candidate.explanation == (
        "the app was pulled (no starts reported) in fra once, last 60 min ago"
    )


def test_region_that_is_down_is_neither_source_nor_target() -> None:
    """Another one serves instead, or nothing is planned."""
    told = [pushed("a", AMS), pushed("a", IAD), started("a", FRA)]

    assert routes(planned(*told, change(AMS, RegionState.DOWN))) == [(IAD, FRA)]
    assert planned(*told, change(FRA, RegionState.DOWN)) == []
    every = [change(region, RegionState.DOWN) for region in TOPOLOGY.regions]
    assert planned(*told, *every) == []


def test_image_is_never_copied_from_its_target() -> None:
    """Who has the manifest and lacks its layers gets them from somewhere else."""
    layer = [descriptor("b", 7)]
    part = pushed("a", AMS, references=layer)

    alone = planned(part, started("a", AMS))
    [candidate] = planned(
        part, started("a", AMS), pushed("a", SYD, references=layer), pushed("b", SYD)
    )

    assert alone == []
    assert (candidate.source, candidate.target) == (SYD, AMS)
    assert candidate.transfer_bytes == 7


def test_what_can_be_mounted_is_not_moved() -> None:
    """The target has the layer in another repository."""
    [candidate] = planned(
        pushed("a", AMS, size_bytes=5, references=[descriptor("b", 7)]),
        pushed("b", AMS, size_bytes=7),
        pushed("b", FRA, API, size_bytes=7),
        started("a", FRA),
    )

    assert candidate.transfer_bytes == 5


def test_best_value_comes_first() -> None:
    """What a start saves for each byte that moves; then by name."""
    other = Image(WEB, B)
    told = [
        pushed("a", AMS, size_bytes=100_000_000),
        pushed("b", AMS, size_bytes=1_000_000),
        started("a", SYD),
    ]

    candidates = planned(*told, images=(IMAGE, other))

    assert [candidate.image for candidate in candidates] == [other, IMAGE]


def test_image_that_nobody_knows_is_not_planned() -> None:
    """Nor is one of a repository that nobody knows."""
    assert planned(started("b", FRA)) == []
    assert planned(pushed("a", AMS, API), images=(IMAGE,)) == []


def test_tagged_images_are_listed_once() -> None:
    """With all of their tags, by digest."""
    state = folded(
        pushed("b", AMS, tag=LATEST), pushed("a", AMS, tag=LATEST), started("a", AMS)
    )

    assert list(tagged_images(state, [state.find_repository(WEB)])) == [
        Image(WEB, A, (LATEST,))
    ]
    assert list(tagged_images(State(), [])) == []


def test_policy_is_known_by_its_name() -> None:
    """None at all is the default; another one is refused, with its reason."""
    assert named_policy("") is named_policy("default") is DEFAULT
    assert named_policy("set_60d") is STATIC
    with pytest.raises(PolicyUnknownError) as refused:
        named_policy("set_61d")

    assert (refused.value.reason, refused.value.field) == ("POLICY_UNKNOWN", "policy")
