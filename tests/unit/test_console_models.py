"""What the console's pages about one thing are made of, without a server."""

import pytest

from placement.console import comparing
from placement.console.asked import Asked
from placement.console.comparing import (
    LESS,
    MORE,
    Comparison,
    compare,
    sole_copies,
    sources_then,
)
from placement.console.estimate import calibrated
from placement.console.moment import Moment
from placement.console.policy_form import KEYS, number_said, policy_form
from placement.console.repository import TAGS_SHOWN, repository_model
from placement.console.telling import BAD, GOOD, OFF, WAITS
from placement.console.whereabouts import (
    COMPLETE,
    PARTIAL,
    UNDER_WAY,
    UNWANTED,
    WANTED,
    WITHHELD,
    Place,
    whereabouts_of,
)
from placement.console.why import why_of
from placement.core.copies import Image
from placement.core.deciding.desk import Desk
from placement.core.deciding.evaluation import Verdict
from placement.core.deciding.ruling import SHIPPED, parse_ruling, ruling_in_force
from placement.core.decisions import DecisionRecord
from placement.core.event import (
    CacheKind,
    Event,
    Identifier,
    MachineStarted,
    Operation,
    RegionState,
    ReplicationPaused,
    ReplicationStarted,
)
from placement.core.images import Selection, select_image
from placement.core.network import Network
from placement.core.oci import Tag
from placement.core.planning import images_of
from placement.core.policy import DEFAULT, LIMITS, RULES
from placement.core.starts import estimate_start
from placement.core.supposing import suppose_down
from placement.core.topology import Region
from placement.runtime.view import Basis, ServingState
from tests.builders import (
    AMD64,
    AMS,
    ARM64,
    FRA,
    IAD,
    INDEX,
    LHR,
    MANIFEST,
    SCL,
    SYD,
    TOPOLOGY,
    WEB,
    announced,
    changed,
    descriptor,
    digest,
    event,
    pushed,
    replicated,
    seconds,
    started,
    tagged,
)
from tests.deciding import (
    LAYER_BYTES,
    NO_CONTROL_GROUP,
    Office,
    arrived,
    release,
    requested,
    ruled,
)
from tests.steps import taken


def moment(office: Office) -> Moment:
    """The office as a page sees it."""
    state, now_ns = office.state, office.now_ns
    basis = Basis(
        office.epoch, state.sequence, now_ns, ServingState.LIVE, 0, now_ns, ""
    )
    return Moment(Network(state, office.topology, now_ns), basis)


def office(*told: Event, policy: str = NO_CONTROL_GROUP) -> Office:
    """A first version that ran in Sydney, and a second one that was just pushed."""
    found = Office().tell(
        ruled(policy), *release("v1"), started("v1", SYD, machine="m-1")
    )
    return found.wait(60).tell(*release("v2"), *told)


def places(office: Office, name: str = "v2") -> dict[Region, Place]:
    """Where an image is, by region."""
    found = whereabouts_of(moment(office).network, WEB, Tag(name))
    return {place.region: place for place in found.places}


def into_sydney(office: Office) -> DecisionRecord:
    """The decision to copy the second version to Sydney."""
    row = office.row("v2")
    [own] = [
        one for one in office.decisions() if (one.target, one.placement) == (SYD, row)
    ]
    return own


# Where it is.


def test_each_region_has_one_word_for_what_it_has() -> None:
    """Complete, on its way, wanted, withheld, partial: as the facts say."""
    told = office(
        announced("v2-layer", LHR, held_bytes=1_000, size_bytes=LAYER_BYTES),
        requested("v2", AMS),
        replicated("v2-layer", FRA, size_bytes=LAYER_BYTES),
    )
    found = places(told)
    assert found[IAD].mark is COMPLETE
    assert found[LHR].mark is UNDER_WAY
    assert found[AMS].mark is WANTED
    assert found[FRA].mark is PARTIAL
    assert found[FRA].missing_bytes == 10_000
    assert found[IAD].ready_p50_ns is None
    assert (found[LHR].ready_p50_ns or 0) > 0
    where = whereabouts_of(moment(told).network, WEB, Tag("v2"))
    assert where.elsewhere == (SYD,)
    assert (where.complete_count, where.coming_count) == (1, 1)


def test_what_was_withheld_is_told_with_its_decision() -> None:
    """A region that would have nothing else to tell of it."""
    told = office(policy="holdout_fraction = 1\n")
    told.act()
    found = places(told)
    assert found[SYD].mark is WITHHELD
    [own] = [
        one
        for one in told.decisions()
        if one.target == SYD and one.placement == told.row("v2")
    ]
    assert found[SYD].replication_id == own.replication_id


def test_a_copy_under_way_says_how_far_it_is() -> None:
    """Nothing before it is begun; then the share that has moved."""
    told = office()
    told.act()
    planned = places(told)[SYD]
    assert (planned.mark, planned.share) == (WANTED, None)
    assert planned.progress is not None
    own = into_sydney(told)
    told.report(own, ReplicationStarted(told.subject_of(own), attempt=1))
    begun = places(told)[SYD]
    assert (begun.mark, begun.share) == (UNDER_WAY, 0.0)
    half = announced(
        "v2-layer", SYD, held_bytes=LAYER_BYTES // 2, size_bytes=LAYER_BYTES
    )
    told.tell(half)
    assert places(told)[SYD].share == pytest.approx(0.5, abs=0.01)


def test_what_was_called_off_is_not_wanted() -> None:
    """It stays listed only while something of it is there."""
    told = office()
    told.act()
    for own in told.decisions():
        told.cancel(own)
    assert SYD not in places(told)
    told.tell(replicated("v1-layer", SYD, size_bytes=LAYER_BYTES))
    assert places(told, "v1")[SYD].mark is PARTIAL
    assert UNWANTED.kind == OFF


def test_platforms_have_columns_of_their_own() -> None:
    """One is whole where another is not."""
    children = [
        descriptor("amd", 100, MANIFEST, AMD64),
        descriptor("arm", 100, MANIFEST, ARM64),
    ]
    told = Office().tell(
        pushed(
            "amd", IAD, size_bytes=100, references=[descriptor("amd-layer", 10_000)]
        ),
        pushed(
            "arm", IAD, size_bytes=100, references=[descriptor("arm-layer", 20_000)]
        ),
        pushed("amd-layer", IAD, size_bytes=10_000),
        pushed("arm-layer", IAD, size_bytes=20_000),
        pushed("all", IAD, references=children, media_type=INDEX, tag=Tag("v9")),
        pushed("all", FRA, references=children, media_type=INDEX),
        replicated("amd", FRA, size_bytes=100),
        replicated("amd-layer", FRA, size_bytes=10_000),
    )
    where = whereabouts_of(moment(told).network, WEB, Tag("v9"))
    assert where.platforms == ("linux/amd64", "linux/arm64/v8")
    [there] = [place for place in where.places if place.region == FRA]
    assert [(part.whole, part.missing_bytes) for part in there.parts] == [
        (True, 0),
        (False, 20_100),
    ]
    assert there.mark is COMPLETE
    assert where.kind == "image of several platforms"


# Why.


def why(told: Office, region: Region = SYD, name: str = "v2") -> tuple[str, str]:
    """The verdict's kind, and its sentence."""
    now = moment(told)
    selected = select_image(now.state, Selection(WEB, Tag(name)))
    planning = why_of(now, selected, region).planning
    return planning.mark.kind, planning.sentence


def test_why_ranks_the_sources_and_tells_the_steps() -> None:
    """The same as RankSources and ExplainAnswer."""
    told = office(arrived("v2", FRA))
    now = moment(told)
    selected = select_image(now.state, Selection(WEB, Tag("v2")))
    found = why_of(now, selected, LHR)
    assert [source.region for source in found.sources] == [FRA, IAD]
    assert [source.held for source in found.sources] == ["all of it", "all of it"]
    assert found.sources[0].learned == "distance alone"
    assert (found.fallback, found.fallback_holds) == (IAD, True)
    names = [step.name for step in found.steps]
    assert names == [
        "reference",
        "storage",
        "missing",
        "sources",
        "sources",
        "fallback",
        "route",
        "route",
        "wait",
    ]
    assert found.planning.policy.startswith("test@")


@pytest.mark.parametrize(
    ("told", "kind", "said"),
    [
        (office(), GOOD, "It would be copied from iad now, in about 29"),
        (
            office(policy=NO_CONTROL_GROUP + "kappa_bytes_per_second = 1000\n"),
            OFF,
            "A start in syd is 50 % likely (the app runs there); below",
        ),
        (office(arrived("v2", SYD)), GOOD, "All of it is in syd."),
        (
            office(event(IAD, ReplicationPaused((), Operation()))),
            WAITS,
            "It would be copied, but new copies into syd are paused.",
        ),
        (office(changed(IAD, RegionState.DOWN)), BAD, "No region from which"),
        (
            office(policy="holdout_fraction = 1\n"),
            WAITS,
            "It would be copied, but the lot puts it into the control group",
        ),
        (
            office(policy='mode = "observe"\n'),
            WAITS,
            "It would be copied, but the policy only observes.",
        ),
        (
            office(policy='[[residency]]\nrepositories = ["*"]\nallow = ["mars"]\n'),
            OFF,
            "The policy's residency rules permit no region",
        ),
    ],
)
def test_why_it_is_copied_or_not_is_one_sentence(
    told: Office, kind: str, said: str
) -> None:
    """Chance, break-even, residency, pause and lot, in words."""
    found = why(told)
    assert found[0] == kind
    assert found[1].startswith(said)


def test_what_was_decided_last_is_named() -> None:
    """An open decision, and one that was called off."""
    told = office()
    told.act()
    assert why(told)[1] == "A copy into syd is decided and not yet done with."
    for own in told.decisions():
        told.cancel(own)
    told.forget()
    assert why(told)[1].endswith("ago, and is cancelled: that holds still.")


def test_a_spent_budget_is_named_in_the_sentence() -> None:
    """With its link."""
    told = office(policy=NO_CONTROL_GROUP + "[limits]\nlink_bytes_per_hour = 1\n")
    told.act()
    told.tell(*release("v3"))
    assert (
        "a budget is spent: link_bytes_per_hour (1): iad to syd"
        in why(told, name="v3")[1]
    )


def test_every_verdict_has_its_words() -> None:
    """A verdict without a mark would break the page."""
    from placement.console import why as module  # noqa: PLC0415 - its table

    assert module._MARKS.keys() == set(Verdict)  # noqa: SLF001 - as above


# A repository.


def test_a_repositorys_tags_are_paged_the_last_one_first() -> None:
    """Each with the regions that have all of it."""
    told = office(arrived("v2", FRA))
    now = moment(told)
    model = repository_model(now, WEB, 1, Asked("/images/acme/web"))
    assert [(row.tag, row.regions) for row in model.rows] == [
        ("v2", (FRA, IAD)),
        ("v1", (IAD,)),
    ]
    assert (model.previous_link, model.next_link) == ("", "")
    many = [tagged(f"t{number:03}", "v1", IAD) for number in range(TAGS_SHOWN)]
    told.tell(*many)
    first = repository_model(moment(told), WEB, 1, Asked("/images/acme/web"))
    last = repository_model(moment(told), WEB, 2, Asked("/images/acme/web"))
    assert first.next_link == "/images/acme/web?page=2"
    assert [row.tag for row in last.rows] == ["v2", "v1"]
    assert last.next_link == ""


# Estimates.


def test_calibration_says_how_promises_were_kept() -> None:
    """Of the starts that told what they had been promised."""
    told = office()
    for number in range(12):
        fact = MachineStarted(
            digest("v2"),
            WEB,
            Identifier(f"c-{number}"),
            image_wait_ns=seconds(30 if number < 11 else 90),
            source_region=IAD,
            cache=CacheKind.REMOTE,
            expected_wait_p50_ns=seconds(29),
            expected_wait_p90_ns=seconds(44),
        )
        told.tell(event(SYD, fact))
    now = moment(told)
    selected = select_image(now.state, Selection(WEB, Tag("v2")))
    found = calibrated(now, estimate_start(now.network, [selected], SYD))
    assert (found.source, found.start_count, found.below_p90) == (IAD, 12, 11)
    assert found.sentence == (
        "Of 12 starts from iad that were promised this, 11 took at most p90 and 0 at "
        "most p50."
    )
    nobody = calibrated(now, estimate_start(now.network, [selected], LHR))
    assert nobody.sentence == "No start from iad said yet what it had been promised."


# What if.


def test_the_form_begins_with_what_is_in_force() -> None:
    """Nothing is changed, and every key is one of a policy's."""
    found = policy_form(Asked("/what-if"), SHIPPED, TOPOLOGY)
    assert found.changes == ()
    assert found.ruling is not None
    assert found.ruling.guardrails == SHIPPED.guardrails
    assert KEYS.keys() <= LIMITS.keys()
    assert found.rules == RULES
    for field in found.fields:
        assert float(field.value) == getattr(DEFAULT, field.key)
    assert {*found.bets, *found.chances} == set(found.fields)


def test_edited_numbers_rule_and_regions_are_one_policy() -> None:
    """As a document with those keys would be."""
    query = {
        "kappa_bytes_per_second": "1e6",
        "presumed_member": " 0.25",
        "rule": "break_even",
        "deny": "syd, lhr",
    }
    found = policy_form(Asked("/what-if", {}, query), SHIPPED, TOPOLOGY)
    document = (
        "kappa_bytes_per_second = 1e6\npresumed_member = 0.25\n"
        '[[residency]]\nrepositories = ["*"]\ndeny = ["syd", "lhr"]\n'
    )
    wanted = parse_ruling(document)
    assert found.ruling is not None
    assert found.ruling.policy.kappa_bytes_per_second == 1e6
    assert found.ruling.guardrails.residency == wanted.guardrails.residency
    assert found.changes == (
        "kappa_bytes_per_second 1000000 instead of 130000000",
        "presumed_member 0.25 instead of 0.5",
        "no copies into syd, lhr",
    )
    assert found.chances_matter


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kappa_bytes_per_second", "-1"),
        ("kappa_bytes_per_second", "1e16"),
        ("patience", "nan"),
        ("patience", "a lot"),
        ("patience", '"0.1"'),
        ("patience", "0.1, rule = 2"),
        ("presumed_first", "true"),
        ("presumed_first", "9" * 33),
    ],
)
def test_a_number_that_is_none_is_told_beside_its_field(key: str, value: str) -> None:
    """The others are kept as they were given."""
    query = {"local_start_seconds": "0.5", key: value}
    found = policy_form(Asked("/what-if", {}, query), SHIPPED, TOPOLOGY)
    assert found.ruling is None
    [wrong] = [field for field in found.fields if field.problem]
    assert wrong.key == key
    assert wrong.problem is not None
    assert wrong.problem.field == key
    assert wrong.problem.remedy.startswith("give a number from")
    [kept] = [f for f in found.fields if f.key == "local_start_seconds"]
    assert kept.value == "0.5"


@pytest.mark.parametrize(("field", "value"), [("rule", "sorcery"), ("deny", "mars")])
def test_a_rule_or_region_that_is_none_is_told(field: str, value: str) -> None:
    """With its field."""
    found = policy_form(Asked("/what-if", {}, {field: value}), SHIPPED, TOPOLOGY)
    assert found.ruling is None
    assert found.problem is not None
    assert found.problem.field == field


def test_numbers_are_said_as_a_document_has_them() -> None:
    """Without a point that they do not need, and exactly."""
    assert number_said(130e6) == "130000000"
    assert number_said(0.33) == "0.33"
    assert number_said(1e15) == "1000000000000000"
    assert number_said(0.0) == "0"


def compared(told: Office, text: str, down: Region | None = None) -> Comparison:
    """What a document would change, or a region that is down."""
    desk: Desk = told.desk
    rulings = (ruling_in_force(told.state, told.now_ns), parse_ruling(text))
    network = desk.network
    then = network if down is None else suppose_down(network, frozenset({down}))
    return taken(compare((network, then), rulings, images_of(told.state, WEB, None)))


def test_copies_that_only_one_plan_makes_are_told() -> None:
    """Fewer with a lower price of waiting, more with a higher one."""
    told = office()
    fewer = compared(told, NO_CONTROL_GROUP + "kappa_bytes_per_second = 1000\n")
    assert {change.kind for change in fewer.changes} == {LESS}
    assert {change.way for change in fewer.changes} == {(IAD, SYD)}
    assert (fewer.in_force.copies, fewer.supposed.copies) == (2, 0)
    assert fewer.considered == 2
    frugal = office(policy=NO_CONTROL_GROUP + "kappa_bytes_per_second = 1000\n")
    more = compared(frugal, NO_CONTROL_GROUP)
    assert {change.kind for change in more.changes} == {MORE}
    assert (more.in_force.copies, more.supposed.copies, more.same) == (0, 2, 0)
    same = compared(told, NO_CONTROL_GROUP)
    assert (same.changes, same.same) == ((), 2)
    assert same.in_force == same.supposed


def test_images_beyond_the_limit_are_counted_and_not_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page says how many there are."""
    monkeypatch.setattr(comparing, "IMAGES_MAX", 1)
    found = compared(office(), NO_CONTROL_GROUP)
    assert (found.considered, found.unseen, found.in_force.copies) == (1, 1, 1)


def test_a_rule_that_tells_no_chances_tells_no_seconds() -> None:
    """They would not be comparable."""
    found = compared(office(), NO_CONTROL_GROUP + 'rule = "set_60d"\n')
    assert found.in_force.expected_seconds is not None
    assert found.supposed.copies
    assert found.supposed.expected_seconds is None


def test_a_region_down_changes_sources_and_copies() -> None:
    """Copies come from elsewhere; starts too; what it alone has is gone."""
    told = office(arrived("v2", FRA))
    found = compared(told, NO_CONTROL_GROUP, IAD)
    ways = {(change.kind, change.way) for change in found.changes}
    assert ("otherwise", (FRA, SYD)) in ways or ("less", (IAD, SYD)) in ways
    network = told.desk.network
    pair = (network, suppose_down(network, frozenset({IAD})))
    selected = select_image(told.state, Selection(WEB, Tag("v2")))
    changes = {one.region: one for one in taken(sources_then(pair, selected))}
    assert changes.keys() == TOPOLOGY.regions.keys()
    assert (changes[SCL].now_source, changes[SCL].then_source) == (IAD, FRA)
    assert changes[SCL].changes
    assert not changes[FRA].changes
    images = [Image(WEB, digest("v1"), (Tag("v1"),)), Image(WEB, digest("v2"))]
    sole, looked = taken(sole_copies(network, iter(images), IAD))
    assert ([image.digest for image in sole], looked) == ([digest("v1")], 2)
    assert taken(sole_copies(network, iter(images), AMS)) == ((), 2)
