"""Events into state: the only place that advances the sequence.

Total and deterministic: every message of the log has exactly one meaning, which depends
on its bytes, the time at which the log stored it, and FOLD_VERSION alone.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from placement.core.counts import DAY_NS
from placement.core.event import (
    AppWithdrawn,
    ContentAnnounced,
    ContentEvicted,
    ContentPinned,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    ContentUnpinned,
    EventQuarantined,
    EvictionCancelled,
    EvictionPlanned,
    Fact,
    InventoryTaken,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    OwnershipDeclared,
    PolicyChanged,
    Recorded,
    RecordedMessage,
    RegionChanged,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationWithheld,
    SetAside,
    StartsRequested,
    TagMoved,
    TickPassed,
    TransferMeasured,
)
from placement.core.event_keys import event_key
from placement.core.folds import (
    decisions,
    demand,
    due,
    learning,
    orders,
    payoff,
    presence,
    progress,
    requests,
    transfers,
)
from placement.core.folds.description import contradicts
from placement.core.folds.mentions import note_mentioned, too_many_regions
from placement.core.folds.presence import At
from placement.core.folds.transfers import write_kept
from placement.core.state import State
from placement.core.tables.table import ABSENT

FOLD_VERSION: Final = 4
"""Raised whenever a fact comes to mean something else; another version folds anew."""

FRESH_NS: Final = 10 * 1_000_000_000
"""An event stored within this time of its happening is ordered by the log; one that
comes later is ordered as if it had been stored just then.
"""
LATE_NS: Final = DAY_NS
"""An event stored later than this after its happening is no demand."""


def fold(state: State, message: RecordedMessage) -> None:
    """Advance *state* past *message*, which must be the next one or a later one.

    Each event is folded once, however often it was stored, within the last
    EVENT_IDS_REMEMBERED ids.
    """
    for _ in fold_steps(state, message):
        pass


def fold_steps(state: State, message: RecordedMessage) -> Iterator[None]:
    """Do what ``fold`` does, and yield after each event: nobody may ask until the end.

    For a state that is made beside the one that answers, and lets others in meanwhile.
    """
    assert message.sequence > state.sequence, "the log goes forward only"
    state.indexes.changes.begin(state.sequence, message.sequence)
    state.indexes.decisions.changes.begin(state.sequence, message.sequence)
    for item in message.items:
        if isinstance(item, SetAside):
            set_aside(state, item)
        else:
            _fold_recorded(state, item)
        yield
    write_kept(state)
    state.sequence = message.sequence
    state.store_time_ns = max(state.store_time_ns, message.store_time_ns)
    state.message_hash = message.message_hash


def _fold_recorded(state: State, item: Recorded) -> None:
    key = event_key(item.event)
    if state.event_ids.find(key) != ABSENT:
        state.add_count("duplicate")
        return
    state.event_ids.add(key)
    fold_new(state, item)


def fold_new(state: State, item: Recorded) -> None:
    """Fold an event whose id is remembered by now, unless it cannot be believed."""
    reason = _objection(state, item)
    if reason:
        refused = SetAside(item.sequence, item.batch_index, item.store_time_ns, reason)
        set_aside(state, refused)
        return
    at = _at(state, item)
    state.add_count("folded")
    if at.late:
        state.add_count("late")
    known = len(state.regions)
    evolve(state, at, item.event.fact)
    note_mentioned(state, item.event, known)


def _objection(state: State, item: Recorded) -> str:
    if too_many_regions(state, item.event):
        return "REGION_LIMIT"
    if contradicts(state, item.event.fact):
        return "CONTENT_CONTRADICTED"
    return ""


def _at(state: State, item: Recorded) -> At:
    age_ns = item.store_time_ns - item.time_ns
    # A log's clock may step back; the order of what it stores does not.
    stored_ns = max(item.store_time_ns + item.batch_index, state.latest_order_ns + 1)
    state.latest_order_ns = stored_ns
    order_ns = min(stored_ns, item.time_ns + FRESH_NS)
    return At(
        item.event,
        state.region_row(item.event.region),
        item.sequence,
        item.time_ns,
        order_ns,
        late=age_ns > LATE_NS,
    )


def set_aside(state: State, item: SetAside) -> None:
    """Count what cannot be folded and remember where it is, the newest 10,000."""
    state.add_count("set_aside")
    key = f"{item.sequence}\0{item.batch_index}\0{item.reason}".encode()
    row = state.set_aside.find_or_add(key)
    state.set_aside.set(row, 0, item.store_time_ns)


SteeringFact = (
    ReplicationRequested
    | ReplicationPlanned
    | ReplicationWithheld
    | ReplicationStarted
    | ReplicationCompleted
    | ReplicationFailed
    | ReplicationCancelled
    | ReplicationExpired
    | EvictionPlanned
    | EvictionCancelled
    | RegionChanged
    | ReplicationPaused
    | ReplicationResumed
    | ContentPinned
    | ContentUnpinned
    | PolicyChanged
    | TickPassed
    | EventQuarantined
)
"""Facts about decisions and operations, in contrast to content and use."""


def evolve(state: State, at: At, fact: Fact) -> None:  # noqa: C901, PLR0912 - a table
    """Let one fact change what it is about, and nothing else."""
    match fact:
        case ContentPushed():
            presence.content_pushed(state, at, fact)
            due.content_pushed(state, at, fact)
            learning.content_pushed(state, at, fact)
        case ContentPulled():
            pull = demand.content_pulled(state, at, fact)
            learning.content_pulled(state, at, fact, pull)
        case TagMoved():
            presence.tag_moved(state, at, fact)
            learning.tag_moved(state, at, fact)
        case StartsRequested():
            requests.starts_requested(state, at, fact)
        case MachineStarted():
            run = demand.machine_started(state, at, fact)
            payoff.machine_started(state, at, fact, run)
            learning.machine_started(state, at, run.start, fact.tag)
        case MachineStopped():
            demand.machine_stopped(state, at, fact)
        case MachinesCounted():
            demand.machines_counted(state, at, fact)
        case AppWithdrawn():
            demand.app_withdrawn(state, at, fact)
        case InventoryTaken():
            presence.inventory_taken(state, at, fact)
        case TransferMeasured():
            transfers.transfer_measured(state, at, fact)
        case ContentAnnounced():
            presence.content_announced(state, at, fact)
        case ContentReplicated():
            presence.content_replicated(state, at, fact)
        case ContentEvicted():
            presence.content_evicted(state, at, fact)
            progress.content_evicted(state, at, fact)
        case OwnershipDeclared():
            presence.ownership_declared(state, at, fact)
        case _:
            _steer(state, at, fact)


def _steer(state: State, at: At, fact: SteeringFact) -> None:  # noqa: C901, PLR0912 - a table
    match fact:
        case ReplicationRequested():
            requests.replication_requested(state, at, fact)
        case ReplicationPlanned():
            decisions.replication_planned(state, at, fact)
        case ReplicationWithheld():
            decisions.replication_withheld(state, at, fact)
        case ReplicationStarted():
            progress.replication_started(state, at, fact)
        case ReplicationCompleted():
            progress.replication_completed(state, at, fact)
        case ReplicationFailed() | ReplicationCancelled() | ReplicationExpired():
            progress.replication_ended(state, at, fact)
        case EvictionPlanned():
            decisions.eviction_planned(state, at, fact)
        case EvictionCancelled():
            progress.eviction_cancelled(state, at, fact)
        case RegionChanged():
            orders.region_changed(state, at, fact)
        case ReplicationPaused() | ReplicationResumed():
            orders.replication_held(state, at, fact)
        case ContentPinned() | ContentUnpinned():
            orders.content_held(state, at, fact)
        case PolicyChanged():
            orders.policy_changed(state, at, fact)
        case TickPassed():
            due.tick_passed(state, at, fact.tick_number)
        case EventQuarantined():
            orders.event_quarantined(state, at, fact)
        case _:
            assert_never(fact)
