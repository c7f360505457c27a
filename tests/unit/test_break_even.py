"""The rule of the bets: what is copied where, why, and what is left for later."""

from collections.abc import Sequence

import pytest

from placement.core.copies import Candidate, Image
from placement.core.event import Event, StartsRequested
from placement.core.forecast import Forecaster
from placement.core.network import Network
from placement.core.oci import Tag
from placement.core.planning import plan
from placement.core.policy import DEFAULT, Policy
from placement.core.state import State
from placement.core.topology import Region, Topology
from tests.builders import (
    AMS,
    API,
    FRA,
    HOUR_NS,
    IAD,
    LHR,
    MANIFEST,
    SCL,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    B,
    event,
    folded,
    folded_log,
    message,
    pulled,
    pushed,
    started,
    topology_of,
)

SIZE = 400_000_000
IMAGE = Image(WEB, A)
VERSIONS = "0123456789"


def push(name: str, version: int) -> Event:
    """Return the push of an image with a tag of its own."""
    tag = Tag(f"v{version}")
    return pushed(name, AMS, size_bytes=SIZE, media_type=MANIFEST, tag=tag)


def history(*regions: Region, count: int = 6) -> list[Event]:
    """Return *count* versions of one app, each of which started in *regions*."""
    told = []
    for number, name in enumerate(VERSIONS[:count]):
        told.append(push(name, number))
        told += [
            started(name, region, machine=f"{name}-{region}") for region in regions
        ]
    return told


def candidates(
    told: Sequence[Event],
    image: Image = IMAGE,
    *,
    policy: Policy = DEFAULT,
    topology: Topology = TOPOLOGY,
) -> list[Candidate]:
    """Return what *policy* wants of *image* soon after *told*."""
    state = folded(*told)
    now_ns = START_NS + len(told) * SECOND_NS
    return plan(Network(state, topology, now_ns), [image], Forecaster(state, policy))


def hourly(told: Sequence[Event]) -> State:
    """Return what *told* folds to, with an hour between any two."""
    times = range(START_NS, START_NS + len(told) * HOUR_NS, HOUR_NS)
    return folded_log(
        message(number, one, store_time_ns=time_ns)
        for number, (one, time_ns) in enumerate(zip(told, times, strict=True), 1)
    )


def planned(state: State) -> list[Candidate]:
    """Return what the default policy wants of one image right after the last event."""
    network = Network(state, TOPOLOGY, state.store_time_ns)
    return plan(network, [Image(WEB, A)], Forecaster(state, DEFAULT))


def targets(found: Sequence[Candidate]) -> list[Region]:
    """Return where copies are wanted, by code."""
    return sorted(candidate.target for candidate in found)


def test_new_version_goes_where_the_last_ones_started() -> None:
    """Six of six started in Sydney, so the seventh is copied there at its push."""
    [copy] = candidates([*history(SYD), push("a", 9)])

    assert (copy.source, copy.target, copy.start_regions) == (AMS, SYD, (SYD,))
    assert copy.transfer_bytes == SIZE
    assert copy.reason == "start-forecast"
    assert copy.explanation.endswith(
        "likely to start in syd: the app runs there; since its push"
    )
    evidence: dict[str, float] = {factor.name: factor.value for factor in copy.factors}
    assert evidence["app_outcomes"] > 4
    assert evidence["app_hits"] == pytest.approx(evidence["app_outcomes"])
    assert 0.6 < evidence["probability"] < 1
    assert evidence["worth_bytes"] > 0


def test_what_never_came_is_not_copied() -> None:
    """An app of another region's: Frankfurt is live and never started this one."""
    other = [pushed("c", AMS, API, media_type=MANIFEST, tag=Tag("v1"))]
    other.append(started("c", FRA, API))

    found = candidates([*other, *history(SYD, count=10), push("a", 11)])

    assert targets(found) == [SYD]


def test_higher_price_of_a_second_copies_more() -> None:
    """Kappa is what a saved second is worth in bytes."""
    told = [*history(SYD), push("a", 9)]

    assert candidates(told, policy=Policy(kappa_bytes_per_second=0)) == []
    assert targets(candidates(told)) == [SYD]


def test_holder_is_no_target() -> None:
    """What is there already needs no copy."""
    told = [*history(SYD), push("a", 9)]

    assert (
        candidates([*told, pushed("a", SYD, size_bytes=SIZE, media_type=MANIFEST)])
        == []
    )


def test_what_runs_in_a_region_without_it_is_copied_there() -> None:
    """It has started there and will again: the forecast's part is done."""
    [copy] = candidates([push("a", 1), started("a", SYD)])

    assert (copy.target, copy.reason) == (SYD, "runs-here")


def test_pulls_stand_in_for_starts_and_the_reason_says_so() -> None:
    """Where no scheduler reports machine starts."""
    told = []
    for number, name in enumerate(VERSIONS[:6]):
        told.append(push(name, number))
        told.append(pulled(name, SYD))

    [copy] = candidates([*told, push("a", 9)])

    assert (copy.target, copy.reason) == (SYD, "pull-forecast")


def test_requested_starts_are_nearly_certain() -> None:
    """A brand-new app: somebody says where it will start before anything did."""
    request = event(AMS, StartsRequested(WEB, Tag("v1"), (SYD,)))

    [copy] = candidates([push("a", 1), request])

    assert (copy.target, copy.reason) == (SYD, "starts-requested")
    assert copy.explanation == "97% likely to start in syd: starts were asked for"


def test_request_means_the_newest_version() -> None:
    """The older one is not what somebody will start."""
    request = event(AMS, StartsRequested(WEB, Tag("v2"), (SYD,)))
    told = [push("a", 1), push("b", 2), request]

    assert candidates(told) == []
    assert targets(candidates(told, Image(WEB, B))) == [SYD]


def test_promotion_is_waited_for_where_it_is_the_surer_sign() -> None:
    """Half of all versions reach London; what does, reaches Sydney an hour later."""
    told: list[Event] = []
    for number in range(40):
        name = f"version {number}"
        told.append(push(name, number))
        if number % 2:
            told.append(started(name, LHR, machine=f"{name} lhr"))
            told.append(started(name, SYD, machine=f"{name} syd"))
    told.append(push("a", 99))

    at_push = targets(planned(hourly(told)))
    at_start = planned(hourly([*told, started("a", LHR, machine="a lhr")]))

    assert SYD not in at_push
    [copy] = [each for each in at_start if each.target == SYD]
    assert copy.explanation.endswith("the app runs there; since its first start in lhr")


def test_start_regions_of_one_storage_share_a_copy() -> None:
    """Santiago stores nothing: its starts and Ashburn's are one bet."""
    found = candidates([*history(SCL, IAD), push("a", 9)])

    assert [(copy.target, copy.start_regions) for copy in found] == [(IAD, (IAD, SCL))]


def test_region_outside_the_catalogue_wants_nothing() -> None:
    """Nobody knows where it is."""
    topology = topology_of(AMS, FRA, home=AMS, storing=[AMS, FRA])

    assert candidates([*history(SYD), push("a", 9)], topology=topology) == []
