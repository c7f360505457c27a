"""When an image will be where it is wanted: unwanted, wanted, under way, ready."""

from placement.core.arrival import Arrival, Expectation, expect
from placement.core.estimate import Duration
from placement.core.event import (
    Event,
    Identifier,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationStarted,
    ReplicationSubject,
)
from placement.core.fingerprint import canonical_rows
from placement.core.lookup import placement_of
from placement.core.oci import Digest, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LATEST,
    START_NS,
    SYD,
    WEB,
    announced,
    digest,
    event,
    fold_in,
    folded,
    seconds,
    tagged,
)
from tests.images import AMD_PARTS, MEGABYTE, fetched, network, parts_pushed
from tests.steps import taken

SUBJECT = ReplicationSubject(Identifier("copy-1"), WEB, digest("app"), SYD)


def requested(
    reference: Digest | Tag,
    request: str = "r1",
    region: Region = SYD,
    at_ns: int | None = None,
) -> Event:
    """Return somebody's wish for acme/web's *reference* in *region*."""
    fact = ReplicationRequested(Identifier(request), WEB, reference, region)
    return event(IAD, fact, at_ns)


def expected(state: State, region: Region = SYD) -> Expectation:
    """Return when the image is ready in *region*."""
    owner = state.find_repository(WEB)
    return expect(network(state), owner, digest("app"), region)


def wanted(state: State) -> list[tuple[object, ...]]:
    """Return what is wanted where, and since when."""
    return [row[2:5] for row in canonical_rows(state) if row[0] == "wanted"]


def test_image_nobody_asked_for_is_unwanted_and_would_take_so_long() -> None:
    """The expectation is for whoever wonders whether to ask."""
    state = folded(*parts_pushed(AMS))

    found = expected(state)

    assert (found.arrival, found.source) == (Arrival.UNWANTED, AMS)
    assert found.ready is not None
    assert found.ready.p50_ns > seconds(1)


def test_requested_image_is_wanted() -> None:
    """From the request on, in that region alone."""
    state = folded(*parts_pushed(AMS), requested(digest("app")))

    assert expected(state).arrival is Arrival.WANTED
    assert expected(state, FRA).arrival is Arrival.UNWANTED


def test_requested_tag_means_what_it_points_to_at_that_moment() -> None:
    """A tag that moves later does not change what was asked for."""
    state = folded(
        *parts_pushed(AMS),
        tagged("latest", "app", AMS),
        requested(LATEST),
        tagged("latest", "other", AMS),
    )

    assert [row[0] for row in wanted(state)] == [digest("app")]


def test_request_for_an_unknown_tag_is_for_nothing() -> None:
    """Nobody can tell what it would have been."""
    state = folded(*parts_pushed(AMS), requested(Tag("v9")))

    assert wanted(state) == []


def test_newest_request_says_since_when() -> None:
    """A request that is repeated under its id is none."""
    first, second, older = (START_NS - n for n in (100, 50, 200))
    state = folded(
        *parts_pushed(AMS),
        requested(digest("app"), "r1", at_ns=first),
        requested(digest("app"), "r2", at_ns=second),
        requested(digest("app"), "r3", at_ns=older),
        requested(digest("app"), "r2", region=FRA),
    )

    assert wanted(state) == [(digest("app"), SYD, second)]


def test_planned_copy_is_wanted_and_started_one_is_under_way() -> None:
    """Decisions tell as much as requests do, each at its stage."""
    state = folded(
        *parts_pushed(AMS),
        event(IAD, ReplicationPlanned(SUBJECT, AMS, 1, trigger_sequence=1)),
    )
    planned = expected(state).arrival

    fold_in(state, event(SYD, ReplicationStarted(SUBJECT)))
    began = expected(state).arrival
    fold_in(state, event(SYD, ReplicationCompleted(SUBJECT)), *parts_pushed(SYD))

    assert (planned, began) == (Arrival.WANTED, Arrival.UNDER_WAY)
    assert expected(state) == Expectation(Arrival.READY, Duration(0, 0), None)


def test_announced_layer_means_that_it_is_under_way() -> None:
    """Whoever began it: the first byte is on its way."""
    state = folded(*parts_pushed(AMS), announced("base", SYD, size_bytes=30 * MEGABYTE))

    assert expected(state).arrival is Arrival.UNDER_WAY


def test_one_whole_platform_is_ready() -> None:
    """Attestations and other platforms are not waited for."""
    state = folded(*parts_pushed(AMS), *parts_pushed(FRA, AMD_PARTS))

    assert expected(state, FRA).arrival is Arrival.READY


def test_mountable_image_is_not_ready_yet() -> None:
    """It moves no bytes between regions, and still has to be mounted."""
    state = folded(*parts_pushed(AMS), *parts_pushed(FRA, AMD_PARTS, API))

    found = expected(state, FRA)

    assert found.arrival is Arrival.UNWANTED
    assert found.ready is not None
    assert found.ready == fetched(state, FRA).duration


def test_image_without_a_source_has_no_time() -> None:
    """It is wanted all the same."""
    state = folded(
        *parts_pushed(AMS, ["app", "for-amd", "for-arm"]), requested(digest("app"))
    )

    found = expected(state)

    assert (found.arrival, found.ready) == (Arrival.WANTED, None)


def test_placement_tells_of_regions_that_only_want_it() -> None:
    """Sydney has nothing of it, and is on the page, with its expectation."""
    state = folded(*parts_pushed(AMS), requested(digest("app")))

    regions = taken(placement_of(network(state), WEB, digest("app"))).regions

    assert [(one.region, one.complete) for one in regions] == [
        (AMS, True),
        (SYD, False),
    ]
    arrivals = [one.expectation.arrival for one in regions if one.expectation]
    assert arrivals == [Arrival.READY, Arrival.WANTED]
