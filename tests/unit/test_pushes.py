"""Where to push: the upload now, and the copies onward to where the app runs."""

from placement.core.event import Event, RegionState
from placement.core.pushes import PushTarget, image_bytes, rank_push_targets
from placement.core.state import State
from placement.core.topology import CatalogueRegion, Region, Topology
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LATEST,
    SCL,
    SYD,
    TOPOLOGY,
    WEB,
    changed,
    fold_in,
    folded,
    measured,
    pushed,
    started,
    tagged,
)
from tests.images import AMD_BYTES, MEGABYTE, network, parts_pushed
from tests.steps import taken

DFW = Region("dfw")
DALLAS = CatalogueRegion(DFW, "Dallas", 32.9, -97.04)
CATALOGUE = Topology({**TOPOLOGY.regions, DFW: DALLAS}, IAD)
SIZE = 100 * MEGABYTE


def targets(state: State, pusher: Region = DFW, size: int = SIZE) -> list[PushTarget]:
    """Return where *pusher* should push acme/web to, best first."""
    return rank_push_targets(network(state, CATALOGUE), WEB, pusher, size)


def runs(region: Region, times: int = 1) -> list[Event]:
    """Return starts of acme/web's image."""
    return [started("app", region, machine=f"{region}-{n}") for n in range(times)]


def test_what_is_built_in_dallas_and_runs_in_sydney_is_pushed_to_sydney() -> None:
    """The bytes cross the ocean once, instead of being stored in Dallas first."""
    state = folded(*parts_pushed(IAD), *runs(SYD))

    best, *others = targets(state)

    assert best.region == SYD
    assert best.onward.p50_ns == 0
    assert best.reason == "reached from dfw; the app runs here"
    [near] = [target for target in others if target.region == DFW]
    assert near.reason == "where the push is; copied on to syd, where the app runs"
    assert near.upload.p50_ns < best.upload.p50_ns
    assert near.onward.p50_ns > 0


def test_onward_copies_are_weighed_by_starts() -> None:
    """Nine starts in Ashburn and one in Sydney: Ashburn is where it belongs."""
    state = folded(*parts_pushed(AMS), *runs(IAD, 9), *runs(SYD))

    best = targets(state)[0]

    assert best.region == IAD
    copy = network(state, CATALOGUE).route(IAD, SYD).duration(SIZE)
    assert best.onward.p50_ns == round(0.1 * copy.p50_ns)
    values = {factor.name: factor.value for factor in best.factors}
    assert list(values.values()) == [
        best.upload.p50_ns / 1e9,
        best.onward.p50_ns / 1e9,
        0.9,
    ]


def test_starts_in_a_region_without_storage_count_where_it_is_served() -> None:
    """What runs in Santiago is pulled from Dallas."""
    state = folded(*parts_pushed(AMS), *runs(SCL))

    best = targets(state, AMS)[0]
    assert best.region == DFW
    assert best.reason == "reached from ams; the app runs here"


def test_where_nobody_runs_it_the_push_stays_near() -> None:
    """An app that never started goes to where it was built; so does an unknown one."""
    for state in (State(), folded(*parts_pushed(AMS))):
        best = targets(state)[0]

        assert (best.region, best.onward.p50_ns) == (DFW, 0)
        assert best.reason == (
            "where the push is; nobody has reported where the app runs"
        )


def test_draining_region_is_last_and_one_that_is_down_is_no_target() -> None:
    """Nor is one that stores nothing."""
    state = folded(
        *parts_pushed(AMS),
        changed(DFW, RegionState.DRAINING),
        changed(FRA, RegionState.DOWN),
    )

    found = [target.region for target in targets(state)]

    assert found[-1] == DFW
    assert set(found) == {AMS, IAD, Region("lhr"), SYD, DFW}


def test_measured_upload_is_what_counts() -> None:
    """A pusher whose line to the nearest region is bad is sent past it."""
    state = folded(*parts_pushed(AMS))

    fold_in(state, *(measured(DFW, DFW, SIZE, 120.0) for _ in range(4)))

    assert targets(state)[0].region == IAD


def test_size_of_a_push_is_guessed_from_the_largest_tagged_image() -> None:
    """Zero where none is known."""
    state = folded(*parts_pushed(AMS), pushed("small", AMS, tag=LATEST))
    small = taken(image_bytes(network(state), WEB))

    fold_in(state, tagged("v1", "app", AMS))

    assert small == 10 * MEGABYTE
    largest = taken(image_bytes(network(state), WEB))
    assert largest == AMD_BYTES + 20 * MEGABYTE + 10_000
    assert taken(image_bytes(network(State()), WEB)) == 0
