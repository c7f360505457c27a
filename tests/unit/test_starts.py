"""The scheduler's question: where a start waits least, why, and who goes elsewhere."""

import pytest

from placement.core.arrival import Arrival
from placement.core.event import ContentReplicated, Event, Identifier, RegionState
from placement.core.images import SelectedImage
from placement.core.starts import StartEstimate, estimate_starts
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    ARM64,
    FRA,
    IAD,
    LHR,
    MANIFEST,
    SCL,
    SYD,
    WEB,
    changed,
    descriptor,
    digest,
    event,
    evicted,
    folded,
)
from tests.images import (
    AMD_BYTES,
    AMD_PARTS,
    ARM_BYTES,
    MEGABYTE,
    fetched,
    network,
    parts_pushed,
    selected,
)

EVERYWHERE = (AMS, FRA, IAD, LHR, SYD, SCL)


def estimates(
    state: State,
    *images: SelectedImage,
    candidates: tuple[Region, ...] = EVERYWHERE,
    spread: str = "",
) -> list[StartEstimate]:
    """Return the estimates for *images*, the amd64 one if none is named."""
    chosen = images or (selected(state),)
    return estimate_starts(network(state), chosen, candidates, spread)


def order(found: list[StartEstimate]) -> list[str]:
    """Return the regions, best first."""
    return [estimate.region for estimate in found]


def test_region_that_has_the_image_is_best() -> None:
    """Then those that are near it; a reason says what makes the difference."""
    state = folded(*parts_pushed(AMS))

    found = estimates(state, candidates=(SYD, IAD, AMS))

    assert order(found) == ["ams", "iad", "syd"]
    assert [estimate.reason for estimate in found[:2]] == [
        "all of it is there",
        "40,005,000 of 40,005,000 bytes come from ams",
    ]
    assert found[0].wait == fetched(state, AMS).duration


def test_platforms_differ_and_a_shared_base_counts_once() -> None:
    """One platform is present: it starts at once, the other waits for its layer."""
    state = folded(*parts_pushed(AMS), *parts_pushed(FRA, AMD_PARTS))
    arm_image = selected(state, platform=ARM64)

    [amd] = estimates(state, candidates=(FRA,))
    [arm] = estimates(state, arm_image, candidates=(FRA,))
    [both] = estimates(state, selected(state), arm_image, candidates=(FRA,))

    assert (amd.missing_bytes, arm.missing_bytes) == (0, 20 * MEGABYTE + 2_000)
    assert amd.wait is not None
    assert arm.wait is not None
    assert amd.wait.p50_ns < arm.wait.p50_ns
    total = {factor.name: factor.value for factor in both.factors}[
        Identifier("total_bytes")
    ]
    assert total == AMD_BYTES + ARM_BYTES - 30 * MEGABYTE - 4_000
    assert [image.missing_bytes for image in both.images] == [0, 20 * MEGABYTE + 2_000]


def test_region_without_storage_is_estimated_through_its_serving_order() -> None:
    """Santiago is served by Ashburn: what that lacks has to come there first."""
    there = folded(*parts_pushed(IAD))
    elsewhere = folded(*parts_pushed(AMS))

    [near] = estimates(there, candidates=(SCL,))
    [far] = estimates(elsewhere, candidates=(SCL,))

    assert (near.storage, near.reason) == (IAD, "all of it is there (stored in iad)")
    part = f"{AMD_BYTES:,} of {AMD_BYTES:,} bytes"
    assert far.reason == f"{part} come from ams (stored in iad)"
    assert near.wait is not None
    assert far.wait is not None
    assert near.wait.p50_ns <= far.wait.p50_ns


def test_draining_region_is_last_and_one_that_is_down_after_it() -> None:
    """However near they are: machines should start where regions work."""
    state = folded(
        *parts_pushed(AMS),
        *parts_pushed(FRA),
        changed(AMS, RegionState.DOWN),
        changed(FRA, RegionState.DRAINING),
    )

    found = estimates(state, candidates=(AMS, FRA, SYD))

    assert order(found) == ["syd", "fra", "ams"]


def test_near_equals_are_spread_by_the_request() -> None:
    """A burst of schedulers does not herd: each region is first for some."""
    state = folded(*(event for at in (AMS, FRA, LHR) for event in parts_pushed(at)))

    orders = [order(estimates(state, spread=f"request-{n}")) for n in range(60)]

    for region in (AMS, FRA, LHR):
        assert 10 <= [one[0] for one in orders].count(region) <= 30
    assert all(set(one[:3]) == {AMS, FRA, LHR} for one in orders)
    assert len({tuple(one[3:]) for one in orders}) == 1


def test_near_equals_of_active_regions_are_measured_among_themselves() -> None:
    """A draining region that has everything does not make the others unequal."""
    state = folded(*parts_pushed(IAD), changed(IAD, RegionState.DRAINING))

    firsts = {
        order(estimates(state, candidates=(IAD, FRA, AMS), spread=f"request-{n}"))[0]
        for n in range(20)
    }

    assert firsts == {AMS, FRA}


def test_same_request_is_answered_the_same() -> None:
    """Whatever the order of the candidates; without a request they go by code."""
    state = folded(*(event for at in (AMS, FRA, LHR) for event in parts_pushed(at)))
    turned = tuple(reversed(EVERYWHERE))

    assert estimates(state, spread="a") == estimates(
        state, spread="a", candidates=turned
    )
    assert order(estimates(state, candidates=turned))[:3] == ["ams", "fra", "lhr"]


def test_what_nobody_holds_has_no_wait() -> None:
    """It comes last of its state, and says so."""
    state = folded(*parts_pushed(AMS), evicted("amd", AMS), *parts_pushed(SYD, ["amd"]))
    lost = folded(*parts_pushed(AMS), evicted("amd", AMS))

    assert all(estimate.wait is not None for estimate in estimates(state))
    found = estimates(lost)
    assert {estimate.wait for estimate in found} == {None}
    assert order(found) == sorted(EVERYWHERE)
    assert found[0].reason == "nobody is known to hold all of it"


def test_each_image_says_how_far_it_is() -> None:
    """Its phase, what it lacks, and from where that comes."""
    state = folded(
        *parts_pushed(AMS),
        *parts_pushed(FRA, ["app"]),
        *parts_pushed(FRA, ["base"], API),
    )

    [found] = estimates(state, candidates=(FRA,))

    [image] = found.images
    assert (image.repository, image.digest) == (WEB, digest("app"))
    assert (image.phase, image.arrival) == (ReplicaPhase.COMPLETE, Arrival.UNWANTED)
    assert image.mountable_bytes == 30 * MEGABYTE
    assert image.missing_bytes == 10 * MEGABYTE + 1_000
    assert image.source == AMS


def test_factors_are_the_numbers_behind_the_reason() -> None:
    """Bytes of all kinds, and how fast the main source is."""
    state = folded(*parts_pushed(AMS))

    [found] = estimates(state, candidates=(FRA,))

    assert {factor.name: factor.value for factor in found.factors} == {
        Identifier("total_bytes"): AMD_BYTES,
        Identifier("missing_bytes"): AMD_BYTES,
        Identifier("mountable_bytes"): 0,
        Identifier("draining"): 0,
        Identifier("source_bytes_per_second"): pytest.approx(80e6),
    }


def converted(region: Region) -> Event:
    """Return the arrival of a copy that changed the digest of the amd64 image."""
    fact = ContentReplicated(
        (descriptor("lazy", 900, MANIFEST), descriptor("lazy-layer", 40 * MEGABYTE)),
        WEB,
        references=(descriptor("lazy-layer", 40 * MEGABYTE),),
        original_digest=digest("for-amd"),
    )
    return event(region, fact)


def test_conversion_that_is_there_counts() -> None:
    """It is the same image by another name: nothing has to move."""
    state = folded(*parts_pushed(AMS), converted(FRA))
    image = selected(state, "for-amd")

    found = estimates(state, image, candidates=(FRA, AMS))
    ams, fra = sorted(found, key=lambda estimate: estimate.region)

    assert (fra.missing_bytes, fra.images[0].digest) == (0, digest("lazy"))
    assert (ams.missing_bytes, ams.images[0].digest) == (0, digest("for-amd"))


def test_conversion_is_chosen_by_the_wait_and_not_by_the_bytes() -> None:
    """A little from far away takes longer than more from nearby."""
    state = folded(
        *parts_pushed(AMS, AMD_PARTS),
        evicted("amd", AMS),
        *parts_pushed(SYD, ["amd"]),
        converted(LHR),
    )

    [found] = estimates(state, selected(state, "for-amd"), candidates=(AMS,))

    assert found.images[0].digest == digest("lazy")
    assert found.missing_bytes == 40 * MEGABYTE + 900
