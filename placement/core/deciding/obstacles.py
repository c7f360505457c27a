"""Why a wanted copy is not decided now, whatever it is worth."""

from enum import Enum
from typing import Final, NamedTuple

from placement.core.counts import DAY_NS
from placement.core.deciding.desk import Desk
from placement.core.deciding.wants import Want
from placement.core.decisions import DecisionRecord, decision_at, decisions_of
from placement.core.event import RegionState, WithholdReason
from placement.core.folds.orders import is_paused
from placement.core.folds.progress import last_decided
from placement.core.tables.cells import Decided, DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT

WITHHELD_NS: Final = 30 * DAY_NS
"""A copy that was withheld, or called off by a person, is not decided again so soon."""
_FAILED: Final = frozenset({DecisionStatus.FAILED, DecisionStatus.EXPIRED})


class Obstacle(Enum):
    """What has to pass before the copy may be decided."""

    POLICY_UNREADABLE = "policy unreadable"
    """A policy was ordered that cannot be read here: what it forbids is unknown."""
    PAUSED = "paused"
    OUT_OF_USE = "region out of use"
    TRIED_LATELY = "tried lately"


class LastDecision(NamedTuple):
    """The last decision for content and target, its trigger, and failures in a row."""

    record: DecisionRecord | None
    trigger_sequence: int
    failures: int


def last_about(desk: Desk, want: Want) -> LastDecision:
    """Return what was decided last about the content of a want and its target."""
    state, candidate = desk.state, want.candidate
    digest = state.find_digest(candidate.image.digest)
    target = state.regions.find(candidate.target.encode())
    row = ABSENT
    if ABSENT not in {digest, target}:
        row = state.decided.find(PAIR.pack(digest, target))
    if row == ABSENT:
        return LastDecision(None, 0, 0)
    last = last_decided(state, row)
    record = None if last == ABSENT else decision_at(state, last)
    trigger, failures = Decided.TRIGGER, Decided.FAILURES
    return LastDecision(
        record, state.decided.get(row, trigger), state.decided.get(row, failures)
    )


def is_new(desk: Desk, want: Want) -> bool:
    """Say whether nothing that was decided before settles the want."""
    last, trigger, _ = last_about(desk, want)
    if want.trigger_sequence <= trigger or (last is not None and last.open):
        return False
    if last is None or want.asked:
        return True
    lately = last.time_ns > desk.now_ns - WITHHELD_NS
    if last.status is DecisionStatus.CANCELLED:
        return not (lately and want.foreseen)
    if last.status is not DecisionStatus.WITHHELD or not lately:
        return True
    if last.cause == WithholdReason.OBSERVE_ONLY:
        return not desk.guardrails.observes
    return not want.foreseen


def obstacle_of(desk: Desk, want: Want) -> Obstacle | None:
    """Return why the copy may not be decided yet; None: nothing is in its way."""
    if desk.ruling.refused:
        return Obstacle.POLICY_UNREADABLE
    state, target = desk.state, want.candidate.target
    region = state.regions.find(target.encode())
    # A pause that is over by this clock may last by the log's: both have to agree.
    times = (desk.now_ns, state.store_time_ns)
    if any(is_paused(state, region, time_ns) for time_ns in times):
        return Obstacle.PAUSED
    if desk.network.region_state(target) is not RegionState.ACTIVE:
        return Obstacle.OUT_OF_USE
    return Obstacle.TRIED_LATELY if desk.now_ns < _again_ns(desk, want) else None


def _again_ns(desk: Desk, want: Want) -> int:
    """Return when what failed, or is missing again, may be tried again; 0: now."""
    state, limits = desk.state, desk.guardrails.limits
    last, _, failures = last_about(desk, want)
    if last is None:
        return 0
    image = want.candidate.image
    placement = state.find_placement(image.repository, image.digest)
    if last.status is DecisionStatus.COMPLETED and last.placement == placement:
        # It is missing again, or was never seen to arrive: not round and round.
        return last.change_ns + limits.retry_ns(_copied_lately(desk, last))
    if last.status in _FAILED and failures:
        return last.change_ns + limits.retry_ns(failures)
    return 0


def _copied_lately(desk: Desk, last: DecisionRecord) -> int:
    """Return how often what *last* brought was brought there in a day; 1 or more."""
    since_ns = last.change_ns - DAY_NS
    return sum(
        one.status is DecisionStatus.COMPLETED
        and one.target == last.target
        and one.change_ns > since_ns
        for one in decisions_of(desk.state, last.placement)
    )
