"""What may leave a storage region, why, and why not."""

from dataclasses import replace

import pytest

from placement.core.deciding.eviction import (
    Removal,
    removable,
    removal_contents,
)
from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.keep import Keep
from placement.core.deciding.limits import Limits
from placement.core.deciding.safety import REFUSALS, refusal
from placement.core.event import (
    AppWithdrawn,
    ContentAnnounced,
    ContentPulled,
    ContentPushed,
    Identifier,
    RegionState,
    ReplicationRequested,
)
from placement.core.oci import Digest
from placement.core.topology import Region
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LATEST,
    LHR,
    NOWHERE,
    SCL,
    WEB,
    changed,
    descriptor,
    digest,
    event,
    tagged,
)
from tests.storehouses import (
    BASE,
    MULTI,
    ON_AMD64,
    OTHER,
    V1,
    V2,
    V3,
    History,
    Picture,
    image,
)

RULES = Guardrails(keep=Keep(recent_versions=0))
"""The usual, but only the current version and the one before stay for good."""


def in_turn(*pictures: Picture, region: Region = AMS) -> History:
    """Return a history: each is pushed home, copied and started, and replaces it.

    A machine runs the last one; all of it was a month ago.
    """
    history = History()
    for picture in pictures:
        history.push(picture).copy(picture, IAD, region)
        history.start(picture, region).wait(10)
    return history.wait(30)


def leaving(
    history: History, region: Region = AMS, rules: Guardrails = RULES
) -> dict[Digest, str]:
    """Return the reason of each removal, in order."""
    found = removable(history.network, rules, region)
    return {removal.image.digest: removal.reason for removal in found}


def refused(
    history: History, picture: Picture, region: Region = AMS, rules: Guardrails = RULES
) -> str:
    """Return why a picture may not leave."""
    placement = history.placement(picture)
    return refusal(history.network, rules, placement, region)


def test_a_replaced_version_leaves_with_the_layers_of_its_own() -> None:
    """Current and previous stay; the shared layer stays with them."""
    history = in_turn(V1, V2, V3)

    (removal,) = removable(history.network, RULES, AMS)

    assert (removal.image.digest, removal.reason) == (V1.digest, "superseded")
    assert removal.image.tags == ("v1",)
    assert set(removal.contents) == {V1.digest, digest("v1-layer")}
    assert removal.reclaimed_bytes == 110
    assert removal.explanation == (
        "replaced there 50 d ago; kept are 1 before the current one, 0 for 45 d, and"
        " all for 6 d"
    )
    assert {factor.name for factor in removal.factors} == {
        "reclaimed_bytes",
        "overdue_seconds",
    }


def test_versions_within_their_grace_stay() -> None:
    """What was replaced less than grace_days ago may be rolled back to."""
    history = in_turn(V1, V2, V3)
    patient = Guardrails(keep=Keep(recent_versions=0, grace_days=90))

    assert leaving(history, rules=patient) == {}
    assert refused(history, V1, rules=patient) == "grace"
    assert refused(history, V2) == "previous"


def test_the_same_layers_are_reclaimed_once() -> None:
    """Two that share a layer free it together: with the last of them."""
    shared = descriptor("shared", 5_000)
    first, second = (
        replace(one, references=((one.root, (shared, one.references[0][1][1])),))
        for one in (V1, V2)
    )
    history = in_turn(first, second, V3, image("v4", tag="v4"))

    found = removable(history.network, RULES, AMS)

    assert [removal.reclaimed_bytes for removal in found] == [110, 5_110]
    assert [shared.digest in removal.contents for removal in found] == [False, True]


def test_bytes_that_another_repository_holds_are_not_reclaimed() -> None:
    """A mounted layer leaves the repository and stays in the region."""
    history = in_turn(V1, V2, V3)
    layer = descriptor("v1-layer", 100)
    history.tell(event(AMS, ContentPushed(layer, OTHER.repository)))

    (removal,) = removable(history.network, RULES, AMS)

    assert layer.digest in removal.contents
    assert removal.reclaimed_bytes == 10


def test_nothing_leaves_home_by_rule() -> None:
    """Home is the archive; what was replaced there stays, unless over budget."""
    history = in_turn(V1, V2, V3, region=IAD).copy(V1, IAD, AMS).copy(V2, IAD, AMS)
    tight = Guardrails(keep=Keep(recent_versions=0, storage_bytes={IAD: 1_250}))

    assert leaving(history, IAD) == {}
    assert leaving(history, IAD, tight) == {V1.digest: "over-budget"}


def test_the_last_copy_stays_whatever_the_policy_says() -> None:
    """Replaced long ago, over budget, and min_copies as low as can be."""
    history = History()
    for picture in (V1, V2, V3):
        history.push(picture, AMS).start(picture, AMS).wait(10)
    rules = Guardrails(
        keep=Keep(recent_versions=0, storage_bytes={AMS: 1}),
        limits=Limits(min_copies=1),
    )

    assert leaving(history, rules=rules) == {}
    assert refused(history, V1, rules=rules) == "min-copies"


@pytest.mark.parametrize("state", [RegionState.DRAINING, RegionState.DOWN])
def test_a_copy_in_a_region_out_of_use_does_not_count(state: RegionState) -> None:
    """The only other copy is where nobody may rely on it."""
    history = in_turn(V1, V2, V3).tell(changed(IAD, state))

    assert refused(history, V1) == "min-copies"


def test_part_of_a_copy_does_not_count() -> None:
    """Another region has the manifest, and has lost a layer."""
    history = in_turn(V1, V2, V3)
    history.remove(IAD, WEB, [digest("v1-layer")])

    assert refused(history, V1) == "min-copies"


def test_what_somebody_keeps_has_two_copies() -> None:
    """While it runs in fra, the copy there is not enough; once it does not, it is."""
    history = in_turn(V1, V2, V3).copy(V1, IAD, FRA).start(V1, FRA, "other")
    assert refused(history, V1) == ""

    history.tell(changed(IAD, RegionState.DRAINING))

    assert refused(history, V1) == "min-copies"
    for picture in (V2, V3):
        history.copy(picture, AMS, FRA).start(picture, FRA, "other").wait(30)
    assert refused(history, V1) == ""


def test_a_removal_that_is_decided_counts_as_done() -> None:
    """Of two copies of what nobody keeps, one may leave, and not the other one."""
    history = (
        in_turn(V1, V2, V3)
        .copy(V1, IAD, FRA)
        .remove(IAD, WEB, [V1.digest, digest("v1-layer")])
    )
    (removal,) = removable(history.network, RULES, AMS)

    decided = history.plan_removal(removal)

    assert refused(history, V1, FRA) == "min-copies"
    assert leaving(history, AMS) == {}, "it is decided already"
    assert (
        removal_contents(history.network, RULES, history.placement(V1), AMS)
        == removal.contents
    )
    history.call_off(decided, AMS)
    assert leaving(history, AMS) == {V1.digest: "superseded"}


def test_a_copy_that_was_just_gone_does_not_count() -> None:
    """A word of before it left may come after it: a registry's notification, late."""
    history = (
        in_turn(V1, V2, V3)
        .copy(V1, IAD, FRA)
        .remove(IAD, WEB, [V1.digest, digest("v1-layer")])
    )
    assert refused(history, V1, FRA) == ""

    history.remove(AMS, WEB, [digest("v1-layer")]).push(V1, AMS)
    assert refused(history, V1, FRA) == "min-copies"
    history.wait(1).push(V1, AMS)

    assert refused(history, V1, FRA) == ""


def test_a_removal_that_was_called_off_may_have_been_made() -> None:
    """Nobody relies on that copy until it is seen there, after its last moment."""
    history = (
        in_turn(V1, V2, V3)
        .copy(V1, IAD, FRA)
        .remove(IAD, WEB, [V1.digest, digest("v1-layer")])
    )
    (removal,) = removable(history.network, RULES, AMS)
    decided = history.plan_removal(removal, hours=1)
    history.call_off(decided, AMS)
    assert refused(history, V1, FRA) == "min-copies"

    history.push(V1, AMS)
    assert refused(history, V1, FRA) == "min-copies", "it may be made an hour long"
    history.wait(1)
    assert refused(history, V1, FRA) == "min-copies", "who made it may tell late"
    history.push(V1, AMS)

    assert refused(history, V1, FRA) == ""


def test_running_images_stay_where_they_are_pulled_from() -> None:
    """In the region itself, in one that it serves, and by an image's other names."""
    history = in_turn(V1, V2, V3)
    network = history.network
    serving = network.storage(SCL)
    history.copy(V1, IAD, serving).wait(60)

    assert refused(history, V1, serving) == ""
    history.start(V1, SCL, "far").wait(60)
    assert refused(history, V1, serving) == "running"


def test_what_runs_out_of_the_catalogue_is_pulled_from_home() -> None:
    """As answers to its region say."""
    history = in_turn(V1, V2, V3).copy(V1, IAD, FRA)
    history.start(V1, NOWHERE, "unknown").wait(60)

    assert refused(history, V1, IAD) == "running"
    assert refused(history, V1, AMS) == ""


def test_an_index_stays_while_its_platform_runs_and_the_other_way_round() -> None:
    """Machines name either."""
    history = in_turn(V1, MULTI, V2, V3)
    assert leaving(history)[MULTI.digest] == "superseded"

    history.start(ON_AMD64, AMS, "platform").wait(60)
    assert refused(history, MULTI) == "running"

    history.stop(AMS, "platform").start(V2, AMS).wait(1).start(V3, AMS).wait(60)
    assert refused(history, MULTI) == ""
    assert refused(history, ON_AMD64) == "part-of-image"


def test_a_platform_stays_while_its_index_runs_that_is_not_there() -> None:
    """Only one platform was copied; the machine names the index."""
    history = History().push(MULTI).push(ON_AMD64, AMS)

    history.start(MULTI, AMS).wait(60)

    assert refused(history, ON_AMD64) == "running"


def test_what_was_pulled_lately_stays() -> None:
    """Builders pull what never runs anywhere."""
    history = in_turn(V1, V2, V3)
    history.tell(event(AMS, ContentPulled(V1.digest, WEB)))

    assert refused(history.wait(4), V1) == "used-lately"


@pytest.mark.parametrize("where", [(), (AMS,)])
def test_pinned_content_stays(where: tuple[Region, ...]) -> None:
    """Until the pin expires or is taken back."""
    history = in_turn(V1, V2, V3).pin(V1, *where, days=7)

    assert refused(history, V1) == "pinned"
    assert refused(history.wait(8), V1) == ""
    assert refused(history.pin(V1, *where).unpin(V1, *where), V1) == ""


def test_both_ends_of_a_copy_in_flight_stay() -> None:
    """The source, and at the target what the copy expects to find there."""
    history = in_turn(V1, V2, V3).plan_copy(V1, AMS, FRA)

    assert refused(history, V1) == "in-flight"
    assert refused(history.arrive(V1, FRA), V1) == ""


def test_what_was_asked_for_stays_until_it_is_used() -> None:
    """Or until nobody has come for keep.unused_days."""
    history = in_turn(V1, V2, V3)
    asked = ReplicationRequested(Identifier("r1"), WEB, V1.digest, AMS)

    history.tell(event(IAD, asked)).wait(1)

    assert refused(history, V1) == "requested"
    assert refused(history.wait(30), V1) == ""


def test_what_latest_points_to_stays() -> None:
    """Though two newer versions have started there since."""
    history = in_turn(V1, V2, V3).tell(tagged(LATEST, "v1", IAD))

    assert refused(history, V1) == "newest"


def test_a_copy_that_nobody_started_leaves() -> None:
    """After unused_days, or once a newer version has started instead."""
    history = in_turn(V1).push(V2).copy(V2, IAD, AMS)

    assert leaving(history) == {}
    assert leaving(history.wait(31)) == {V2.digest: "never-used"}
    history.push(V3).copy(V3, IAD, AMS).start(V3, AMS)
    assert leaving(history) == {V2.digest: "never-used"}


def test_what_others_have_put_there_is_not_judged() -> None:
    """A push to two regions is no copy of ours, though nobody starts it."""
    history = in_turn(V1).push(V2, IAD, AMS).wait(90)

    assert leaving(history) == {}
    tight = Guardrails(keep=Keep(storage_bytes={AMS: 1}))
    assert leaving(history, rules=tight) == {V2.digest: "over-budget"}


def test_a_layer_whose_image_never_came_leaves_after_a_day() -> None:
    """The first layers of an upload that was given up; its last copy stays."""
    history = in_turn(V1)
    early, alone = descriptor("early", 700), descriptor("alone", 900)
    for region in (IAD, AMS):
        history.tell(event(region, ContentPushed(early, WEB)))
    history.tell(event(AMS, ContentPushed(alone, WEB)))

    assert leaving(history) == {}
    assert leaving(history.wait(2)) == {early.digest: "orphan"}


def test_layers_of_an_image_that_is_arriving_stay() -> None:
    """Its manifest was announced; its layers came before it, or were there."""
    history = in_turn(V1, V2, V3)
    (removal,) = removable(history.network, RULES, AMS)
    assert digest("v1-layer") in removal.contents
    coming = image("coming")
    below = (descriptor("v1-layer", 100), BASE)
    history.tell(event(IAD, ContentPushed(coming.root, WEB, None, below)))

    history.tell(event(AMS, ContentAnnounced(coming.root, WEB)))

    (removal,) = removable(history.network, RULES, AMS)
    assert removal.contents == (V1.digest,)


def test_layers_of_what_runs_stay_though_its_manifest_is_not_there() -> None:
    """The machine has the rest from elsewhere; what is near stays near."""
    history = in_turn(V1, V2, V3)
    near = image("near", tag="v0")
    below = (descriptor("v1-layer", 100), BASE)
    history.tell(event(IAD, ContentPushed(near.root, WEB, None, below)))

    history.start(near, AMS, "other").wait(60)

    gone = {r.image.digest: r.contents for r in removable(history.network, RULES, AMS)}
    assert gone[V1.digest] == (V1.digest,)
    assert digest("v2-layer") in gone[V2.digest]


def test_where_a_graph_is_not_known_nothing_leaves() -> None:
    """An image that nobody described may need any layer of its repository."""
    history = in_turn(V1, V2, V3)
    unknown = image("unknown")

    history.tell(event(AMS, ContentPushed(unknown.root, WEB)))

    assert refused(history, V1) == "contents-unknown"
    assert leaving(history) == {}


def test_a_signature_stays_with_what_it_signs() -> None:
    """However it says so: by its subject, or by its tag."""
    history = in_turn(V1, V2, V3)
    by_subject, by_tag = image("by-subject"), image("by-tag")
    named = f"sha256-{V3.digest.removeprefix('sha256:')}.sig"
    for region in (IAD, AMS):
        history.push(by_tag, region).push(by_subject, region)
        fact = ContentPushed(by_subject.root, WEB, subject_digest=V3.digest)
        history.tell(event(region, fact))
    history.tell(event(IAD, tagged(named, "by-tag", IAD).fact)).wait(90)

    assert refused(history, by_subject) == "attached"
    assert refused(history, by_tag) == "attached"


def test_an_app_that_left_leaves_with_its_images() -> None:
    """Nothing is current any more; what still runs stays."""
    history = in_turn(V1, V2).tell(event(AMS, AppWithdrawn(WEB))).wait(30)

    assert leaving(history) == {V1.digest: "superseded"}
    assert leaving(history.stop(AMS)) == {
        V1.digest: "superseded",
        V2.digest: "superseded",
    }


def test_over_budget_the_least_valuable_leaves_first() -> None:
    """Of what is only kept for room: what started last, and most, stays longest."""
    history = in_turn(V1, V2, image("v4", tag="v4"), V3)
    roomy = Keep(recent_versions=9, recent_days=999)
    tight = replace(roomy, storage_bytes={AMS: 1_400})
    tighter = replace(roomy, storage_bytes={AMS: 1_000})

    assert leaving(history, rules=Guardrails(keep=roomy)) == {}
    assert leaving(history, rules=Guardrails(keep=tight)) == {V1.digest: "over-budget"}
    (first, second) = removable(history.network, Guardrails(keep=tighter), AMS)
    assert (first.image.digest, second.image.digest) == (V1.digest, V2.digest)
    assert first.explanation == (
        "440 B over the region's 1000 B, and the least worth keeping for its bytes"
    )
    assert _factor(first, "value_seconds_per_byte") <= _factor(
        second, "value_seconds_per_byte"
    )


def _factor(removal: Removal, name: str) -> float:
    return next(one.value for one in removal.factors if one.name == name)


@pytest.mark.parametrize(
    ("region", "reason"),
    [(NOWHERE, "region-unknown"), (SCL, "region-unknown"), (LHR, "not-held")],
)
def test_regions_that_hold_nothing(region: Region, reason: str) -> None:
    """There is nothing to remove, and the answer says why."""
    history = in_turn(V1, V2, V3)

    assert refused(history, V1, region) == reason
    assert leaving(history, region) == {}


def test_nothing_leaves_a_region_that_is_down() -> None:
    """Nobody could carry it out."""
    history = in_turn(V1, V2, V3).tell(changed(AMS, RegionState.DOWN))

    assert refused(history, V1) == "region-down"
    assert leaving(history) == {}


def test_removals_depend_on_what_is_known_and_not_on_its_order() -> None:
    """Pushed in another order, so that rows differ: the same removals."""
    first, second = History(), History()
    for history, order in ((first, (V1, OTHER)), (second, (OTHER, V1))):
        for picture in order:
            history.push(picture)
        for picture in (V1, V2, V3):
            history.push(picture).copy(picture, IAD, AMS).start(picture, AMS).wait(10)
        history.copy(OTHER, IAD, AMS)

    found = [removable(one.wait(60).network, RULES, AMS) for one in (first, second)]

    told = [[(one.image, one.reason, one.contents) for one in each] for each in found]
    assert told[0] == told[1]
    assert len(told[0]) == 2


def test_every_refusal_is_explained() -> None:
    """Reasons are for programs; each has a sentence for people."""
    assert all(text and not text.endswith(".") for text in REFUSALS.values())
