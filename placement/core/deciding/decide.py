"""Wants into decisions: what is copied, withheld, put off or left, by the guardrails.

All decisions of a round rest on one moment. The order in which they are made is that of
their priority and value; what was decided before is never decided again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from placement.core.copies import to_copy
from placement.core.deciding.budgets import Budgets, Order
from placement.core.deciding.control import in_control_group
from placement.core.deciding.desk import Desk
from placement.core.deciding.obstacles import is_new, last_about, obstacle_of
from placement.core.deciding.wants import Want
from placement.core.event import (
    DurationNs,
    Event,
    Identifier,
    Name,
    ReplicationPlanned,
    ReplicationSubject,
    ReplicationWithheld,
    Text,
    TimeNs,
    WithholdReason,
)
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.table import Row
from placement.core.topology import Region

TEXT_LENGTH_MAX: Final = 1_000
LONG_ENOUGH: Final = 10
"""A decision may take so many times what its copy is expected to take."""


@dataclass(slots=True)
class Round:
    """What was decided: *events* for the log; *put_off* may be decided later."""

    events: list[Event] = field(default_factory=list)
    put_off: list[Want] = field(default_factory=list)
    moving: set[tuple[Row, Region]] = field(default_factory=set)
    """What the planned copies move, and where to."""


def decide(desk: Desk, wants: Iterable[Want], publisher: str) -> Round:
    """Return the decisions about *wants*; *publisher* says who decides."""
    found, budgets = Round(), Budgets(desk)
    pairs: set[tuple[str, str]] = set()
    for want in sorted(wants, key=lambda want: want.key):
        candidate = want.candidate
        pair = (candidate.image.digest, candidate.target)
        if pair in pairs or not is_new(desk, want):
            continue
        moved = _moved(desk, want)
        if not moved:  # it came there by other means since it was wanted
            continue
        # Of two images that share a layer the second one waits until it is known what
        # is left to move: one flight for each content.
        if obstacle_of(desk, want) or moved & found.moving:
            found.put_off.append(want)
            continue
        pairs.add(pair)
        _settle(desk, want, budgets, found, publisher)
    return found


def _moved(desk: Desk, want: Want) -> set[tuple[Row, Region]]:
    """Return what a copy would move, and where to."""
    image, target = want.candidate.image, want.candidate.target
    return {(row, target) for row in to_copy(desk.network, image, target)}


def _settle(
    desk: Desk, want: Want, budgets: Budgets, found: Round, publisher: str
) -> None:
    """Plan the copy, or withhold it, or put it off."""
    state, rails = desk.state, desk.guardrails
    image = want.candidate.image
    placement = state.find_placement(image.repository, image.digest)
    if want.foreseen and in_control_group(desk, placement, want.candidate.target):
        cause = WithholdReason.CONTROL_GROUP
        found.events.append(_withheld(desk, want, cause, publisher))
        return
    if rails.observes and not want.asked:
        cause = WithholdReason.OBSERVE_ONLY
        found.events.append(_withheld(desk, want, cause, publisher))
        return
    order = order_of(desk, want)
    refusal = budgets.refusal(order)
    if refusal is None:
        budgets.take(order)
        found.moving |= _moved(desk, want)
        found.events.append(_planned(desk, want, publisher))
        return
    found.put_off.append(want)
    last = last_about(desk, want).record
    if last is None or last.status is not DecisionStatus.DEFERRED:  # told once
        cause = WithholdReason.OVER_BUDGET
        said = f"; {refusal.budget} is spent"
        found.events.append(_withheld(desk, want, cause, publisher, said))


def order_of(desk: Desk, want: Want) -> Order:
    """Return what budgets are asked about a want."""
    candidate = want.candidate
    owner = desk.state.find_repository(candidate.image.repository)
    return Order(
        candidate.source,
        candidate.target,
        desk.organization_of(owner),
        candidate.transfer_bytes,
        want.priority,
    )


def replication_id(desk: Desk, want: Want) -> Identifier:
    """Return the id of the decision about a want: the same from every replica."""
    image = want.candidate.image
    rests_on = (
        image.digest,
        want.candidate.target,
        str(want.trigger_sequence),
        desk.ruling.digest,
        desk.epoch,
    )
    named = "\n".join(rests_on).encode()
    return Identifier(f"r-{blake2b(named, digest_size=12).hexdigest()}")


def _subject(desk: Desk, want: Want) -> ReplicationSubject:
    image = want.candidate.image
    own_id = replication_id(desk, want)
    return ReplicationSubject(
        own_id, image.repository, image.digest, want.candidate.target
    )


def _planned(desk: Desk, want: Want, publisher: str) -> Event:
    candidate = want.candidate
    expected_ns = candidate.duration.p90_ns
    lasts_ns = max(desk.guardrails.limits.decision_ns, LONG_ENOUGH * expected_ns)
    fact = ReplicationPlanned(
        _subject(desk, want),
        candidate.source,
        candidate.transfer_bytes,
        want.trigger,
        want.trigger_sequence,
        candidate.factors,
        TimeNs(desk.now_ns + lasts_ns),
        Name(desk.ruling.label),
        None,
        candidate.start_regions,
        _probability(want),
        DurationNs(candidate.saved_ns),
        DurationNs(candidate.duration.p50_ns),
        want.priority,
        Name(candidate.reason),
        Text(candidate.explanation[:TEXT_LENGTH_MAX]),
    )
    own_id = fact.subject.replication_id
    return Event(own_id, candidate.target, fact, publisher=Name(publisher))


def _withheld(
    desk: Desk, want: Want, cause: WithholdReason, publisher: str, said: str = ""
) -> Event:
    candidate = want.candidate
    fact = ReplicationWithheld(
        _subject(desk, want),
        candidate.transfer_bytes,
        want.trigger,
        want.trigger_sequence,
        candidate.factors,
        Name(desk.ruling.label),
        candidate.source,
        candidate.start_regions,
        _probability(want),
        DurationNs(candidate.saved_ns),
        DurationNs(candidate.duration.p50_ns),
        cause,
        Name(candidate.reason),
        Text((candidate.explanation + said)[:TEXT_LENGTH_MAX]),
    )
    own_id = Identifier(f"{fact.subject.replication_id}-withheld")
    return Event(own_id, candidate.target, fact, publisher=Name(publisher))


def _probability(want: Want) -> float:
    named = {factor.name: factor.value for factor in want.candidate.factors}
    return named.get(Identifier("probability"), 0.0)
