"""The regular look: what is new, runs, is asked for or pinned, since the last tick."""

from placement.core.deciding.sweep import (
    VERSIONS_LOOKED_AT,
    last_tick,
    sweep_of,
    sweep_of_requests,
)
from placement.core.event import (
    InventoryContent,
    InventoryTaken,
    ReplicationTrigger,
    TickPassed,
    TimeNs,
)
from placement.core.oci import Repository, Tag
from placement.core.tables.table import Row
from tests.builders import (
    API,
    IAD,
    LHR,
    MANIFEST,
    START_NS,
    WEB,
    descriptor,
    digest,
    event,
    pushed,
    started,
    tagged,
)
from tests.deciding import Office, pinned, release, requested


def looked_at(office: Office, repository: Repository = WEB) -> list[str]:
    """Return the versions of a repository that the sweep looks at, by name."""
    row = office.state.find_repository(repository)
    names = {digest(name): name for name in [f"v{n}" for n in range(10)]}
    return [
        names.get(office.state.placement_at(due.placement)[1], "other")
        for due in sweep_of(office.state, row)
    ]


def test_long_history_costs_no_more_than_a_short_one() -> None:
    """Of versions whose tags are alike only the newest are looked at."""
    office = Office()
    for number in range(6):
        office.tell(*release(f"v{number}"))

    assert len(looked_at(office)) == VERSIONS_LOOKED_AT
    assert set(looked_at(office)) == {"v3", "v4", "v5"}


def test_newest_of_each_shape_of_tags_is_looked_at() -> None:
    """A release stays current while ever newer candidates come."""
    office = Office().tell(pushed("v0", IAD, media_type=MANIFEST, tag=Tag("stable")))
    for number in range(1, 6):
        office.tell(*release(f"v{number}"))

    assert set(looked_at(office)) == {"v0", "v3", "v4", "v5"}


def test_what_machines_run_is_looked_at() -> None:
    """However old: it may run where it is not stored, once a region is added."""
    office = Office()
    for number in range(6):
        office.tell(*release(f"v{number}"))
    office.tell(started("v1", LHR))

    assert set(looked_at(office)) == {"v1", "v3", "v4", "v5"}


def test_each_is_looked_at_once() -> None:
    """Tagged twice, and the newest version."""
    office = Office().tell(*release("v1"), tagged("latest", "v1", IAD))

    assert looked_at(office) == ["v1"]


def test_tag_of_what_was_never_pushed_is_left() -> None:
    """Nothing is known of it that could be copied."""
    office = Office().tell(*release("v1"), tagged("next", "v2", IAD))

    assert "other" not in looked_at(office)


def test_all_is_due_since_the_last_tick() -> None:
    """So that all planners give the same decision the same id."""
    office = Office().tell(*release("v1"))
    assert last_tick(office.state) == 0

    office.tell(event(IAD, TickPassed(7)))
    tick = office.state.sequence
    office.tell(*release("v2"))
    due = sweep_of(office.state, Row(0))

    assert last_tick(office.state) == tick
    assert {one.sequence for one in due} == {tick}
    assert {one.trigger for one in due} == {ReplicationTrigger.SWEEP}


def test_requests_and_pins_are_looked_at_wherever_they_are() -> None:
    """Old versions without a tag, too."""
    office = Office()
    for number in range(6):
        office.tell(*release(f"v{number}"))
    office.tell(requested("v0", LHR), pinned("v1", LHR))

    placements = [due.placement for due in sweep_of_requests(office.state)]

    assert placements == sorted([office.row("v0"), office.row("v1")])


def test_pin_of_what_was_never_pushed_is_left() -> None:
    """There is nothing to copy."""
    office = Office().tell(*release("v1"), pinned("v2", LHR))

    assert sweep_of_requests(office.state) == []


def test_repository_without_images_has_nothing_to_look_at() -> None:
    """A layer alone is looked at when it arrives."""
    office = Office().tell(pushed("a", IAD, API))

    assert looked_at(office, API) == []


def test_what_was_there_before_anybody_watched_is_looked_at() -> None:
    """An inventory tells of images that nobody saw pushed."""
    contents = [
        InventoryContent(
            descriptor(f"v{n}", media_type=MANIFEST), WEB, (), (Tag(f"v{n}"),)
        )
        for n in range(5)
    ]
    taken = InventoryTaken(TimeNs(START_NS), complete=True, contents=tuple(contents))
    office = Office().tell(event(IAD, taken))

    assert set(looked_at(office)) == {"v2", "v3", "v4"}
