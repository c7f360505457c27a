"""Fetching an image: what is missing, from where it comes, how long all takes."""

import pytest

from placement.core.estimate import Duration
from placement.core.event import Event, RegionState
from placement.core.tables.cells import ReplicaPhase
from tests.builders import (
    AMD64,
    AMS,
    API,
    ARM64,
    FRA,
    IAD,
    LHR,
    NOWHERE,
    SCL,
    SYD,
    announced,
    changed,
    digest,
    evicted,
    fold_in,
    folded,
    measured,
    pushed,
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


def test_what_is_there_only_goes_to_the_machine() -> None:
    """All of the image through the storage region, nothing between regions."""
    state = folded(*parts_pushed(AMS))

    fetch = fetched(state, AMS)

    assert (fetch.total_bytes, fetch.missing_bytes) == (AMD_BYTES, 0)
    assert fetch.duration == network(state).route(AMS, AMS).duration(AMD_BYTES)
    assert fetch.main_source is None


def test_platforms_of_one_index_differ_and_share_their_base() -> None:
    """One platform is present: it costs nothing, the other its own layer alone."""
    state = folded(*parts_pushed(AMS), *parts_pushed(FRA, AMD_PARTS))

    amd = fetched(state, FRA, selected(state, platform=AMD64))
    arm = fetched(state, FRA, selected(state, platform=ARM64))

    assert (amd.total_bytes, amd.missing_bytes) == (AMD_BYTES, 0)
    assert (arm.total_bytes, arm.missing_bytes) == (ARM_BYTES, 20 * MEGABYTE + 2_000)
    assert amd.duration is not None
    assert arm.duration is not None
    assert amd.duration.p50_ns < arm.duration.p50_ns
    assert arm.main_source == AMS


def test_layer_that_two_images_share_is_fetched_once() -> None:
    """A machine with a sidecar on the same base waits for the base once."""
    state = folded(*parts_pushed(AMS))
    amd, arm = selected(state), selected(state, platform=ARM64)

    both = fetched(state, SYD, amd, arm)

    shared = 30 * MEGABYTE + 4_000
    assert both.total_bytes == both.missing_bytes == AMD_BYTES + ARM_BYTES - shared
    assert fetched(state, SYD, amd, amd) == fetched(state, SYD, amd)


def test_region_without_storage_is_served_by_another() -> None:
    """Santiago's images come through Ashburn, and are missing there."""
    state = folded(*parts_pushed(IAD))

    fetch = fetched(state, SCL)

    assert (fetch.storage, fetch.missing_bytes) == (IAD, 0)
    assert fetch.duration == network(state).route(IAD, SCL).duration(AMD_BYTES)


def test_region_that_drains_is_served_by_the_next() -> None:
    """Copies go to where machines will be served, so that is what counts."""
    state = folded(*parts_pushed(FRA), changed(AMS, RegionState.DRAINING))

    assert fetched(state, AMS).storage == FRA


def test_one_start_up_for_all_that_moves() -> None:
    """Contents come one after another over one warm connection."""
    state = folded(*parts_pushed(AMS))

    fetch = fetched(state, SYD)

    route = network(state).route(AMS, SYD).duration(AMD_BYTES)
    assert fetch.duration is not None
    assert fetch.duration.p50_ns == pytest.approx(route.p50_ns, abs=10)
    assert fetch.duration.p90_ns == pytest.approx(route.p90_ns, abs=10)


def test_each_content_comes_from_its_own_best_source() -> None:
    """The base is near, the rest is far: the near part moves nearby."""
    state = folded(*parts_pushed(SYD), *parts_pushed(AMS, ["base"]))

    fetch = fetched(state, LHR)

    best = {c.size_bytes: c.supplies[0].region for c in fetch.contents}
    assert best[30 * MEGABYTE] == AMS
    assert best[10 * MEGABYTE] == SYD
    assert fetch.main_source == AMS


def test_mountable_blob_is_no_transfer() -> None:
    """Another repository of the region has it: a mount moves no bytes."""
    state = folded(*parts_pushed(AMS), *parts_pushed(FRA, ["base"], API))

    fetch = fetched(state, FRA)

    assert fetch.mountable_bytes == 30 * MEGABYTE
    assert fetch.missing_bytes == AMD_BYTES - 30 * MEGABYTE
    [mounted] = [content for content in fetch.contents if content.mounts]
    assert mounted.mounts == (state.find_repository(API),)
    assert not mounted.moves


def test_manifest_of_another_repository_does_move() -> None:
    """Manifests cannot be mounted; they are small."""
    state = folded(*parts_pushed(AMS), *parts_pushed(FRA, AMD_PARTS, API))

    fetch = fetched(state, FRA)

    assert fetch.mountable_bytes == 40 * MEGABYTE
    assert fetch.missing_bytes == 5_000


def test_attestation_is_not_waited_for() -> None:
    """Whoever lacks only proofs lacks nothing."""
    state = folded(*parts_pushed(FRA, AMD_PARTS))

    assert fetched(state, FRA).missing_bytes == 0


def test_region_that_still_receives_it_supplies_after_the_rest_came() -> None:
    """What it lacks has to come there first, and then all of it from there."""
    state = folded(
        pushed("layer", SYD, size_bytes=80 * MEGABYTE),
        announced("layer", AMS, size_bytes=80 * MEGABYTE, held_bytes=79 * MEGABYTE),
    )
    routes = network(state)

    [content] = fetched(state, FRA, selected(state, "layer")).contents

    near, far = content.supplies
    rest = routes.route(SYD, AMS).duration(MEGABYTE)
    own = routes.route(AMS, FRA).duration(80 * MEGABYTE)
    assert (near.region, near.phase) == (AMS, ReplicaPhase.PARTIAL)
    assert near.ready == rest
    assert near.duration == Duration(rest.p50_ns + own.p50_ns, rest.p90_ns + own.p90_ns)
    assert (far.region, far.ready) == (SYD, Duration(0, 0))


def test_part_of_what_nobody_has_whole_is_no_supply() -> None:
    """The rest of it would have to come from somewhere."""
    state = folded(
        announced("layer", AMS, held_bytes=MEGABYTE), announced("layer", IAD)
    )

    fetch = fetched(state, FRA, selected(state, "layer"))

    assert fetch.contents[0].supplies == ()
    assert fetch.duration is None


def test_no_source_is_no_estimate() -> None:
    """One content that nobody holds, and no duration would be true."""
    state = folded(*parts_pushed(AMS), evicted("amd", AMS))

    assert fetched(state, FRA).duration is None
    assert fetched(state, FRA, selected(state, platform=ARM64)).duration is not None


@pytest.mark.parametrize(
    "told", [pushed("a", NOWHERE), pushed("a", SCL)], ids=["unknown", "no storage"]
)
def test_supplier_is_in_the_catalogue_and_stores(told: Event) -> None:
    """Nobody can be sent to a registry that is not there."""
    state = folded(told)

    assert fetched(state, FRA, selected(state, "a")).duration is None


def test_region_that_is_down_supplies_nothing() -> None:
    """Neither its own content nor the rest of somebody else's."""
    state = folded(
        pushed("a", SYD), announced("a", AMS), changed(SYD, RegionState.DOWN)
    )

    [content] = fetched(state, FRA, selected(state, "a")).contents

    assert content.supplies == ()


def test_measured_route_is_what_counts() -> None:
    """The samples of the routes in use are told: the fewest of them."""
    state = folded(*parts_pushed(AMS))
    before = fetched(state, FRA)

    fold_in(state, *(measured(AMS, FRA, 40 * MEGABYTE, 30.0) for _ in range(3)))
    after = fetched(state, FRA)

    assert (before.sample_count, after.sample_count) == (0, 3)
    assert before.duration is not None
    assert after.duration is not None
    assert after.duration.p50_ns > 10 * before.duration.p50_ns


def test_fetch_knows_the_contents_by_digest() -> None:
    """Each once, in the order of the graph."""
    state = folded(*parts_pushed(AMS))

    fetch = fetched(state, FRA)

    assert [state.digest_at(content.content) for content in fetch.contents] == [
        digest(name) for name in ("app", "for-amd", "base", "amd")
    ]
