"""Which pairs the control group is compared by, and which decision tells their outcome.

A pair is a version and the region that its copy was for. With the first decision that
a forecast made about it the lot fell, be it about a layer ahead of the manifest. The
pair stays on its side, whatever became of the copy afterwards: to leave out what
failed, came late or was put off would be to choose pairs by their outcome. Nor does it
matter whether the image was decided about later: after its layers were copied it nearly
always is, after they were withheld only if it pays by itself.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from placement.core.break_even import CERTAIN_REASONS
from placement.core.decisions import DecisionRecord, decision_at
from placement.core.event import ReplicationTrigger, WithholdReason
from placement.core.folds.versions import version_of
from placement.core.state import State
from placement.core.tables.cells import Decision, DecisionStatus, Version
from placement.core.tables.keys import PAIR, version_key
from placement.core.tables.table import ABSENT, Row

_FORESEEN: Final = frozenset(
    {
        ReplicationTrigger.PUSH,
        ReplicationTrigger.START,
        ReplicationTrigger.SWEEP,
        ReplicationTrigger.FIRST_LAYER,
    }
)


class Arm(IntEnum):
    """On which side of the comparison a pair is."""

    TREATED = 1
    WITHHELD = 2


class Pair(NamedTuple):
    """A pair's side, and the decision that tells what its first burst waited.

    That is the first one about the image; where there is none, one about a layer of it,
    which tells of the first machine alone.
    """

    arm: Arm
    told: DecisionRecord


def pair_of(state: State, decision: DecisionRecord) -> Pair | None:
    """Return the pair that a decision was the first about, or None."""
    if not _is_foreseen(decision) or _is_observed(decision):
        return None
    version = _version(state, decision)
    if version == ABSENT:
        return None
    target = state.regions.find(decision.target.encode())
    images = _about(state, version, target)
    layers = _ahead_of(state, version, target)
    if any(
        _sequence(state, row) < decision.sequence and _is_drawn(state, row)
        for row in (*images, *layers)
    ):
        return None
    withheld = decision.status is DecisionStatus.WITHHELD
    told = min(images, key=lambda row: _sequence(state, row), default=decision.row)
    tells = decision if told == decision.row else decision_at(state, told)
    return Pair(Arm.WITHHELD if withheld else Arm.TREATED, tells)


def first_of_its_kind(state: State, decision: DecisionRecord) -> bool:
    """Say whether no decision of the same status and cause came before it.

    For the same content and target: what is only observed may be decided again.
    """
    target = state.regions.find(decision.target.encode())
    return not any(
        _sequence(state, row) < decision.sequence
        and state.decisions.get(row, Decision.STATUS) == decision.status
        and state.decisions.get(row, Decision.CAUSE) == decision.cause
        for row in _about(state, decision.placement, target)
    )


# What pairs are made of.


def _is_foreseen(decision: DecisionRecord) -> bool:
    return decision.kind in _FORESEEN and decision.reason not in CERTAIN_REASONS


def _is_observed(decision: DecisionRecord) -> bool:
    withheld = decision.status is DecisionStatus.WITHHELD
    return withheld and decision.cause != WithholdReason.CONTROL_GROUP


def _is_drawn(state: State, row: Row) -> bool:
    decision = decision_at(state, row)
    return _is_foreseen(decision) and not _is_observed(decision)


def _sequence(state: State, row: Row) -> int:
    return state.decisions.get(row, Decision.SEQUENCE)


def _about(state: State, placement: Row, target: Row) -> list[Row]:
    """Return the decisions about a placement and a target."""
    rows = state.indexes.decisions.of(placement)
    return [row for row in rows if state.decisions.get(row, Decision.TARGET) == target]


def _ahead_of(state: State, version: Row, target: Row) -> Iterator[Row]:
    """Yield the decisions about layers of a version that were made ahead of it."""
    for layer in _layers(state, version):
        for row in _about(state, layer, target):
            kind = state.decisions.get(row, Decision.KIND)
            if kind == ReplicationTrigger.FIRST_LAYER:
                decision = decision_at(state, row)
                if _foretold(state, decision) == version:
                    yield row


def _layers(state: State, version: Row) -> list[Row]:
    """Return what a version refers to, by itself or through a platform's manifest."""
    owner, content = PAIR.unpack(state.placements.key(version))
    found: dict[Row, None] = {}
    for child, _ in state.children(Row(content)):
        found[child] = None
        found.update((each, None) for each, _ in state.children(child))
    parts = (state.placements.find(PAIR.pack(owner, child)) for child in found)
    return [row for row in parts if row not in {ABSENT, version}]


def _version(state: State, decision: DecisionRecord) -> Row:
    """Return what a decision is about as a version; ABSENT: a layer of none yet."""
    if decision.kind == ReplicationTrigger.FIRST_LAYER:
        version = _foretold(state, decision)
        known = version != ABSENT and decision.placement in _layers(state, version)
        return version if known else ABSENT
    version = version_of(state, decision.placement)
    return decision.placement if version == ABSENT else version


def _foretold(state: State, layer: DecisionRecord) -> Row:
    """Return the first version of its repository after a decision about a layer."""
    owner, _ = PAIR.unpack(state.placements.key(layer.placement))
    found = ABSENT
    for version in reversed(state.indexes.versions_in(Row(owner))):
        row = state.versions.find(version_key(version))
        if state.versions.get(row, Version.ORDER) <= layer.order_ns:
            break
        found = version
    return found
