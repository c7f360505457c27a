"""Decisions: made once, for a reason, by the guardrails, under the same id anywhere."""

from dataclasses import replace

import pytest

from placement.core.deciding.decide import (
    LONG_ENOUGH,
    decide,
    replication_id,
)
from placement.core.deciding.obstacles import WITHHELD_NS
from placement.core.deciding.wants import Want
from placement.core.event import (
    Event,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    RegionState,
    ReplicationCompleted,
    ReplicationPaused,
    ReplicationTrigger,
    StartsRequested,
    TimeNs,
    WithholdReason,
)
from placement.core.oci import Tag
from placement.core.tables.cells import DecisionStatus
from placement.core.topology import Region
from tests.builders import (
    API,
    DAY_NS,
    FRA,
    IAD,
    LHR,
    SECOND_NS,
    SYD,
    WEB,
    changed,
    descriptor,
    digest,
    event,
    pushed,
    started,
)
from tests.deciding import (
    IMAGE_BYTES,
    NO_CONTROL_GROUP,
    Office,
    arrived,
    planned,
    release,
    requested,
    ruled,
    withheld,
)

WITHHOLD_ALL = "holdout_fraction = 1\n"
QUICK = NO_CONTROL_GROUP + "[limits]\nretry_seconds = 60\nretry_seconds_max = 200\n"


def asked(version: str, region: Region) -> Event:
    """Return a scheduler's word that it is about to start machines."""
    return event(IAD, StartsRequested(WEB, Tag(version), (region,)))


def foreseeing(policy: str = NO_CONTROL_GROUP) -> Office:
    """Return an office in which a second version was pushed; the first runs in SYD."""
    office = Office().tell(ruled(policy), *release("v1"), *release("v1", SYD))
    return office.tell(started("v1", SYD)).forget().tell(*release("v2"))


# Ids: the same from every planner, another one for anything else.


def test_equal_inputs_give_equal_decisions() -> None:
    """Two planners with the same state decide the same events, to the letter."""
    one, other = foreseeing(), foreseeing()

    assert one.decide().events == other.decide().events != []


@pytest.mark.parametrize("part", ["digest", "target", "trigger", "policy", "epoch"])
def test_id_differs_in_each_part(part: str) -> None:
    """What a decision is about, why now, by which rules, and of which log."""
    office = foreseeing()
    (want,) = office.wants()
    other, desk = want, office.desk
    own_id, candidate = replication_id(desk, want), want.candidate
    match part:
        case "digest":
            image = replace(candidate.image, digest=digest("other"))
            other = replace(want, candidate=replace(candidate, image=image))
        case "target":
            other = replace(want, candidate=replace(candidate, target=FRA))
        case "trigger":
            other = replace(want, trigger_sequence=want.trigger_sequence + 1)
        case "policy":
            desk = office.tell(ruled(NO_CONTROL_GROUP, "renamed")).desk
        case _:
            desk = replace(desk, epoch="another")

    assert replication_id(desk, other) != own_id


def test_planner_s_name_is_no_part_of_the_id() -> None:
    """Whoever decides first has decided for all."""
    office = foreseeing()
    wants = office.wants()

    (one,) = decide(office.desk, wants, "one").events
    (other,) = decide(office.desk, wants, "other").events

    assert one.event_id == other.event_id
    assert (one.publisher, other.publisher) == ("one", "other")


# Evidence.


def test_decision_carries_its_evidence() -> None:
    """Enough to judge it from the log alone."""
    office = foreseeing()

    (fact,) = planned(office.decide().events)

    named = {factor.name: factor.value for factor in fact.factors}
    assert fact.subject.target_region == SYD
    assert (fact.source_region, fact.transfer_bytes) == (IAD, IMAGE_BYTES)
    assert fact.trigger is ReplicationTrigger.PUSH
    assert fact.trigger_sequence == office.state.sequence
    assert fact.start_regions == (SYD,)
    assert fact.probability == named[Identifier("probability")] > 0
    assert fact.policy == office.desk.ruling.label
    assert (fact.reason, fact.priority) == ("start-forecast", 2)
    assert "likely to start in syd" in fact.explanation
    assert fact.saved_duration_ns is not None
    assert fact.saved_duration_ns > SECOND_NS


def test_decision_lasts_ten_times_what_its_copy_takes() -> None:
    """And as long as the policy says, if that is longer."""
    short = foreseeing(NO_CONTROL_GROUP + "[limits]\ndecision_seconds = 1\n")
    long = foreseeing(NO_CONTROL_GROUP + "[limits]\ndecision_seconds = 86400\n")

    (quick,) = planned(short.decide().events)
    (slow,) = planned(long.decide().events)

    assert quick.expire_time_ns is not None
    assert quick.expected_duration_ns is not None
    lasts_ns = quick.expire_time_ns - short.now_ns
    assert lasts_ns >= LONG_ENOUGH * quick.expected_duration_ns > SECOND_NS
    assert slow.expire_time_ns == long.now_ns + DAY_NS


def test_withheld_decision_says_what_it_would_have_been() -> None:
    """Cause and evidence are there, and no expiry: nobody is to carry it out."""
    office = foreseeing(WITHHOLD_ALL)

    (fact,) = withheld(office.decide().events)

    assert fact.cause is WithholdReason.CONTROL_GROUP
    assert (fact.subject.target_region, fact.source_region) == (SYD, IAD)
    assert (fact.transfer_bytes, fact.start_regions) == (IMAGE_BYTES, (SYD,))
    assert fact.probability > 0
    assert "likely to start in syd" in fact.explanation


# What was decided before.


def test_open_decision_is_not_decided_again() -> None:
    """One flight per content and region, whatever is due."""
    office = foreseeing()
    office.act()

    office.tell(asked("v2", SYD), requested("v2", SYD), started("v2", SYD))

    assert office.act() == []
    assert office.sweep() == []


def test_trigger_that_was_decided_about_decides_nothing_more() -> None:
    """Not even once its decision is closed: only something newer does."""
    office = foreseeing()
    due = office.state.indexes.agenda.take()
    office.act(due)
    office.cancel(office.decisions()[0])

    assert office.act(due) == []


def test_failed_copy_is_decided_again_after_a_while() -> None:
    """A minute after it failed, and not before; the wait doubles up to the longest."""
    office = foreseeing(QUICK)
    office.act()
    for wait_s in (60, 120, 200, 200):
        office.fail(office.decisions()[-1])
        failed_ns = office.now_ns

        office.now_ns = failed_ns + (wait_s - 10) * SECOND_NS
        early = office.decide(office.tick())
        office.now_ns = failed_ns + (wait_s + 1) * SECOND_NS
        late = office.sweep()

        assert early.events == []
        assert [one.candidate.target for one in early.put_off] == [SYD]
        assert [one.subject.target_region for one in planned(late)] == [SYD]


def test_success_ends_the_waiting() -> None:
    """The next failure is a first one again."""
    office = foreseeing(QUICK)
    office.act()
    for _ in range(3):
        office.fail(office.decisions()[-1]).wait(300)
        office.sweep()
    last = office.decisions()[-1]
    office.report(last, ReplicationCompleted(office.subject_of(last)))
    office.wait(1)
    office.sweep()
    office.fail(office.decisions()[-1]).wait(61)

    assert len(planned(office.sweep())) == 1


def test_request_waits_for_the_back_off_too() -> None:
    """A copy that just failed fails again: whoever asks is put off, not forgotten."""
    office = foreseeing(QUICK)
    office.act()
    office.fail(office.decisions()[-1])

    office.tell(requested("v2", SYD))
    due = office.state.indexes.agenda.take()
    early = office.decide(due)
    office.wait(61)

    assert early.events == []
    assert len(early.put_off) == 1
    assert len(planned(office.decide(due).events)) == 1


def test_forecast_does_not_undo_what_a_person_called_off() -> None:
    """For a month no forecast brings it back, whatever starts elsewhere."""
    office = foreseeing()
    office.act()
    office.cancel(office.decisions()[-1])

    office.wait(60)
    soon = office.sweep()
    office.tell(started("v2", FRA))
    office.act()

    assert soon == []
    assert all(one.target != SYD for one in office.decisions()[1:])


def test_new_request_overrules_what_was_called_off() -> None:
    """Somebody wants it now, after all."""
    office = foreseeing()
    office.act()
    office.cancel(office.decisions()[-1])

    office.tell(requested("v2", SYD))

    (fact,) = planned(office.act())
    assert fact.trigger is ReplicationTrigger.REQUEST


def test_withheld_pair_stays_withheld() -> None:
    """Later signs of the same version change nothing: else nothing is measured."""
    office = foreseeing(WITHHOLD_ALL)
    assert len(withheld(office.act())) == 1

    office.tell(*release("v2", FRA))
    again = office.act()
    office.wait(120)

    assert again == []
    assert office.sweep() == []


def test_withheld_copy_is_made_for_whoever_asks() -> None:
    """An experiment makes nobody wait who says so."""
    office = foreseeing(WITHHOLD_ALL)
    office.act()

    office.tell(asked("v2", SYD))

    assert len(planned(office.act())) == 1


def test_month_later_it_may_be_decided_anew() -> None:
    """What was withheld long ago says nothing about now."""
    office = foreseeing(WITHHOLD_ALL)
    office.act()

    office.wait(WITHHELD_NS / SECOND_NS + 1)
    office.tell(ruled(NO_CONTROL_GROUP, "later"), started("v2", FRA))
    events = office.act()

    assert {one.subject.target_region for one in planned(events)} == {FRA, SYD}


# What stops all of it.


def test_observing_withholds_forecasts_and_backfills() -> None:
    """Everything is recorded and nothing is copied, but for whoever asks."""
    office = foreseeing('mode = "observe"\n')
    office.tell(started("v2", FRA), requested("v2", LHR))

    events = office.act()

    causes = {one.subject.target_region: one.cause for one in withheld(events)}
    assert causes == dict.fromkeys([SYD, FRA], WithholdReason.OBSERVE_ONLY)
    assert [one.subject.target_region for one in planned(events)] == [LHR]


def test_what_was_only_observed_is_decided_once_that_ends() -> None:
    """The policy changes to decide: what was recorded is copied now."""
    office = foreseeing('mode = "observe"\n')
    office.act()
    assert office.sweep() == []

    office.tell(ruled(NO_CONTROL_GROUP, "decide"))

    assert len(planned(office.sweep())) == 1


@pytest.mark.parametrize("where", [(), (SYD,)], ids=["everywhere", "there"])
def test_pause_puts_off(where: tuple[Region, ...]) -> None:
    """Nothing is decided while it lasts, not even what is withheld."""
    until = TimeNs(foreseeing().now_ns + 60 * SECOND_NS)
    office = foreseeing()
    due = office.state.indexes.agenda.take()
    office.tell(event(IAD, ReplicationPaused(where, Operation(expire_time_ns=until))))

    paused = office.decide(due)
    office.wait(60).tell(pushed("tick", IAD, API))

    assert paused.events == []
    assert len(paused.put_off) == 1
    assert len(planned(office.decide(due).events)) == 1


def test_pause_of_another_region_stops_nothing() -> None:
    """Each region by itself."""
    office = foreseeing()
    due = office.state.indexes.agenda.take()
    office.tell(event(IAD, ReplicationPaused((LHR,))))

    assert len(planned(office.decide(due).events)) == 1


@pytest.mark.parametrize("state", [RegionState.DRAINING, RegionState.DOWN])
def test_region_out_of_use_gets_nothing(state: RegionState) -> None:
    """Whoever asks has to wait until the region is back; forecasts go elsewhere."""
    office = foreseeing()
    office.tell(changed(SYD, state), requested("v2", SYD))

    events = office.act()

    assert all(one.subject.target_region != SYD for one in planned(events))


def test_policy_that_cannot_be_read_stops_everything() -> None:
    """What it forbids is not known, so nothing is decided until another is in force."""
    office = foreseeing()
    due = office.state.indexes.agenda.take()
    office.tell(ruled("nobody = 1\n", "newer"), requested("v2", LHR))
    due += office.state.indexes.agenda.take()

    stopped = office.decide(due)
    office.tell(ruled(NO_CONTROL_GROUP, "older"))

    assert stopped.events == []
    targets = {want.candidate.target for want in stopped.put_off}
    assert targets == {LHR, SYD}
    assert len(planned(office.decide(due).events)) == 2


# In which order.


def two_wants(office: Office) -> list[Want]:
    """Return a request and a forecast for the same region."""
    office.tell(*release("v3", repository=API))
    office.tell(requested("v3", SYD, "r3", API))
    return office.wants()


def test_whoever_waits_comes_first() -> None:
    """A budget for one copy goes to the request, though the forecast was due first."""
    office = foreseeing(NO_CONTROL_GROUP + "[limits]\nlink_bytes_per_hour = 1\n")
    wants = two_wants(office)

    events = office.decide_on(wants).events

    assert [one.trigger for one in planned(events)] == [ReplicationTrigger.REQUEST]
    assert [one.cause for one in withheld(events)] == [WithholdReason.OVER_BUDGET]


def test_most_valuable_comes_first() -> None:
    """Of two forecasts the one that saves more for each byte."""
    office = foreseeing(NO_CONTROL_GROUP + "[limits]\nlink_bytes_per_hour = 1\n")
    (want,) = office.wants()
    image = replace(want.candidate.image, repository=API)
    office.tell(*release("v2", repository=API))
    better = replace(want.candidate, image=image, value=want.candidate.value * 2)

    events = office.decide_on([want, replace(want, candidate=better)]).events

    assert [one.subject.repository for one in planned(events)] == [API]


def test_order_of_wants_means_nothing() -> None:
    """Neither to what is decided nor to the order of the decisions."""
    office = foreseeing()
    wants = two_wants(office)

    one, other = office.decide_on(wants), office.decide_on(wants[::-1])

    assert one == other
    assert len(one.events) == 2


def test_content_goes_to_a_region_once_a_round() -> None:
    """Two repositories want the same digest there: the second one can mount it."""
    office = foreseeing()
    (want,) = office.wants()
    office.tell(*release("v2", repository=API))
    image = replace(want.candidate.image, repository=API)
    other = replace(want, candidate=replace(want.candidate, image=image))

    assert len(office.decide_on([want, other]).events) == 1


def test_layer_that_two_images_share_moves_once() -> None:
    """Decided in one round: the second copy waits until the first one is on its way."""
    office = Office().tell(ruled(NO_CONTROL_GROUP))
    base = descriptor("base", IMAGE_BYTES)
    office.tell(pushed("base", IAD, size_bytes=IMAGE_BYTES))
    office.tell(
        *(pushed(name, IAD, references=[base], tag=Tag(name)) for name in ("x", "y"))
    )
    office.forget().tell(requested("x", SYD), requested("y", SYD, "r2"))

    first = planned(office.act())
    second = planned(office.sweep())

    assert [one.transfer_bytes > IMAGE_BYTES for one in first + second] == [True, False]


# Over budget.


def test_what_is_over_budget_is_told_once() -> None:
    """Put off at every look, recorded at the first one."""
    office = foreseeing(NO_CONTROL_GROUP + "[limits]\nlink_bytes_per_hour = 1\n")
    two = two_wants(office)
    office.tell(*office.decide_on(two).events)

    later = office.decide(office.tick())

    assert later.events == []
    assert [one.candidate.target for one in later.put_off] == [SYD]
    (deferred,) = (
        one for one in office.decisions() if one.status is DecisionStatus.DEFERRED
    )
    assert deferred.cause == WithholdReason.OVER_BUDGET


def test_what_was_over_budget_is_decided_under_its_own_id() -> None:
    """An hour later the link is free, and the same decision is planned after all."""
    office = foreseeing(NO_CONTROL_GROUP + "[limits]\nlink_bytes_per_hour = 1\n")
    wants = two_wants(office)
    office.tell(*office.decide_on(wants).events)

    office.wait(3_600)
    events = office.decide_on(wants).events
    office.tell(*events)

    (fact,) = planned(events)
    deferred = [one for one in office.decisions() if one.priority == 2]
    assert [one.replication_id for one in deferred] == [fact.subject.replication_id]
    assert deferred[0].status is DecisionStatus.PLANNED


def test_refusal_is_explained() -> None:
    """People read which budget it was."""
    office = foreseeing(NO_CONTROL_GROUP + "[limits]\nlink_bytes_per_hour = 1\n")

    (fact,) = withheld(office.decide_on(two_wants(office)).events)

    assert fact.explanation.endswith("link_bytes_per_hour (1): iad to syd is spent")


def test_copy_that_is_there_by_now_is_not_wanted() -> None:
    """Somebody copied it by other means: nothing is decided."""
    office = foreseeing()
    due = office.state.indexes.agenda.take()
    office.tell(arrived("v2", SYD))

    assert office.decide(due).events == []


def test_unnamed_policy_is_in_force_by_its_order() -> None:
    """A built-in policy by its name alone."""
    office = foreseeing()
    office.tell(event(IAD, PolicyChanged(Name("default"))))

    assert office.desk.ruling.label.startswith("default@")
