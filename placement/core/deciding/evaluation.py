"""What a planner would decide about an image and a storage region now, and why.

The same steps as a decision, taken for one pair and kept: what is wanted, what the bets
are worth, and what stands in the way. It decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from placement.core.betting import Wager
from placement.core.break_even import wagers_on
from placement.core.copies import Image, contents_coming, copy_into
from placement.core.deciding.budgets import Budgets
from placement.core.deciding.control import in_control_group
from placement.core.deciding.decide import order_of
from placement.core.deciding.desk import Desk
from placement.core.deciding.foreseen import trials_of
from placement.core.deciding.obstacles import (
    Obstacle,
    is_new,
    last_about,
    obstacle_of,
)
from placement.core.deciding.wants import Want, wants_of
from placement.core.decisions import DecisionRecord
from placement.core.event import ReplicationTrigger
from placement.core.forecast import Level
from placement.core.graph import contents, missing, mountable
from placement.core.policy import SET_60D
from placement.core.residency import storage_within
from placement.core.tables.agenda import Due
from placement.core.tables.cells import StartClass
from placement.core.tables.table import Row
from placement.core.topology import Region


class Verdict(Enum):
    """What would be decided, or what keeps it from being decided."""

    THERE = "there"
    MOUNTABLE = "mountable"
    """All that is missing is in another repository of the same region."""
    COMING = "coming"
    """What is missing is on its way by decisions that are open."""
    FORBIDDEN = "forbidden"
    """The policy's residency does not permit copies there."""
    SERVED_ELSEWHERE = "served elsewhere"
    """Starts there are served by another region, within the policy's residency."""
    NO_SOURCE = "no source"
    """Nobody else holds it, or the region is down."""
    UNFORETOLD = "unforetold"
    """No forecast is open, nobody asked, and nothing runs there."""
    TOO_UNLIKELY = "too unlikely"
    """A start is foretold, and is not likely enough for what a copy may waste."""
    WAITS_FOR_SIGN = "waits for a sign"
    """A first start elsewhere is worth waiting for."""
    SETTLED = "settled"
    """What was decided last holds still."""
    POLICY_UNREADABLE = Obstacle.POLICY_UNREADABLE.value
    PAUSED = Obstacle.PAUSED.value
    OUT_OF_USE = Obstacle.OUT_OF_USE.value
    TRIED_LATELY = Obstacle.TRIED_LATELY.value
    CONTROL_GROUP = "control group"
    """It would be withheld by lot."""
    OBSERVED = "observed"
    """It would be recorded, and not made: the policy only observes."""
    OVER_BUDGET = "over budget"
    WOULD_COPY = "would copy"


@dataclass(frozen=True, slots=True)
class EvaluatedBet:
    """A bet on one start region; *levels* are the chance, from general to particular.

    *waits_for* is the start region whose first start is worth waiting for.
    """

    region: Region
    known: StartClass
    probability: float
    break_even: float
    gain_bytes: float
    stake_bytes: float
    worth_bytes: float
    remote_seconds: float
    levels: tuple[Level, ...]
    waits_for: Region | None

    @property
    def pays(self) -> bool:
        """Whether a copy for this start region alone should be made now."""
        return self.worth_bytes >= 0 and self.waits_for is None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What would be decided about one image and storage region.

    *bets* are on the start regions that share the copy, the best first. *budget* names
    what is spent. *last* is the last decision about the content and the region.
    """

    target: Region
    verdict: Verdict
    policy: str
    bets: tuple[EvaluatedBet, ...] = ()
    want: Want | None = None
    last: DecisionRecord | None = None
    budget: str = ""


_OBSTACLES: Final = {obstacle: Verdict(obstacle.value) for obstacle in Obstacle}


def evaluate(desk: Desk, placement: Row, start: Region) -> Evaluation:
    """Return what would be decided for starts in *start*, which is in the catalogue.

    As if the image became due now. *placement* is in use.
    """
    repository, digest = desk.state.placement_at(placement)
    image, target = Image(repository, digest), desk.network.storage(start)
    permitted = desk.permitted(repository)
    within = storage_within(desk.network, start, permitted)
    settled = _without_wants(desk, image, target)
    if settled is None and target not in permitted:
        elsewhere = within is not None
        settled = Verdict.SERVED_ELSEWHERE if elsewhere else Verdict.FORBIDDEN
    if settled is None and copy_into(desk.network, image, target, start) is None:
        settled = Verdict.NO_SOURCE
    if settled is not None:
        return Evaluation(target, settled, desk.ruling.label)
    return _weighed(desk, placement, image, target)


def _without_wants(desk: Desk, image: Image, target: Region) -> Verdict | None:
    """Return why nothing has to be copied there; None where something has to."""
    network, state = desk.network, desk.state
    owner = state.find_repository(image.repository)
    region = state.regions.find(target.encode())
    every = contents(state, state.find_digest(image.digest))
    lacking = missing(state, owner, every, region)
    if not lacking:
        return Verdict.THERE
    coming = contents_coming(network, region)
    left = [row for row in lacking if not mountable(state, owner, row, region)]
    if not left:
        return Verdict.MOUNTABLE
    return Verdict.COMING if coming.issuperset(left) else None


def _weighed(desk: Desk, placement: Row, image: Image, target: Region) -> Evaluation:
    """Return what would be decided where something is to be copied, and can be."""
    due = Due(placement, ReplicationTrigger.PUSH, desk.state.sequence + 1)
    bets = _bets(desk, due, image, target)
    wanted = (want for want in wants_of(desk, due) if want.candidate.target == target)
    want = next(wanted, None)
    policy = desk.ruling.label
    if want is None:
        return Evaluation(target, _unwanted(bets), policy, bets)
    verdict, budget = _ruled(desk, placement, want)
    last = last_about(desk, want).record
    return Evaluation(target, verdict, policy, bets, want, last, budget)


def _unwanted(bets: Sequence[EvaluatedBet]) -> Verdict:
    if not bets:
        return Verdict.UNFORETOLD
    ready = any(bet.waits_for is None for bet in bets)
    return Verdict.TOO_UNLIKELY if ready else Verdict.WAITS_FOR_SIGN


def _ruled(desk: Desk, placement: Row, want: Want) -> tuple[Verdict, str]:
    """Return what would be decided about a want, and which budget is spent."""
    if not is_new(desk, want):
        return Verdict.SETTLED, ""
    obstacle = obstacle_of(desk, want)
    if obstacle is not None:
        return _OBSTACLES[obstacle], ""
    if want.foreseen and in_control_group(desk, placement, want.candidate.target):
        return Verdict.CONTROL_GROUP, ""
    if desk.guardrails.observes and not want.asked:
        return Verdict.OBSERVED, ""
    refusal = Budgets(desk).refusal(order_of(desk, want))
    if refusal is not None:
        return Verdict.OVER_BUDGET, refusal.budget
    return Verdict.WOULD_COPY, ""


def _bets(
    desk: Desk, due: Due, image: Image, target: Region
) -> tuple[EvaluatedBet, ...]:
    """Return the bets on the start regions that *target* serves, the best first.

    None where the policy does not bet.
    """
    if desk.ruling.policy.rule == SET_60D:
        return ()
    copies, found = wagers_on(
        desk.network,
        desk.forecaster,
        image,
        trials_of(desk, due),
        desk.guardrails.residency,
    )
    bets = [
        _bet(desk, wager)
        for wager in found
        if copies[wager.trial.region].target == target
    ]
    return tuple(sorted(bets, key=lambda bet: (-bet.worth_bytes, bet.region)))


def _bet(desk: Desk, wager: Wager) -> EvaluatedBet:
    state, trial, bet = desk.state, wager.trial, wager.bet
    waits_for = wager.waits_for
    return EvaluatedBet(
        state.region_at(trial.region),
        trial.known,
        bet.probability,
        bet.break_even,
        bet.gain_bytes,
        bet.stake_bytes,
        bet.worth_bytes,
        wager.costs.remote_seconds,
        tuple(desk.forecaster.levels(trial)),
        None if waits_for is None else state.region_at(waits_for),
    )
