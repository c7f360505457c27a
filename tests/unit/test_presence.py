"""Where content is: per region, repository and digest; how far it has come; tags."""

import pytest

from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Event,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    Name,
    OwnershipDeclared,
    TagMoved,
    TimeNs,
)
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.records import TagPointer
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    IAD,
    LATEST,
    LAYER,
    MANIFEST,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    B,
    C,
    descriptor,
    event,
    evicted,
    folded,
    pushed,
    replicated,
    tagged,
)

ABSENT, ANNOUNCED, PARTIAL, COMPLETE, VERIFIED = ReplicaPhase
LONG_AGO_NS = START_NS - DAY_NS


def phase(
    state: State, digest: Digest, region: Region = AMS, repository: Repository = WEB
) -> ReplicaPhase:
    """Return how far content has arrived."""
    placement = state.find_placement(repository, digest)
    return state.phase(placement, state.region_row(region))


def on_its_way(name: str, held_bytes: int, at_ns: int | None = None) -> Event:
    """Return the news that content is on its way to Amsterdam."""
    fact = ContentAnnounced(descriptor(name), WEB, held_bytes)
    return event(AMS, fact, at_ns)


def whole_repository(region: Region, at_ns: int | None = None) -> Event:
    """Return the removal of everything in acme/web."""
    return event(region, ContentEvicted(WEB, whole_repository=True), at_ns)


def test_push_makes_a_replica_in_its_region_and_repository() -> None:
    """Nowhere else: a blob that one repository has is a 404 through another."""
    state = folded(pushed("a", AMS), pushed("b", AMS, API))

    assert phase(state, A) is COMPLETE
    assert phase(state, A, FRA) is ABSENT
    assert state.find_placement(API, A) == -1


def test_delete_in_one_repository_leaves_the_other() -> None:
    """Two repositories of one region hold the same bytes each for itself."""
    state = folded(pushed("a", AMS, WEB), pushed("a", AMS, API), evicted("a", AMS, WEB))

    assert phase(state, A, AMS, WEB) is ABSENT
    assert phase(state, A, AMS, API) is COMPLETE


def test_replica_goes_through_its_phases() -> None:
    """Announced, then partly there, whole, read back, gone."""
    verified = ContentReplicated((descriptor("a"),), WEB, verified=True)
    told = [
        on_its_way("a", 0),
        on_its_way("a", 4_000_000),
        replicated("a", AMS),
        event(AMS, verified),
        evicted("a", AMS),
    ]

    phases = [phase(folded(*told[:end]), A) for end in range(1, 6)]

    assert phases == [ANNOUNCED, PARTIAL, COMPLETE, VERIFIED, ABSENT]


@pytest.mark.parametrize(
    ("told", "held_bytes"),
    [
        ([on_its_way("a", 4_000_000)], 4_000_000),
        ([on_its_way("a", 4_000_000), pushed("a", AMS)], 10_000_000),
    ],
    ids=["partial", "complete"],
)
def test_replica_tells_how_much_of_it_is_there(
    told: list[Event], held_bytes: int
) -> None:
    """What was last announced, and all of it once it is complete."""
    state = folded(*told)

    [record] = state.replicas_of(state.find_placement(WEB, A))

    assert (record.region, record.held_bytes) == (AMS, held_bytes)


def test_older_news_of_an_arrival_does_not_replace_newer() -> None:
    """How much is there is what the latest announcement says, in whatever order."""
    state = folded(
        on_its_way("a", 8, at_ns=LONG_AGO_NS + 2), on_its_way("a", 4, at_ns=LONG_AGO_NS)
    )

    [record] = state.replicas_of(state.find_placement(WEB, A))

    assert record.held_bytes == 8


def test_replica_was_created_at_the_first_word_and_changed_at_the_last() -> None:
    """Times are the events' own, whatever order they come in."""
    state = folded(
        pushed("a", AMS, at_ns=LONG_AGO_NS + 5),
        pushed("a", AMS, at_ns=LONG_AGO_NS),
        evicted("a", AMS, at_ns=LONG_AGO_NS + 3),
    )

    [record] = state.replicas_of(state.find_placement(WEB, A))

    assert record.create_time_ns == LONG_AGO_NS
    assert record.change_time_ns == LONG_AGO_NS + 5


def test_late_push_does_not_bring_back_what_was_removed_since() -> None:
    """An old push that is told after a newer removal changes nothing."""
    state = folded(evicted("a", AMS), pushed("a", AMS, at_ns=LONG_AGO_NS))

    assert phase(state, A) is ABSENT


def test_late_push_does_not_bring_back_a_removed_repository() -> None:
    """Nor when everything was removed, and this content was not heard of by then."""
    state = folded(
        whole_repository(AMS),
        pushed("a", AMS, tag=LATEST, at_ns=LONG_AGO_NS),
        pushed("b", AMS),
    )

    assert phase(state, A) is ABSENT
    assert phase(state, B) is COMPLETE
    assert state.tag(WEB, LATEST) is None


def test_removed_repository_is_removed_in_its_region_alone() -> None:
    """Its content and the tags that this region set are gone, and nothing else."""
    state = folded(
        pushed("a", AMS, tag=LATEST),
        pushed("a", FRA),
        tagged("v1", "a", FRA),
        pushed("a", AMS, API),
        whole_repository(AMS),
    )

    assert phase(state, A, AMS) is ABSENT
    assert phase(state, A, FRA) is COMPLETE
    assert phase(state, A, AMS, API) is COMPLETE
    assert [tag for tag, _ in state.tags_in(state.find_repository(WEB))] == ["v1"]


def test_move_elsewhere_outlives_the_removal_of_a_repository() -> None:
    """A tag that another region moved in between is told late, and counts."""
    state = folded(
        tagged("latest", "a", AMS, at_ns=LONG_AGO_NS),
        whole_repository(AMS),
        tagged("latest", "b", FRA, at_ns=LONG_AGO_NS + 5),
    )

    pointer = state.tag(WEB, LATEST)

    assert pointer is not None
    assert pointer.digest == B


# Tags.


def test_tag_says_where_it_points_who_said_so_and_when() -> None:
    """A tag is a dated pointer."""
    state = folded(pushed("a", AMS), tagged("latest", "a", AMS))

    expected = TagPointer(A, AMS, START_NS + 2 * SECOND_NS, 2)
    assert state.tag(WEB, LATEST) == expected
    assert state.tag(API, LATEST) is None


def test_push_sets_its_tag() -> None:
    """A manifest that is pushed by a tag moves it."""
    state = folded(pushed("a", AMS, tag=LATEST), pushed("b", FRA, tag=LATEST))

    pointer = state.tag(WEB, LATEST)

    assert pointer is not None
    assert (pointer.digest, pointer.region) == (B, FRA)


def test_old_move_that_comes_late_is_ignored() -> None:
    """The newest move holds, not the one that was told last."""
    state = folded(
        tagged("latest", "a", AMS), tagged("latest", "b", FRA, at_ns=LONG_AGO_NS)
    )

    pointer = state.tag(WEB, LATEST)

    assert pointer is not None
    assert pointer.digest == A


def test_of_two_moves_at_one_moment_the_one_told_last_holds() -> None:
    """Late news of two regions may bear the same time."""
    state = folded(
        tagged("latest", "a", AMS, at_ns=LONG_AGO_NS),
        tagged("latest", "b", FRA, at_ns=LONG_AGO_NS),
    )

    pointer = state.tag(WEB, LATEST)

    assert pointer is not None
    assert pointer.digest == B


@pytest.mark.parametrize("removed_first", [True, False])
def test_removal_of_a_repository_outdoes_a_push_at_the_same_moment(
    *, removed_first: bool
) -> None:
    """Whichever is told first: what may be gone is no source."""
    told = [
        whole_repository(AMS, LONG_AGO_NS),
        pushed("a", AMS, tag=LATEST, at_ns=LONG_AGO_NS),
    ]

    state = folded(*(told if removed_first else reversed(told)))

    assert phase(state, A) is ABSENT
    assert state.tag(WEB, LATEST) is None


def test_removed_tag_points_nowhere() -> None:
    """And an older move does not bring it back."""
    state = folded(
        tagged("latest", "a", AMS),
        event(AMS, TagMoved(WEB, LATEST)),
        tagged("latest", "a", FRA, at_ns=LONG_AGO_NS),
    )

    assert state.tag(WEB, LATEST) is None
    assert state.tags_in(state.find_repository(WEB)) == []


# Inventories.


def inventory(
    *contents: InventoryContent,
    absent: tuple[Digest, ...] = (),
    scan_ns: int = START_NS,
    complete: bool = False,
) -> Event:
    """Return a page of what Amsterdam holds."""
    absences = tuple(InventoryAbsence(digest, WEB) for digest in absent)
    fact = InventoryTaken(TimeNs(scan_ns), complete, contents, absences)
    return event(AMS, fact)


def listed(name: str, *tags: str) -> InventoryContent:
    """Return one content of acme/web, as an inventory lists it."""
    return InventoryContent(
        descriptor(name), WEB, (), tuple(map(LATEST.__class__, tags))
    )


def test_inventory_heals_a_lost_push() -> None:
    """What is there is there, whether or not anybody told of it."""
    state = folded(inventory(listed("a", "latest")))

    pointer = state.tag(WEB, LATEST)
    assert phase(state, A) is COMPLETE
    assert pointer is not None
    assert pointer.digest == A


def test_inventory_heals_a_lost_removal() -> None:
    """What a HEAD answered 404 for is gone."""
    state = folded(
        pushed("a", AMS, at_ns=LONG_AGO_NS), inventory(absent=(A,), scan_ns=START_NS)
    )

    assert phase(state, A) is ABSENT


def test_inventory_leaves_alone_what_changed_after_its_scan_began() -> None:
    """Neither does it remove a newer push, nor bring back what was removed since."""
    state = folded(
        pushed("a", AMS),
        evicted("b", AMS),
        inventory(listed("b"), absent=(A,), scan_ns=START_NS),
    )

    assert phase(state, A) is COMPLETE
    assert phase(state, B) is ABSENT


def test_inventory_of_a_clock_that_is_ahead_counts_from_when_it_is_stored() -> None:
    """It cannot know the future: what comes after it is newer."""
    state = folded(inventory(absent=(A,), scan_ns=START_NS + DAY_NS), pushed("a", AMS))

    assert phase(state, A) is COMPLETE


def test_inventory_yields_to_a_tag_that_another_region_moved() -> None:
    """A tag is global and a registry is not: its list corrects its own moves only."""
    state = folded(
        tagged("latest", "b", FRA, at_ns=LONG_AGO_NS),
        tagged("v1", "b", AMS, at_ns=LONG_AGO_NS),
        inventory(listed("a", "latest", "v1")),
    )

    pointers = dict(state.tags_in(state.find_repository(WEB)))
    assert {tag: pointer.digest for tag, pointer in pointers.items()} == {
        "latest": B,
        "v1": A,
    }


def test_complete_inventory_is_dated() -> None:
    """When the last page of a scan is folded, the region is known as of its start."""
    pages = [inventory(listed("a")), inventory(complete=True)]

    states = [folded(*pages[:count]) for count in (1, 2)]

    dates = [state.regions.values(state.region_row(AMS))[3] for state in states]
    assert dates == [0, START_NS]


# What content is, and whose.


def test_better_type_replaces_an_octet_stream() -> None:
    """Registries call every blob that; anything more telling is kept for good."""
    state = folded(
        pushed("a", AMS, media_type="application/octet-stream"),
        pushed("a", FRA, media_type=LAYER),
        pushed("a", IAD, media_type="application/x-other"),
    )

    assert state.media_type(state.find_digest(A)) == LAYER


def test_manifest_keeps_what_it_first_referred_to() -> None:
    """Content never changes, so a second list of references is not read."""
    state = folded(
        pushed("a", AMS, references=[descriptor("b", 7)]),
        pushed("a", FRA, references=[descriptor("c")], media_type=MANIFEST),
    )

    children = [state.digest_at(row) for row, _ in state.children(state.find_digest(A))]
    assert children == [B]
    assert state.size_bytes(state.find_digest(B)) == 7
    assert state.find_digest(C) == -1


def test_copy_that_was_converted_knows_its_original() -> None:
    """One image may have two digests."""
    fact = ContentReplicated((descriptor("a"),), WEB, original_digest=B)

    state = folded(event(AMS, fact))

    original = state.digests.values(state.find_digest(A))[4] - 1
    assert original == state.find_digest(B)


def test_referrer_knows_its_subject() -> None:
    """A signature is about an image."""
    fact = ContentPushed(descriptor("a"), WEB, subject_digest=B)

    state = folded(event(AMS, fact))

    subject = state.digests.values(state.find_digest(A))[3] - 1
    assert subject == state.find_digest(B)


def owner_of(*told: Event) -> tuple[str, str]:
    """Return whose acme/web is after *told*."""
    state = folded(*told)
    return state.app_name(state.app_of(state.find_repository(WEB)))


def owned(name: str, organization: str = "", app: str = "") -> Event:
    """Return a push that says whose it is."""
    push = pushed(name, AMS)
    return Event(
        push.event_id,
        push.region,
        push.fact,
        organization=Name(organization),
        app=Name(app),
    )


def declared(app: str, at_ns: int | None = None) -> Event:
    """Return a declaration of whose acme/web is."""
    return event(AMS, OwnershipDeclared(WEB, Name("org"), Name(app)), at_ns)


@pytest.mark.parametrize(
    ("told", "owner"),
    [
        ([owned("a")], ("acme", "acme/web")),
        ([owned("a", "other")], ("other", "acme/web")),
        ([owned("a", "other", "shop")], ("other", "shop")),
        ([owned("a"), owned("b", "", "shop")], ("acme", "shop")),
        ([owned("a", "", "shop"), owned("b")], ("acme", "shop")),
        ([declared("shop"), owned("a")], ("org", "shop")),
        ([declared("")], ("org", "acme/web")),
        ([declared("old", LONG_AGO_NS), declared("new")], ("org", "new")),
        ([declared("new"), declared("old", LONG_AGO_NS)], ("org", "new")),
        ([owned("a", "", "shop"), declared("new")], ("org", "new")),
        ([declared("new"), owned("a", "", "shop")], ("org", "new")),
    ],
    ids=str,
)
def test_repository_belongs_to_an_app(
    told: list[Event], owner: tuple[str, str]
) -> None:
    """By its own name, by what an event says, and by what was declared, which wins."""
    assert owner_of(*told) == owner
