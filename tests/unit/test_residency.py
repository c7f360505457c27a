"""Where copies may be: rules by repository, and where a copy goes instead."""

from dataclasses import replace

import pytest

from placement.core.copies import Candidate, Image
from placement.core.event import Event, RegionState
from placement.core.forecast import Forecaster
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.planning import plan
from placement.core.policy import BUILT_IN, Policy
from placement.core.residency import (
    ANYWHERE,
    Residency,
    ResidencyRule,
    matches,
    storage_within,
)
from placement.core.state import State
from placement.core.topology import CatalogueRegion, Region, Topology
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LHR,
    MANIFEST,
    SCL,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    changed,
    folded,
    pushed,
    started,
)

EUROPE = (AMS, FRA, LHR)
STORING = frozenset({AMS, FRA, IAD, LHR, SYD})
IMAGE = Image(WEB, A)
SIZE = 400_000_000


def rules(**of: tuple[str, ...]) -> Residency:
    """Return the one rule about all repositories that says this."""
    return Residency((ResidencyRule(("*",), **of),))


def in_areas() -> Topology:
    """Return the usual catalogue, with Europe as an area and Santiago in an alias."""
    regions = {
        code: replace(region, area="eu" if code in EUROPE else "")
        for code, region in TOPOLOGY.regions.items()
    }
    return Topology(regions, IAD, {"america": (IAD, SCL)})


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("acme/web", ["acme/web"], ["acme/web/x", "acme/we", "acme"]),
        ("acme/*", ["acme/web", "acme/web/x"], ["acme", "acmes/web", "x/acme/web"]),
        ("*", ["acme", "acme/web"], []),
    ],
)
def test_pattern_means_a_name_a_prefix_or_all(
    pattern: str, inside: list[str], outside: list[str]
) -> None:
    """A prefix ends where a part of the name does."""
    assert all(matches(pattern, Repository(name)) for name in inside)
    assert not any(matches(pattern, Repository(name)) for name in outside)


def test_storage_is_permitted_everywhere_without_a_rule() -> None:
    """Nor does a rule about other repositories limit anything."""
    other = Residency((ResidencyRule(("other/*",), allow=("ams",)),))

    assert ANYWHERE.permitted(TOPOLOGY, WEB) == STORING
    assert other.permitted(TOPOLOGY, WEB) == STORING


def test_area_alias_and_code_name_storage_regions() -> None:
    """Santiago is in the alias and stores nothing."""
    topology = in_areas()

    def permitted(**of: tuple[str, ...]) -> set[Region]:
        return set(rules(**of).permitted(topology, WEB))

    assert permitted(allow=("eu",)) == {AMS, FRA, LHR}
    assert permitted(allow=("eu", "syd")) == {AMS, FRA, LHR, SYD}
    assert permitted(allow=("america",)) == {IAD}
    assert permitted(deny=("eu",)) == {IAD, SYD}
    assert permitted(allow=("eu",), deny=("lhr",)) == {AMS, FRA}


def test_every_rule_about_a_repository_holds() -> None:
    """The second one may only take away from what the first one leaves."""
    residency = Residency(
        (
            ResidencyRule(("*",), deny=("fra",)),
            ResidencyRule(("acme/*",), allow=("ams", "fra", "syd")),
            ResidencyRule((WEB,), allow=("ams", "fra", "iad")),
        )
    )

    assert residency.permitted(TOPOLOGY, WEB) == {AMS}
    assert residency.permitted(TOPOLOGY, Repository("acme/x")) == {AMS, SYD}
    assert residency.permitted(TOPOLOGY, Repository("api")) == STORING - {FRA}


def test_name_that_nobody_knows_permits_nothing() -> None:
    """A mistake must not open the world; it is listed instead."""
    residency = rules(allow=("europe",), deny=("mars",))

    assert residency.permitted(TOPOLOGY, WEB) == frozenset()
    assert residency.unknown_names(TOPOLOGY) == ("europe", "mars")
    assert rules(allow=("europe", "ams")).permitted(TOPOLOGY, WEB) == {AMS}


def test_start_is_served_by_the_nearest_permitted_active_region() -> None:
    """Then by one that drains, then by one that is down, and by none at the end."""
    every = [changed(region, RegionState.DRAINING) for region in (AMS, LHR)]

    def storage(state: State, permitted: set[Region]) -> Region | None:
        network = Network(state, TOPOLOGY, START_NS)
        return storage_within(network, FRA, frozenset(permitted))

    assert storage(State(), {FRA, AMS}) == FRA
    assert storage(State(), {AMS, IAD}) == AMS
    assert storage(folded(*every), {AMS, IAD}) == IAD
    assert storage(folded(*every), {AMS, LHR}) == AMS
    assert storage(folded(changed(AMS, RegionState.DOWN)), {AMS}) == AMS
    assert storage(State(), set()) is None


def wanted(
    told: list[Event], residency: Residency, policy: Policy, topology: Topology
) -> list[Candidate]:
    """Return what *policy* wants of one image within *residency*."""
    state = folded(*told)
    network = Network(state, topology, state.store_time_ns)
    return plan(network, [IMAGE], Forecaster(state, policy), residency)


def pushed_image() -> Event:
    """Return the push of the image in Ashburn."""
    return pushed("a", IAD, size_bytes=SIZE, media_type=MANIFEST)


@pytest.mark.parametrize("policy", BUILT_IN.values(), ids=list(BUILT_IN))
def test_copy_goes_to_the_nearest_permitted_region(policy: Policy) -> None:
    """Frankfurt may not have it, so Amsterdam serves Frankfurt's starts."""
    told = [pushed_image(), started("a", FRA)]

    free = wanted(told, ANYWHERE, policy, TOPOLOGY)
    kept = wanted(told, rules(deny=("fra",)), policy, TOPOLOGY)
    nowhere = wanted(told, rules(allow=("mars",)), policy, TOPOLOGY)

    assert [(one.target, one.start_regions) for one in free] == [(FRA, (FRA,))]
    assert [(one.target, one.start_regions) for one in kept] == [(AMS, (FRA,))]
    assert 0 < kept[0].saved_ns < free[0].saved_ns
    assert nowhere == []


def test_region_that_permits_serves_its_own_starts_and_its_neighbours() -> None:
    """One copy is for both, and worth more than for one of them."""
    told = [pushed_image(), started("a", FRA), started("a", AMS, machine="m2")]

    for policy in BUILT_IN.values():
        [copy] = wanted(told, rules(deny=("fra",)), policy, TOPOLOGY)

        assert (copy.target, copy.start_regions) == (AMS, (AMS, FRA))


def test_copy_that_is_no_nearer_than_the_original_is_no_bet() -> None:
    """Sydney's starts pull from Ashburn; a copy in Europe would be further away."""
    told = [
        pushed_image(),
        started("a", SYD),
        started("a", SYD, machine="m2"),
    ]

    bets = wanted(told, rules(allow=EUROPE), BUILT_IN["default"], TOPOLOGY)

    assert bets == []


def test_start_near_a_forbidden_region_that_has_it_wants_no_copy() -> None:
    """What is there stays there: the rule came later, and its starts are local.

    Along the equator: Amsterdam may have a copy, and is nearer to Sydney than to
    Frankfurt, so that the copy would come from Sydney.
    """
    degrees = {FRA: 0, AMS: 60, SYD: 100}
    regions = {
        code: CatalogueRegion(code, "", 0, east) for code, east in degrees.items()
    }
    topology = Topology(regions, SYD)
    far = pushed("a", SYD, size_bytes=SIZE, media_type=MANIFEST)
    near = pushed("a", FRA, size_bytes=SIZE, media_type=MANIFEST)
    denied, default = rules(deny=("fra",)), BUILT_IN["default"]

    needed = wanted([far, started("a", FRA)], denied, default, topology)
    local = wanted([far, near, started("a", FRA)], denied, default, topology)

    assert [(one.source, one.target) for one in needed] == [(SYD, AMS)]
    assert local == []
