"""The control group: one lot for a version in a region, drawn the same everywhere."""

from math import sqrt

import pytest

from placement.core.deciding.control import in_control_group
from placement.core.event import StartsRequested
from placement.core.oci import Repository, Tag
from placement.core.tables.table import Row
from placement.core.topology import Region
from tests.builders import FRA, IAD, LHR, SYD, WEB, event, pushed, started
from tests.deciding import Office, planned, release, ruled, withheld

UNITS = 20_000
STANDARD_ERRORS = 4.5
VERSIONS = 40


def drawn(office: Office, name: str, region: Region = SYD) -> bool:
    """Say whether the copy of a content into a region is withheld."""
    return in_control_group(office.desk, office.row(name), region)


def test_layer_and_version_draw_the_same_lot() -> None:
    """A layer that goes ahead of its manifest is withheld with it, or not at all."""
    office, lots = Office().tell(ruled("holdout_fraction = 0.5\n")), []
    for number in range(VERSIONS):
        layer, manifest = release(f"v{number}")
        before = drawn(office.tell(layer), f"v{number}-layer")
        after = drawn(office.tell(manifest), f"v{number}")
        lots.append((before, after))

    assert set(lots) == {(True, True), (False, False)}


def test_later_signs_draw_the_same_lot() -> None:
    """A start elsewhere, another policy, a day later: it is as it was."""
    office = Office().tell(ruled("holdout_fraction = 0.5\n"))
    names = [f"v{number}" for number in range(VERSIONS)]
    for name in names:
        office.tell(*release(name))
    before = [drawn(office, name) for name in names]

    office.tell(*(started(name, FRA) for name in names)).wait(86_400)
    office.tell(ruled("holdout_fraction = 0.5\nkappa_bytes_per_second = 1\n", "b"))

    assert [drawn(office, name) for name in names] == before
    assert len(set(before)) == 2


def test_regions_and_versions_draw_lots_of_their_own() -> None:
    """What is withheld in Sydney may well be copied to London."""
    office = Office().tell(ruled("holdout_fraction = 0.5\n"))
    names = [f"v{number}" for number in range(VERSIONS)]
    for name in names:
        office.tell(*release(name))

    found = {(drawn(office, name, SYD), drawn(office, name, LHR)) for name in names}

    assert len(found) == 4


def test_share_is_what_the_policy_says() -> None:
    """Over twenty thousand repositories, within what chance allows."""
    office = Office()
    for number in range(UNITS):
        office.tell(pushed("a", IAD, Repository(f"team/app-{number}")))
    placements = [Row(row) for row in range(len(office.state.placements))]

    for fraction in (0.01, 0.1, 0.5):
        office.tell(ruled(f"holdout_fraction = {fraction}\n", f"share-{fraction}"))
        desk = office.desk
        count = sum(in_control_group(desk, row, SYD) for row in placements)

        error = sqrt(UNITS * fraction * (1 - fraction))
        assert len(placements) == UNITS
        assert abs(count - UNITS * fraction) <= STANDARD_ERRORS * error


@pytest.mark.parametrize(("fraction", "expected"), [(0, False), (1, True)])
def test_none_and_all(fraction: int, expected: bool) -> None:  # noqa: FBT001 - a table
    """0 withholds nothing and 1 everything, whatever the lot."""
    office = Office().tell(ruled(f"holdout_fraction = {fraction}\n"))
    for number in range(VERSIONS):
        office.tell(*release(f"v{number}"))

    drawn_lots = {drawn(office, f"v{number}") for number in range(VERSIONS)}

    assert drawn_lots == {expected}


def test_more_are_withheld_with_a_greater_share() -> None:
    """Whoever is withheld at a tenth is so at a half: raising it wastes no pair."""
    office = Office()
    names = [f"v{number}" for number in range(VERSIONS)]
    for name in names:
        office.tell(*release(name))

    office.tell(ruled("holdout_fraction = 0.1\n", "few"))
    few = {name for name in names if drawn(office, name)}
    office.tell(ruled("holdout_fraction = 0.5\n", "many"))
    many = {name for name in names if drawn(office, name)}

    assert few < many


def test_who_asks_is_in_no_experiment() -> None:
    """Starts that were asked for are no forecast."""
    office = Office().tell(ruled("holdout_fraction = 1\n"), *release("v1")).forget()

    office.tell(event(IAD, StartsRequested(WEB, Tag("v1"), (SYD,))))
    events = office.act()

    assert len(planned(events)) == 1
    assert withheld(events) == []
