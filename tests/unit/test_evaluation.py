"""What a planner would decide: the same that it does decide, with its reason."""

from collections.abc import Sequence

import pytest

from placement.core.deciding.evaluation import Evaluation, Verdict, evaluate
from placement.core.event import (
    Event,
    Name,
    Operation,
    PolicyChanged,
    RegionState,
    ReplicationPaused,
    ReplicationTrigger,
)
from placement.core.facts.values import Document
from placement.core.tables.agenda import Due
from placement.core.topology import Region
from tests.builders import (
    FRA,
    IAD,
    LHR,
    SCL,
    SYD,
    changed,
    event,
    started,
    stopped,
    tagged,
)
from tests.deciding import (
    NO_CONTROL_GROUP,
    Office,
    arrived,
    planned,
    release,
    requested,
    ruled,
    withheld,
)


def office(*told: Event, policy: str = NO_CONTROL_GROUP) -> Office:
    """A first version that ran in Sydney, and a second one that was just pushed."""
    found = Office().tell(
        ruled(policy), *release("v1"), started("v1", SYD, machine="m-1")
    )
    return found.wait(60).tell(*release("v2"), *told).forget()


def asked(office: Office, region: Region = SYD, name: str = "v2") -> Evaluation:
    """What would be decided about an image for starts in *region*."""
    return evaluate(office.desk, office.row(name), region)


def decided(office: Office, name: str = "v2") -> tuple[Sequence[str], Sequence[str]]:
    """Where the planner itself copies the image to now, and from where it withholds."""
    trigger = ReplicationTrigger.PUSH
    due = Due(office.row(name), trigger, office.state.sequence + 1)
    events = office.decide([due]).events
    return (
        [fact.subject.target_region for fact in planned(events)],
        [fact.subject.target_region for fact in withheld(events)],
    )


def test_what_pays_would_be_copied_and_is() -> None:
    """The bets, their chance and where they break even are told, and it is decided."""
    stage = office()
    found = asked(stage)
    assert (found.verdict, found.target) == (Verdict.WOULD_COPY, SYD)
    best = found.bets[0]
    assert best.region == SYD
    assert best.probability > best.break_even
    assert best.pays
    assert best.levels[-1].probability == best.probability
    assert found.want is not None
    copies, _ = decided(stage)
    assert SYD in copies


def test_what_is_too_unlikely_is_not_copied() -> None:
    """With a low price of waiting a chance is not enough."""
    stage = office(policy=NO_CONTROL_GROUP + "kappa_bytes_per_second = 1000\n")
    found = asked(stage)
    assert found.verdict is Verdict.TOO_UNLIKELY
    assert found.bets[0].probability < found.bets[0].break_even
    assert not found.bets[0].pays
    assert decided(stage) == ([], [])


def test_a_start_that_nothing_foretells() -> None:
    """It started there, stopped, and nobody used it for a week: nothing is asked."""
    stage = office(started("v2", LHR, machine="m-2"), stopped("m-2", LHR))
    stage.wait(8 * 86_400).tell(tagged("other", "v1", IAD))
    assert asked(stage, LHR).verdict is Verdict.UNFORETOLD
    assert decided(stage) == ([SYD], [])


def test_residency_forbids() -> None:
    """A rule that permits nothing else leaves starts there without a copy."""
    rule = '[[residency]]\nrepositories = ["*"]\n'
    denied = office(policy=NO_CONTROL_GROUP + rule + 'deny = ["syd"]\n')
    assert asked(denied).verdict is Verdict.SERVED_ELSEWHERE
    nowhere = office(policy=NO_CONTROL_GROUP + rule + 'allow = ["mars"]\n')
    assert asked(nowhere).verdict is Verdict.FORBIDDEN
    assert decided(nowhere) == ([], [])


def test_a_pause_is_named() -> None:
    """What would be copied waits for the pause to end."""
    pause = event(IAD, ReplicationPaused((), Operation(Name("anna"))))
    stage = office(pause)
    assert asked(stage).verdict is Verdict.PAUSED
    assert decided(stage) == ([], [])


def test_a_region_out_of_use_is_named() -> None:
    """Sydney that drains is served from elsewhere, and nothing is copied there."""
    stage = office(changed(SYD, RegionState.DRAINING))
    assert asked(stage).target != SYD
    everywhere = [
        changed(region, RegionState.DRAINING) for region in (SYD, LHR, FRA, IAD)
    ]
    stage = office(*everywhere, changed(Region("ams"), RegionState.DRAINING))
    assert asked(stage, IAD).verdict is Verdict.THERE
    assert asked(stage).verdict is Verdict.OUT_OF_USE
    assert decided(stage) == ([], [])


def test_a_policy_that_cannot_be_read_stops_all() -> None:
    """What it forbids is not known, so nothing is decided."""
    order = PolicyChanged(Name("later"), Document("sorcery = 1"), Operation())
    stage = office(event(IAD, order))
    assert asked(stage).verdict is Verdict.POLICY_UNREADABLE
    assert decided(stage) == ([], [])


def test_the_control_group_and_observing_are_named() -> None:
    """By lot, or by mode: the copy would be withheld, and is."""
    by_lot = office(policy="holdout_fraction = 1\n")
    assert asked(by_lot).verdict is Verdict.CONTROL_GROUP
    copies, kept_back = decided(by_lot)
    assert SYD not in copies
    assert SYD in kept_back
    observing = office(policy='mode = "observe"\n')
    assert asked(observing).verdict is Verdict.OBSERVED
    assert decided(observing)[0] == []


def test_a_spent_budget_is_named() -> None:
    """The budget that is spent, and for which link."""
    limits = "[limits]\nlink_bytes_per_hour = 1\n"
    stage = office(policy=NO_CONTROL_GROUP + limits)
    assert [fact.subject.target_region for fact in planned(stage.act(due(stage)))]
    stage.tell(*release("v3")).forget()
    found = asked(stage, SYD, "v3")
    assert found.verdict is Verdict.OVER_BUDGET
    assert found.budget.startswith("link_bytes_per_hour (1): iad to syd")


def due(office: Office, name: str = "v2") -> list[Due]:
    """The image, due now."""
    trigger = ReplicationTrigger.PUSH
    return [Due(office.row(name), trigger, office.state.sequence + 1)]


def test_what_is_decided_is_on_its_way_and_then_there() -> None:
    """An open decision brings it; what came, and was called off, is settled."""
    stage = office()
    stage.act(due(stage))
    assert asked(stage).verdict is Verdict.COMING
    there = office(arrived("v2", SYD))
    assert asked(there).verdict is Verdict.THERE
    off = office()
    off.act(due(off))
    [own] = [one for one in off.decisions() if one.target == SYD]
    off.cancel(own)
    found = asked(off)
    assert found.verdict is Verdict.SETTLED
    assert found.last is not None
    assert found.last.replication_id == own.replication_id


def test_what_failed_is_not_tried_at_once() -> None:
    """A copy that failed waits for its turn."""
    stage = office()
    stage.act(due(stage))
    [own] = [one for one in stage.decisions() if one.target == SYD]
    stage.fail(own)
    assert asked(stage).verdict is Verdict.TRIED_LATELY
    stage.wait(3_600)
    assert asked(stage).verdict is Verdict.WOULD_COPY


def test_what_somebody_asked_for_is_no_bet() -> None:
    """A request would be carried out, whatever the bets say."""
    stage = office(
        requested("v2", SYD),
        policy=NO_CONTROL_GROUP + "kappa_bytes_per_second = 1000\n",
    )
    found = asked(stage)
    assert found.verdict is Verdict.WOULD_COPY
    assert found.want is not None
    assert found.want.asked


def test_nobody_has_it_or_the_region_is_down() -> None:
    """Without a source nothing can be copied."""
    stage = office(changed(IAD, RegionState.DOWN))
    assert asked(stage).verdict is Verdict.NO_SOURCE


def test_a_region_without_storage_is_served_by_another() -> None:
    """Santiago stores nothing: what is asked is about the region that serves it."""
    assert asked(office(), SCL).target == IAD


def test_a_rule_that_does_not_bet_shows_no_bets() -> None:
    """The static rule copies to where the app ran."""
    stage = office(policy=NO_CONTROL_GROUP + 'rule = "set_60d"\n')
    found = asked(stage)
    assert (found.verdict, found.bets) == (Verdict.WOULD_COPY, ())


@pytest.mark.parametrize("region", [IAD, LHR, FRA, SYD])
def test_it_is_what_the_planner_does(region: Region) -> None:
    """Wherever it says that a copy would be made, one is, and nowhere else."""
    stage = office()
    copies, _ = decided(stage)
    found = asked(stage, region)
    assert (found.verdict is Verdict.WOULD_COPY) == (region in copies)
