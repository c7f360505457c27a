"""Whether decisions paid off: each start is held against what was decided before it.

A start counts for every decision about its image, or a layer of it, that was for its
region. A start that had to fetch its image from elsewhere gets the reason, from what
the state held at that moment: so every figure about it comes from the log alone.
"""

from collections.abc import Iterator
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.event import (
    CacheKind,
    ContentPulled,
    FailureCause,
    MachineStarted,
    WithholdReason,
)
from placement.core.folds.bursts import BURST_NS
from placement.core.folds.demand import Run, Start
from placement.core.folds.presence import At
from placement.core.folds.progress import is_removal
from placement.core.folds.versions import version_of
from placement.core.state import State
from placement.core.tables.cells import (
    Decision,
    DecisionStatus,
    Machine,
    StartDay,
    StartOutcome,
)
from placement.core.tables.keys import PAIR, REGION_BITS, START_DAY
from placement.core.tables.table import ABSENT, Row
from placement.core.tables.waits import CameFrom
from placement.core.topology import Region

OUTCOME_NS: Final = 30 * DAY_NS
"""A start so long after a decision has nothing to do with it."""

_BY_STATUS: Final = {
    DecisionStatus.PLANNED: StartOutcome.PREDICTED_LATE,
    DecisionStatus.STARTED: StartOutcome.PREDICTED_LATE,
    DecisionStatus.FAILED: StartOutcome.COPY_FAILED,
    DecisionStatus.CANCELLED: StartOutcome.CANCELLED,
    DecisionStatus.EXPIRED: StartOutcome.COPY_EXPIRED,
    DecisionStatus.DEFERRED: StartOutcome.OVER_BUDGET,
}


def machine_started(state: State, at: At, fact: MachineStarted, run: Run) -> None:
    """Say why a start was as it was, and what it means for decisions before it.

    Of what is old news no more than the reason is kept.
    """
    wait_ns = fact.image_wait_ns
    images = _images(state, run.placement)
    outcome, decision = _why(state, at, fact, images)
    machines = state.machines
    if machines.get(run.machine, Machine.STARTED) == at.order_ns:
        machines.set(run.machine, Machine.OUTCOME, outcome)
        machines.set(run.machine, Machine.WAIT, 0 if wait_ns is None else wait_ns + 1)
        machines.set(run.machine, Machine.DECISION, decision + 1)
    if run.start is not None:
        _count_day(state, at, run.start, outcome, wait_ns)
        _credit(state, at, run.start, images, wait_ns)
        waits = state.indexes.waits
        if wait_ns is not None and state.latest_order_ns >= waits.since_ns:
            waits.note(run.start.region, came_from(at, fact), wait_ns)


def came_from(at: At, fact: MachineStarted) -> CameFrom:
    """Return where the image was that a machine started, as far as that was said."""
    match fact.cache:
        case CacheKind.HOST:
            return CameFrom.HOST
        case CacheKind.REGION:
            return CameFrom.REGION
        case CacheKind.REMOTE:
            return CameFrom.REMOTE
        case CacheKind.UNSPECIFIED:
            pass
    if fact.source_region is None:
        return CameFrom.UNKNOWN
    here = fact.source_region == at.event.region
    return CameFrom.REGION if here else CameFrom.REMOTE


def start_outcome(
    state: State, at: At, fact: MachineStarted, placement: Row
) -> tuple[StartOutcome, Row]:
    """Return why a start was as it was, and the decision that tells so, or ABSENT.

    The same before and right after the start is folded: it moves no decision.
    """
    return _why(state, at, fact, _images(state, placement))


def content_pulled(state: State, at: At, fact: ContentPulled, pull: Start) -> None:
    """Let a pull stand in for a start, where nobody reports any."""
    _credit(state, at, pull, _images(state, pull.placement), fact.pull_duration_ns)


def _why(
    state: State, at: At, fact: MachineStarted, images: list[Row]
) -> tuple[StartOutcome, Row]:
    outcome = nearness(at.event.region, fact)
    return (outcome, ABSENT) if outcome else _reason(state, at, fact, images)


def nearness(region: Region, fact: MachineStarted) -> StartOutcome | None:
    """Return LOCAL or UNKNOWN, or None for a start that fetched from elsewhere."""
    match fact.cache:
        case CacheKind.HOST | CacheKind.REGION:
            return StartOutcome.LOCAL
        case CacheKind.REMOTE:
            return None
        case CacheKind.UNSPECIFIED:
            pass
    if fact.source_region is None:
        return StartOutcome.UNKNOWN
    return StartOutcome.LOCAL if fact.source_region == region else None


def _reason(
    state: State, at: At, fact: MachineStarted, images: list[Row]
) -> tuple[StartOutcome, Row]:
    """Return why the image was not in the region, and the decision that tells so.

    That is the last one before the start; what was decided to stay does not count.
    """
    last, last_ns = ABSENT, 0
    for row in _decisions_for(state, images, at.region):
        order_ns = state.decisions.get(row, Decision.ORDER)
        known = order_ns <= at.order_ns
        known = known and state.decisions.get(row, Decision.TIME) <= at.time_ns
        if known and order_ns > last_ns and not _stayed(state, row):
            last, last_ns = row, order_ns
    if last == ABSENT:
        return StartOutcome.NEVER_PREDICTED, ABSENT
    if is_removal(state, last):
        return StartOutcome.EVICTED, last
    return _outcome(state, at, fact, last), last


def _stayed(state: State, row: Row) -> bool:
    status = state.decisions.get(row, Decision.STATUS)
    return is_removal(state, row) and status != DecisionStatus.COMPLETED


def _outcome(state: State, at: At, fact: MachineStarted, copy: Row) -> StartOutcome:
    status = DecisionStatus(state.decisions.get(copy, Decision.STATUS))
    cause = state.decisions.get(copy, Decision.CAUSE)
    if status is DecisionStatus.COMPLETED:
        asked_ns = fact.request_time_ns or at.time_ns - (fact.image_wait_ns or 0)
        if state.decisions.get(copy, Decision.COMPLETE) > asked_ns:
            return StartOutcome.PREDICTED_LATE
        target = state.region_at(Row(state.decisions.get(copy, Decision.TARGET)))
        # A region without storage is served by another one, where the copy went.
        used = fact.source_region == target
        return StartOutcome.LOCAL if used else StartOutcome.COPY_UNUSED
    if status is DecisionStatus.WITHHELD:
        observed = cause == WithholdReason.OBSERVE_ONLY
        return StartOutcome.OBSERVE_ONLY if observed else StartOutcome.CONTROL_GROUP
    if status is DecisionStatus.FAILED and cause == FailureCause.SOURCE:
        return StartOutcome.SOURCE_UNHEALTHY
    return _BY_STATUS[status]


def _count_day(
    state: State, at: At, start: Start, outcome: StartOutcome, wait_ns: int | None
) -> None:
    day = at.time_ns // DAY_NS
    key = START_DAY.pack(start.app, start.region, outcome, day)
    row = state.start_days.find_or_add(key)
    state.start_days.increase(row, StartDay.STARTS)
    if wait_ns is not None:
        state.start_days.increase(row, StartDay.WAITED)
        state.start_days.increase(row, StartDay.WAIT, wait_ns)


def _credit(
    state: State, at: At, start: Start, images: list[Row], wait_ns: int | None
) -> None:
    """Count a start for the decisions that it was foreseen by."""
    if images and start.times == 1:
        images = list(dict.fromkeys(images + _layers(state, start.placement)))
    for row in _decisions_for(state, images, start.region):
        age_ns = at.time_ns - state.decisions.get(row, Decision.TIME)
        if not 0 <= age_ns <= OUTCOME_NS:
            continue
        used_ns = state.decisions.get(row, Decision.USED)
        if not used_ns:
            used_ns = at.time_ns
            state.decisions.set(row, Decision.USED, used_ns)
        if 0 <= at.time_ns - used_ns <= BURST_NS:
            state.decisions.increase(row, Decision.STARTS)
            if wait_ns is not None:
                state.decisions.increase(row, Decision.WAITED)
                state.decisions.increase(row, Decision.WAIT, wait_ns)


def _images(state: State, placement: Row) -> list[Row]:
    """Return the image that started, and the version that it is a platform of."""
    if not _decided_in(state, placement):
        return []
    version = version_of(state, placement)
    return [placement] if version in {ABSENT, placement} else [placement, version]


def _decided_in(state: State, placement: Row) -> bool:
    owner, _ = PAIR.unpack(state.placements.key(placement))
    return state.indexes.decisions.about(Row(owner))


def _layers(state: State, placement: Row) -> list[Row]:
    """Return what the image refers to, by itself or through a platform's manifest."""
    owner, digest = PAIR.unpack(state.placements.key(placement))
    found: dict[Row, None] = {}
    for child, _ in state.children(Row(digest)):
        found[child] = None
        found.update((each, None) for each, _ in state.children(child))
    parts = (state.placements.find(PAIR.pack(owner, child)) for child in found)
    return [row for row in parts if row not in {ABSENT, placement}]


def _decisions_for(state: State, images: list[Row], region: Row) -> Iterator[Row]:
    """Yield the decisions about *images* that are for starts in *region*."""
    word, place = divmod(region, REGION_BITS)
    for image in images:
        for row in state.indexes.decisions.of(image):
            if state.decisions.get(row, Decision.REGIONS_0 + word) >> place & 1:
                yield row
