"""Which copies are wanted, and why: asked for, pinned, foreseen, or too few.

A want is no decision yet: guardrails, budgets and what was decided before come after.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from placement.core.break_even import RUNS_HERE, STARTS_REQUESTED, bets_on
from placement.core.copies import Candidate, Copy, Image, copy_into
from placement.core.counts import DAY_NS
from placement.core.deciding.desk import Desk
from placement.core.deciding.foreseen import trials_of
from placement.core.deciding.priority import Priority
from placement.core.deciding.repair import repair_target
from placement.core.event import ReplicationTrigger
from placement.core.facts.values import factors_of
from placement.core.oci import ContentKind, Tag
from placement.core.orders import is_pinned_in
from placement.core.planning import plan
from placement.core.policy import SET_60D
from placement.core.tables.agenda import Due
from placement.core.tables.cells import Wanted
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row
from placement.core.tag_steps import pointing
from placement.core.topology import Region

REQUESTED: Final = "requested"
PINNED: Final = "pinned-here"
REPAIR: Final = "too-few-copies"
REQUEST_NS: Final = DAY_NS
"""A request is followed for so long after its deadline."""

_CERTAIN: Final = {
    STARTS_REQUESTED: Priority.SOMEBODY_WAITS,
    RUNS_HERE: Priority.FORESEEN,
}
"""Reasons for copies that are no forecast."""


@dataclass(frozen=True, slots=True)
class Want:
    """A wanted copy; *priority* 1 comes first.

    *foreseen*: by a forecast, so that it may be withheld to measure what copies save.
    """

    candidate: Candidate
    trigger: ReplicationTrigger
    trigger_sequence: int
    priority: Priority
    foreseen: bool = False

    @property
    def asked(self) -> bool:
        """Whether somebody asked for this very copy."""
        return self.trigger is ReplicationTrigger.REQUEST

    @property
    def key(self) -> tuple[int, float, str, str, str, int, int]:
        """Return what wants are sorted by: a total order, the first one first."""
        candidate = self.candidate
        image = candidate.image
        place = (image.repository, image.digest, candidate.target)
        since = (self.trigger_sequence, self.trigger)
        return (self.priority, -candidate.value, *place, *since)


def wants_of(desk: Desk, due: Due) -> Iterator[Want]:
    """Yield the copies that are wanted of what is due, each target once at the most."""
    repository, digest = desk.state.placement_at(due.placement)
    image = Image(repository, digest, _tags(desk, due.placement))
    found: set[Region] = set()
    for wants in (_requested, _pinned, _foreseen, _repaired):
        for want in wants(desk, due, image):
            if want.candidate.target not in found:
                found.add(want.candidate.target)
                yield want


def _tags(desk: Desk, placement: Row) -> tuple[Tag, ...]:
    owner, content = PAIR.unpack(desk.state.placements.key(placement))
    tags = pointing(desk.state, Row(owner), Row(content))
    return tuple(sorted(tag for tag in tags if tag is not None))


def _requested(desk: Desk, due: Due, image: Image) -> Iterator[Want]:
    state = desk.state
    for row in state.indexes.wanted_of(due.placement):
        wanted = state.wanted.values(state.wanted.find(PAIR.pack(due.placement, row)))
        asked_ns, sequence = wanted[Wanted.TIME], wanted[Wanted.SEQUENCE]
        if desk.now_ns > max(asked_ns, wanted[Wanted.DEADLINE]) + REQUEST_NS:
            continue
        target = state.region_at(row)
        said = f"somebody asked to have it in {target}"
        copy = _copy(desk, image, target)
        if copy is not None:
            candidate = _certain(desk, image, copy, REQUESTED, said)
            since = max(sequence, due.sequence)
            trigger = ReplicationTrigger.REQUEST
            yield Want(candidate, trigger, since, Priority.SOMEBODY_WAITS)


def _pinned(desk: Desk, due: Due, image: Image) -> Iterator[Want]:
    state = desk.state
    owner, digest = map(Row, PAIR.unpack(state.placements.key(due.placement)))
    for target in _storing(desk):
        region = state.regions.find(target.encode())
        # A pin of all regions keeps what is there, and brings nothing anywhere.
        if not is_pinned_in(state, owner, digest, region, desk.now_ns):
            continue
        copy = _copy(desk, image, target)
        if copy is not None:
            said = f"it is pinned in {target}, which lacks it"
            candidate = _certain(desk, image, copy, PINNED, said)
            yield Want(
                candidate, ReplicationTrigger.PIN, due.sequence, Priority.TOO_FEW
            )


def _foreseen(desk: Desk, due: Due, image: Image) -> Iterator[Want]:
    residency = desk.guardrails.residency
    if due.trigger is ReplicationTrigger.REQUEST:  # which says nothing about starts
        return
    if desk.ruling.policy.rule == SET_60D:
        if desk.state.kind(desk.state.content_of(due.placement)) is ContentKind.BLOB:
            return
        found = plan(desk.network, [image], desk.forecaster, residency)
    else:
        trials = trials_of(desk, due)
        bets = bets_on(desk.network, desk.forecaster, image, trials, residency)
        found = list(bets)
    for candidate in found:
        certain = _CERTAIN.get(candidate.reason)
        swept = due.trigger is ReplicationTrigger.SWEEP
        if certain is None:
            yield Want(
                candidate, due.trigger, due.sequence, Priority.FORESEEN, foreseen=True
            )
        elif swept and certain != Priority.SOMEBODY_WAITS:
            yield Want(candidate, due.trigger, due.sequence, Priority.BACKFILL)
        else:
            yield Want(candidate, due.trigger, due.sequence, certain)


def _repaired(desk: Desk, due: Due, image: Image) -> Iterator[Want]:
    target = repair_target(desk, due.placement, image)
    copy = None if target is None else _copy(desk, image, target)
    if copy is not None:
        least = desk.guardrails.limits.min_copies
        said = f"a region that had it is out of use, and fewer than {least} have it now"
        candidate = _certain(desk, image, copy, REPAIR, said)
        yield Want(candidate, ReplicationTrigger.REPAIR, due.sequence, Priority.TOO_FEW)


# What wants are made of.


def _storing(desk: Desk) -> Sequence[Region]:
    topology = desk.network.topology
    return sorted(filter(topology.stores, topology.regions))


def _copy(desk: Desk, image: Image, target: Region) -> Copy | None:
    """Return the copy into *target*; None where it may not be, or is not needed."""
    if target not in desk.permitted(image.repository):
        return None
    return copy_into(desk.network, image, target, target)


def _certain(
    desk: Desk, image: Image, copy: Copy, reason: str, explanation: str
) -> Candidate:
    """Return a copy that rests on no forecast, for all starts its target serves."""
    network = desk.network
    served = (r for r in network.topology.regions if network.storage(r) == copy.target)
    factors = {
        "transfer_bytes": copy.transfer_bytes,
        "remote_start_seconds": copy.remote.p50_ns / 1e9,
        "local_start_seconds": copy.local.p50_ns / 1e9,
    }
    return Candidate(
        image,
        copy.source,
        copy.target,
        tuple(sorted(served)),
        copy.transfer_bytes,
        copy.duration,
        copy.saved_ns,
        reason,
        explanation,
        factors_of(factors),
        copy.saved_ns / max(1, copy.transfer_bytes),
    )
