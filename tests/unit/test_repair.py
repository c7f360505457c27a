"""Repair: what a region that is out of use had is copied elsewhere, if it matters."""

import pytest

from placement.core.copies import Image
from placement.core.deciding.priority import Priority
from placement.core.deciding.repair import repair_target
from placement.core.event import (
    ContentEvicted,
    RegionState,
    ReplicationTrigger,
)
from placement.core.topology import Region
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LHR,
    SYD,
    WEB,
    changed,
    digest,
    event,
    started,
    stopped,
    topology_of,
)
from tests.deciding import NO_CONTROL_GROUP, Office, planned, release, ruled

OUT_OF_USE = [RegionState.DRAINING, RegionState.DOWN]


def kept_in(*regions: Region, policy: str = NO_CONTROL_GROUP) -> Office:
    """Return an office in which the newest version is in some regions."""
    office = Office().tell(ruled(policy))
    for region in regions:
        office.tell(*release("v1", region))
    return office.forget()


def target(office: Office, name: str = "v1") -> Region | None:
    """Return where an image is to be copied."""
    image = Image(WEB, digest(name), ())
    return repair_target(office.desk, office.row(name), image)


@pytest.mark.parametrize("state", OUT_OF_USE)
def test_lost_copy_is_made_anew(state: RegionState) -> None:
    """One of two regions is gone: home gets what only Frankfurt has now."""
    office = kept_in(AMS, FRA).tell(changed(AMS, state))

    (fact,) = planned(office.sweep())

    assert (fact.subject.target_region, fact.source_region) == (IAD, FRA)
    assert fact.trigger is ReplicationTrigger.REPAIR
    assert fact.priority == Priority.TOO_FEW
    assert "fewer than 2" in fact.explanation


def test_nothing_is_repaired_while_all_is_well() -> None:
    """One copy is all that there ever was."""
    assert target(kept_in(IAD)) is None
    assert target(kept_in(AMS, FRA)) is None


def test_drained_region_s_only_copy_is_saved() -> None:
    """It can still be read: home comes first, then what is nearest."""
    office = kept_in(AMS).tell(changed(AMS, RegionState.DRAINING))
    assert target(office) == IAD

    office.tell(changed(IAD, RegionState.DOWN))

    assert target(office) == office.topology.serving_order(AMS)[1] == FRA


def test_only_copy_in_a_lost_region_cannot_be_made_anew() -> None:
    """Nobody has it: nothing is decided."""
    office = kept_in(AMS).tell(changed(AMS, RegionState.DOWN))

    assert office.sweep() == []


def test_residency_is_kept() -> None:
    """What may only be in Europe is repaired there, however near home is."""
    rules = '[[residency]]\nrepositories = ["*"]\nallow = ["ams", "fra", "lhr"]\n'
    office = kept_in(AMS, FRA, policy=NO_CONTROL_GROUP + rules)

    office.tell(changed(AMS, RegionState.DOWN))

    assert target(office) == LHR


def test_nowhere_is_better_than_where_it_may_not_be() -> None:
    """All that is permitted has it, or is out of use."""
    rules = '[[residency]]\nrepositories = ["*"]\nallow = ["ams", "fra"]\n'
    office = kept_in(AMS, FRA, policy=NO_CONTROL_GROUP + rules)

    office.tell(changed(AMS, RegionState.DOWN))

    assert target(office) is None


@pytest.mark.parametrize(("least", "expected"), [(1, None), (2, IAD), (3, IAD)])
def test_policy_says_how_many_are_enough(least: int, expected: Region | None) -> None:
    """Of two copies one is left."""
    rules = f"{NO_CONTROL_GROUP}[limits]\nmin_copies = {least}\n"
    office = kept_in(AMS, FRA, policy=rules).tell(changed(AMS, RegionState.DOWN))

    assert target(office) == expected


def test_there_are_no_more_copies_than_before() -> None:
    """Three are wanted, but two was all there was: one more than is left."""
    rules = f"{NO_CONTROL_GROUP}[limits]\nmin_copies = 3\n"
    office = kept_in(AMS, FRA, policy=rules).tell(changed(AMS, RegionState.DOWN))
    assert len(planned(office.sweep())) == 1

    assert planned(office.sweep()) == []


def test_copy_on_its_way_counts() -> None:
    """It is not decided twice."""
    office = kept_in(AMS, FRA).tell(changed(AMS, RegionState.DOWN))
    office.sweep()

    assert target(office) is None


def test_failed_repair_is_tried_again() -> None:
    """After its back-off."""
    office = kept_in(AMS, FRA).tell(changed(AMS, RegionState.DOWN))
    office.sweep()
    office.fail(office.decisions()[-1])

    early = office.decide(office.tick())
    office.wait(61)

    assert early.events == []
    assert len(planned(office.sweep())) == 1


def test_old_version_that_nobody_runs_is_left() -> None:
    """Neither tagged nor newest nor running: not worth a copy."""
    office = kept_in(AMS, FRA)
    for region in (AMS, FRA):
        office.tell(*release("v2", region))
    office.tell(changed(AMS, RegionState.DOWN)).forget()

    assert target(office, "v2") == IAD
    assert target(office, "v1") is None


def test_old_version_that_runs_is_repaired() -> None:
    """Its machines would have to fetch it from nowhere."""
    office = kept_in(AMS, FRA).tell(started("v1", FRA))
    for region in (AMS, FRA):
        office.tell(*release("v2", region))
    office.tell(changed(AMS, RegionState.DOWN)).forget()

    assert target(office, "v1") == IAD

    office.tell(stopped("m1", FRA))
    assert target(office, "v1") is None


def test_part_of_an_image_is_no_copy() -> None:
    """Sydney has the manifest alone, which saves nobody."""
    office = kept_in(AMS).tell(release("v1", SYD)[1])

    office.tell(changed(SYD, RegionState.DOWN))

    assert target(office) is None


def test_removed_copy_is_not_made_anew() -> None:
    """What was removed on purpose was not lost with its region."""
    office = kept_in(AMS, FRA)
    gone = ContentEvicted(WEB, (digest("v1"), digest("v1-layer")))

    office.tell(event(AMS, gone), changed(AMS, RegionState.DOWN))

    assert target(office) is None


def test_home_need_not_have_been_heard_of() -> None:
    """No event ever named it: it is as good a place as any other."""
    office = kept_in(AMS, FRA)
    office.topology = topology_of(AMS, FRA, IAD, LHR, home=LHR, storing=[AMS, FRA, LHR])
    office.tell(changed(AMS, RegionState.DOWN))

    (fact,) = planned(office.sweep())

    assert fact.subject.target_region == LHR
