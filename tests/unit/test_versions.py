"""What is known of versions and apps in regions: classes, live regions, platforms."""

import pytest

from placement.core import event as ev
from placement.core.event import Event
from placement.core.fold import fold
from placement.core.folds.versions import (
    LIVE_NS,
    classes_of,
    has_started,
    live_regions,
    version_of,
    what_starts,
)
from placement.core.oci import Repository, Tag
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.keys import VERSIONS_OPEN_MAX
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    IAD,
    SECOND_NS,
    START_NS,
    WEB,
    digest,
    event,
    fold_in,
    folded,
    message,
    pulled,
    released,
    started,
    withdrawn,
)
from tests.learning import image, index, index_pushed, platforms_pushed


def class_in(state: State, region: Region, repository: Repository = WEB) -> StartClass:
    """Return what is known of the repository's app in *region*."""
    app = state.app_of(state.find_repository(repository))
    found = state.regions.find(region.encode())
    known, elsewhere = classes_of(state, app, what_starts(state))
    return known.get(found, elsewhere)


def version(name: str, state: State, repository: Repository = WEB) -> Row:
    """Return the version of what *name* stands for, by any of its images."""
    return version_of(state, state.find_placement(repository, digest(name)))


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ([released("a", FRA)], StartClass.FIRST),
        ([released("a", FRA), started("a", FRA)], StartClass.MEMBER),
        ([started("a", FRA), withdrawn(FRA)], StartClass.FORMER),
        ([started("a", FRA), withdrawn(FRA), started("a", FRA)], StartClass.MEMBER),
        ([started("a", AMS), withdrawn(FRA)], StartClass.YOUNG),
        ([released("a", FRA), started("a", AMS)], StartClass.YOUNG),
        (
            [released("a", FRA), started("a", AMS), released("b", FRA)],
            StartClass.SECOND,
        ),
        (
            [*(released(name, FRA) for name in "abc"), started("a", AMS)],
            StartClass.OTHER,
        ),
        ([pulled("a", FRA)], StartClass.MEMBER),
        ([pulled("a", FRA), started("a", AMS)], StartClass.YOUNG),
    ],
)
def test_class_of_an_app_in_a_region(told: list[Event], known: StartClass) -> None:
    """It runs there, ran there, runs elsewhere, or nowhere; pulls stand in at first."""
    state = folded(*told)

    assert class_in(state, FRA) is known


def test_region_is_live_for_120_days() -> None:
    """What nobody has started anything in for longer is no candidate, to the second."""
    state = folded(started("a", FRA), released("a", AMS))
    last_ns = START_NS + SECOND_NS

    live = [live_regions(state, last_ns + LIVE_NS + after) for after in (0, 1)]

    fra = state.regions.find(FRA.encode())
    assert live == [[fra], []]


def test_start_of_a_platform_counts_for_its_index() -> None:
    """What was tagged is the index; what machines start is a platform's manifest."""
    state = folded(
        *platforms_pushed(1),
        event(AMS, index_pushed(1, Tag("v1"))),
        started("other-1", FRA),
    )

    tagged = version("index-1", state)

    assert version("other-1", state) == version("manifest-1", state) == tagged
    fra, ams = (state.regions.find(region.encode()) for region in (FRA, AMS))
    assert has_started(state, tagged, fra)
    assert not has_started(state, tagged, ams)
    assert len(state.versions) == 1


def test_platform_of_two_indexes_is_of_the_newer_one() -> None:
    """A rebuild may keep a platform's bytes; the index of today is what starts."""
    both = ev.ContentPushed(index(2), WEB, Tag("v2"), (image(1), image(2)))
    state = folded(
        *platforms_pushed(1), event(AMS, index_pushed(1, Tag("v1"))), event(AMS, both)
    )

    found = version("manifest-1", state)

    assert found == version("index-2", state) != version("index-1", state)


def test_platform_of_another_repositorys_index_is_no_version() -> None:
    """The same bytes in another repository are another thing."""
    state = folded(
        event(AMS, index_pushed(1, Tag("v1"))), started("manifest-1", FRA, API)
    )

    found = version("manifest-1", state, API)

    assert state.placement_at(found) == (API, digest("manifest-1"))
    assert len(state.versions) == 2


def test_index_that_is_long_settled_is_still_found() -> None:
    """A rollback to an index without open trials is no new version."""
    state = folded(
        *platforms_pushed(1),
        event(AMS, index_pushed(1, Tag("v1"))),
        started("manifest-1", FRA),
    )
    fold(
        state,
        message(5, released("b", AMS), store_time_ns=START_NS + 40 * DAY_NS),
    )

    fold_in(state, started("manifest-1", IAD))

    assert len(state.versions) == 2
    assert version("manifest-1", state) == version("index-1", state)


def test_platforms_are_looked_for_among_the_newest_versions() -> None:
    """A repository may have had any number of versions; a search has a limit."""
    state = folded(*platforms_pushed(1), event(AMS, index_pushed(1, Tag("v1"))))
    fold_in(state, *(released(f"n{n}", AMS) for n in range(VERSIONS_OPEN_MAX - 1)))
    before = version("manifest-1", state)

    fold_in(state, released("one-more", AMS))

    assert before == version("index-1", state)
    assert version("manifest-1", state) == ABSENT
