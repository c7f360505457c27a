"""The ledger by hand: who waits how long, and which bytes move for it."""

from dataclasses import replace

import pytest

from placement.simulation.ledger import Sources, all_waits, settle
from tests.builders import AMS, FRA, IAD, LHR, SCL, SYD
from tests.small_worlds import (
    SIZE_BYTES,
    copy_of,
    small_world,
    version_of,
    waits_s,
)

LOCAL_S = 0.33
FAR_S = small_world([(0, SYD, "web", "v1")]).rules.transfer_s(IAD, SYD, SIZE_BYTES)
"""An image from home to Sydney."""
STARTED = [(0, SYD, "web", "v1")]
"""Pushed at -60 s, started at 0."""


def test_start_without_a_copy_waits_for_the_whole_image() -> None:
    """And leaves it in its region: a second start finds it."""
    world = small_world([*STARTED, (60, SYD, "web", "v1")])

    ledger = settle(world, [])

    assert [wait.wait_s for wait in ledger.waits] == [FAR_S]
    assert [m.moved_bytes for m in ledger.movements] == [SIZE_BYTES]
    assert [w.wait_s for w in all_waits(world, ledger)] == [FAR_S, LOCAL_S]


def test_copy_in_time_makes_a_start_local() -> None:
    """The bytes would have moved anyway: none are wasted."""
    world = small_world(STARTED)

    ledger = settle(world, [copy_of(world, "web", "v1", SYD, -60)])

    (wait,) = ledger.waits
    assert (wait.wait_s, wait.local) == (LOCAL_S, True)
    assert wait.copied_time_ns == version_of(world, "web", "v1").push_time_ns
    assert [(m.moved_bytes, m.wasted_bytes) for m in ledger.movements] == [
        (SIZE_BYTES, 0)
    ]


def test_copy_that_comes_late_still_shortens_the_wait() -> None:
    """The start waits for what is left of it, and moves nothing itself."""
    world = small_world(STARTED)

    ledger = settle(world, [copy_of(world, "web", "v1", SYD, -10)])

    (wait,) = ledger.waits
    assert wait.wait_s == pytest.approx(FAR_S - 10)
    assert not wait.local
    assert len(ledger.movements) == 1


def test_copy_of_the_very_instant_or_later_helps_nobody() -> None:
    """It comes with the start's own pull, or finds everything there."""
    world = small_world(STARTED)

    at_once = settle(world, [copy_of(world, "web", "v1", SYD, 0)])
    later = settle(world, [copy_of(world, "web", "v1", SYD, 5)])

    for ledger in (at_once, later):
        assert [wait.wait_s for wait in ledger.waits] == [pytest.approx(FAR_S)]
        assert ledger.waits[0].copied_time_ns is None
        assert sum(m.moved_bytes for m in ledger.movements) == SIZE_BYTES


def test_copy_that_nobody_needs_is_waste() -> None:
    """Frankfurt never starts it."""
    world = small_world([*STARTED, (900, FRA, "other", "v1")])

    ledger = settle(world, [copy_of(world, "web", "v1", FRA, -60)])

    wasted = [m for m in ledger.movements if m.wasted_bytes]
    assert [(m.region, m.wasted_bytes) for m in wasted] == [(FRA, SIZE_BYTES)]


def test_second_copy_moves_nothing() -> None:
    """Neither while the first is in flight, nor after."""
    world = small_world(STARTED)
    times_s = (-60, -59, -1)

    ledger = settle(world, [copy_of(world, "web", "v1", SYD, x) for x in times_s])

    assert [m.moved_bytes for m in ledger.movements] == [SIZE_BYTES]


def test_home_has_what_was_pushed_there() -> None:
    """Starts at home are local without a copy, and a copy there moves nothing."""
    world = small_world([(0, IAD, "web", "v1")])

    ledger = settle(world, [copy_of(world, "web", "v1", IAD, -60)])

    assert [wait.wait_s for wait in ledger.waits] == [LOCAL_S]
    assert ledger.movements == []


def test_shared_base_moves_once() -> None:
    """Of the second version, only its own fifth is pulled."""
    world = small_world([*STARTED, (900, SYD, "web", "v2")], layer_share=0.8)

    ledger = settle(world, [])

    moved = [m.moved_bytes for m in ledger.movements]
    assert moved == [SIZE_BYTES, pytest.approx(SIZE_BYTES / 5, rel=1e-4)]
    assert ledger.waits[1].wait_s == pytest.approx(
        world.rules.transfer_s(IAD, SYD, moved[1])
    )


def test_layers_in_flight_are_waited_for_and_not_moved_again() -> None:
    """A start of v2 pulls its own layer, and waits for the base of v1's copy."""
    rows = [(1_000, SYD, "web", "v1"), (5, SYD, "web", "v2"), (0, LHR, "web", "v1")]
    world = small_world(rows, layer_share=0.8, delta_s=1)

    ledger = settle(world, [copy_of(world, "web", "v1", SYD, 0)])

    (wait,) = (w for w in ledger.waits if w.start.version.tag == "v2")
    assert wait.wait_s == pytest.approx(FAR_S - 5)
    in_sydney = [m.moved_bytes for m in ledger.movements if m.region == SYD]
    assert in_sydney == [SIZE_BYTES, pytest.approx(SIZE_BYTES / 5, rel=1e-4)]


def test_start_does_not_wait_for_a_flight_that_is_slower_than_its_own_pull() -> None:
    """The base of v1's copy comes after v1's manifest; v2 pulls all of it sooner."""
    rows = [(0, LHR, "web", "v1"), (-110, SYD, "web", "v2")]
    world = small_world(rows, layer_share=0.8, upload_s=100)

    ledger = settle(world, [copy_of(world, "web", "v1", SYD, -160)])

    assert [wait.start.region for wait in ledger.waits] == [SYD, LHR]
    assert ledger.waits[0].wait_s == pytest.approx(FAR_S)


def test_base_of_a_wasted_copy_is_no_waste_if_another_version_needs_it() -> None:
    """Only what no start there ever needs is wasted: here v1's own fifth."""
    rows = [(0, LHR, "web", "v1"), (900, SYD, "web", "v2")]
    world = small_world(rows, layer_share=0.8)

    ledger = settle(world, [copy_of(world, "web", "v1", SYD, -60)])

    wasted = [m.wasted_bytes for m in ledger.movements if m.wasted_bytes]
    assert wasted == [pytest.approx(SIZE_BYTES / 5, rel=1e-4)]


def test_copy_may_begin_with_the_layers_but_ends_with_the_manifest() -> None:
    """Layers travel while they are uploaded; without a manifest there is no image."""
    world = small_world(STARTED, delta_s=5, upload_s=100)

    early = waits_s(world, copy_of(world, "web", "v1", SYD, -105))
    soon = waits_s(world, copy_of(world, "web", "v1", SYD, -10))

    assert early == [LOCAL_S]
    assert soon == [pytest.approx(FAR_S - 10)]


def test_manifest_that_is_pushed_last_is_waited_for() -> None:
    """However early the layers came, the manifest takes a start-up more."""
    world = small_world(STARTED, delta_s=1, upload_s=100)
    commit_s = world.rules.transfer_s(IAD, SYD, 0)

    (wait_s,) = waits_s(world, copy_of(world, "web", "v1", SYD, -101))

    assert wait_s == pytest.approx(commit_s - 1)


def test_nearest_complete_copy_may_be_the_source() -> None:
    """London has it whole: Amsterdam need not fetch it from America."""
    rows = [(0, LHR, "web", "v1"), (500, AMS, "web", "v1")]
    world = small_world(rows)

    home = settle(world, [], Sources.HOME).waits[1].wait_s
    nearest = settle(world, [], Sources.NEAREST).waits[1].wait_s

    assert nearest == world.rules.transfer_s(LHR, AMS, SIZE_BYTES)
    assert nearest < home


def test_copy_that_is_not_complete_is_no_source() -> None:
    """London is still receiving it."""
    world = small_world([(0, LHR, "web", "v1"), (1, AMS, "web", "v1")])

    waits = settle(world, [], Sources.NEAREST).waits

    assert waits[1].wait_s == world.rules.transfer_s(IAD, AMS, SIZE_BYTES)


def test_region_that_is_down_waits_for_its_neighbour() -> None:
    """With a copy there, from the next region; without, straight from home."""
    world = small_world([(0, LHR, "web", "v1")], down=[LHR])
    direct_s = world.rules.transfer_s(IAD, LHR, SIZE_BYTES)

    without = settle(world, []).waits[0]
    copied = settle(world, [copy_of(world, "web", "v1", AMS, -60)]).waits[0]

    assert without.wait_s == direct_s
    assert copied.wait_s == world.rules.transfer_s(AMS, LHR, SIZE_BYTES)
    assert (without.local, copied.local) == (False, True)
    assert copied.near_s == copied.wait_s < direct_s


def test_start_region_that_home_serves_needs_no_copy() -> None:
    """Santiago waits for the way from home, which nothing could have spared it."""
    world = small_world([(0, SCL, "web", "v1")])

    (wait,) = settle(world, []).waits

    assert wait.wait_s == world.rules.transfer_s(IAD, SCL, SIZE_BYTES)
    assert wait.local


def test_copy_before_the_push_is_a_bug() -> None:
    """Nobody can copy what does not exist."""
    world = small_world(STARTED)

    with pytest.raises(AssertionError, match="before it was pushed"):
        settle(world, [copy_of(world, "web", "v1", SYD, -61)])


def test_copy_into_a_region_that_is_down_is_a_bug() -> None:
    """A planner that was told would not have decided it."""
    world = small_world([*STARTED, (0, LHR, "web", "v1")], down=[SYD])

    with pytest.raises(AssertionError, match="syd is down"):
        settle(world, [copy_of(world, "web", "v1", SYD, 0)])


def test_order_of_decisions_does_not_matter() -> None:
    """They are settled in the order of time."""
    world = small_world([*STARTED, (10, LHR, "web", "v1")], layer_share=0.8)
    copies = [
        copy_of(world, "web", "v1", region, at_s)
        for region, at_s in ((SYD, -20), (LHR, -30), (SYD, -5))
    ]

    forwards, backwards = settle(world, copies), settle(world, copies[::-1])

    assert forwards.waits == backwards.waits
    assert forwards.movements == backwards.movements


def test_part_of_a_version_can_be_copied_alone() -> None:
    """Then the rest is pulled by the start."""
    world = small_world(STARTED, layer_share=0.8)
    whole = copy_of(world, "web", "v1", SYD, -60)
    base, own = whole.version.parts

    ledger = settle(world, [replace(whole, parts=(base,))])

    own_bytes = world.past.part_bytes[own]
    assert [m.moved_bytes for m in ledger.movements][1] == own_bytes
    assert ledger.waits[0].wait_s == world.rules.transfer_s(IAD, SYD, own_bytes)
