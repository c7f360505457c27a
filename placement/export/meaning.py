"""What an event meant, as rows of the tables, by the state right after it was folded."""

from collections.abc import Iterator
from typing import Any, Final

from placement.core.event import (
    ContentPulled,
    Event,
    EvictionPlanned,
    MachineStarted,
    OwnershipDeclared,
    Recorded,
    ReplicationPlanned,
    ReplicationWithheld,
    SetAside,
)
from placement.core.fold import FRESH_NS, LATE_NS
from placement.core.folds.demand import NO_DEMAND
from placement.core.folds.payoff import start_outcome
from placement.core.folds.presence import At, default_app
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from placement.export.event_rows import fact_of, fact_row, micros, word

Told = tuple[str, dict[str, Any]]
"""A table's name, and a row of it."""
FOLDED: Final = "folded"
DUPLICATE: Final = "duplicate"
SET_ASIDE: Final = "set_aside"
OWNERS_KEPT: Final = 2**16
_FOLD_REASONS: Final = ("REGION_LIMIT", "CONTENT_CONTRADICTED")
"""Why an event that can be read is set aside by the fold."""
_SHARED: Final = ("epoch", "sequence", "batch_index", "store_time", "time", "late")
_OWNED: Final = ("organization", "app", "event_id")
_PULLED: Final = (
    *("digest", "repository", "tag", "client_kind", "media_type", "size_bytes"),
    *("transferred_bytes", "pull_duration_ns"),
)
_STARTED: Final = (
    *("digest", "repository", "machine_id", "tag", "platform", "request_time"),
    *("image_wait_ns", "source_region", "transferred_bytes", "cache", "cause"),
    *("expected_wait_p50_ns", "expected_wait_p90_ns", "region"),
)
_DECIDED: Final = (
    *("replication_id", "cause", "repository", "digest", "source_region"),
    *("target_region", "start_regions", "trigger", "trigger_sequence", "reason"),
    *("explanation", "policy", "request_id", "probability", "transfer_bytes"),
    *("expected_duration_ns", "saved_duration_ns", "priority", "expire_time"),
    "factors",
)
_PULL_COLUMNS: Final = (*_SHARED, *_OWNED, *_PULLED)
_START_COLUMNS: Final = (*_SHARED, *_OWNED, *_STARTED)
_DECISION_COLUMNS: Final = (*_SHARED[:5], *_OWNED[:2], *_DECIDED)


class Meanings:
    """Makes rows of events that were folded into a state."""

    def __init__(self, state: State, epoch: int) -> None:
        """Read *state*, of the log that the manifest numbers *epoch*."""
        self._state = state
        self._epoch = epoch
        self._owners: dict[str, tuple[str, str]] = {}
        """By repository, as long as no event says otherwise."""

    def unread(self, item: SetAside, region: Region | None) -> Told:
        """Return the row of what cannot be read, of a message for *region*."""
        time = micros(item.store_time_ns)
        return "events", {
            "epoch": self._epoch,
            "sequence": item.sequence,
            "batch_index": item.batch_index,
            "status": SET_ASIDE,
            "set_aside_reason": item.reason,
            "region": region,
            "time": time,
            "store_time": time,
            "late": False,
        }

    def rows(self, item: Recorded, status: str, *, refused: bool) -> Iterator[Told]:
        """Yield the rows of an event; *refused*: a decision that changed nothing."""
        row = self._event_row(item, status)
        meant = (
            self._meant(item, row, accepted=not refused) if status == FOLDED else None
        )
        yield "events", row
        if meant is not None:
            yield meant

    def _meant(
        self, item: Recorded, row: dict[str, Any], *, accepted: bool
    ) -> Told | None:
        """Return what an event is in a table of its own, by its *row* of all events."""
        event = item.event
        match event.fact:
            case ContentPulled() as fact:
                return "pulls", self._pull_row(item, fact, row)
            case MachineStarted() as fact:
                return "starts", self._start_row(item, fact, row)
            case ReplicationPlanned() | ReplicationWithheld() | EvictionPlanned():
                return "decisions", _decision_row(event, row, accepted=accepted)
            case _:
                return None

    def is_set_aside(self, item: Recorded) -> bool:
        """Say whether the fold set an event aside that can be read."""
        return bool(self._fold_reason(item))

    def _fold_reason(self, item: Recorded) -> str:
        for reason in _FOLD_REASONS:
            key = f"{item.sequence}\0{item.batch_index}\0{reason}".encode()
            if self._state.set_aside.find(key) != ABSENT:
                return reason
        return ""

    def _event_row(self, item: Recorded, status: str) -> dict[str, Any]:
        event = item.event
        row: dict[str, Any] = {
            "epoch": self._epoch,
            "sequence": item.sequence,
            "batch_index": item.batch_index,
            "event_id": event.event_id,
            "fact": fact_of(event),
            "status": status,
            "region": event.region,
            "time": micros(item.time_ns),
            "store_time": micros(item.store_time_ns),
            "late": is_late(item),
            "publisher": event.publisher or None,
        }
        row |= fact_row(event.fact)
        organization, app = self._owner(event, row.get("repository"))
        row["organization"], row["app"] = organization or None, app or None
        if status == SET_ASIDE:
            row["set_aside_reason"] = self._fold_reason(item)
        return row

    def _owner(self, event: Event, repository: str | None) -> tuple[str, str]:
        """Return the organization and app that an event counts for."""
        names = event.organization or event.app
        if names or type(event.fact) is OwnershipDeclared:
            self._owners.clear()
        if repository is None:
            return event.organization, event.app
        known = self._owners.get(repository)
        if known is None:
            row = self._state.find_repository(Repository(repository))
            app = ABSENT if row == ABSENT else self._state.app_of(row)
            known = default_app(repository)
            if app != ABSENT:
                known = self._state.app_name(app)
                if len(self._owners) == OWNERS_KEPT:
                    self._owners.clear()
                self._owners[repository] = known
        if not names:
            return known
        return event.organization or known[0], event.app or known[1]

    def _pull_row(
        self, item: Recorded, fact: ContentPulled, event: dict[str, Any]
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            name: event[name] for name in _PULL_COLUMNS if name in event
        }
        own = item.event.region
        row["registry_region"] = own
        row["region"] = fact.client_region or own
        row["source_region"] = fact.source_region or own
        row["demand"] = not row["late"] and fact.client_kind not in NO_DEMAND
        return row

    def _start_row(
        self, item: Recorded, fact: MachineStarted, event: dict[str, Any]
    ) -> dict[str, Any]:
        state = self._state
        row: dict[str, Any] = {
            name: event[name] for name in _START_COLUMNS if name in event
        }
        region = state.regions.find(item.event.region.encode())
        # What was decided at the same time or later tells nothing of a start, and the
        # log's time of this event is the latest that may have been decided.
        order_ns = min(state.latest_order_ns, item.time_ns + FRESH_NS)
        late = bool(row["late"])
        at = At(
            item.event, Row(region), item.sequence, item.time_ns, order_ns, late=late
        )
        placement = state.find_placement(fact.repository, fact.digest)
        outcome, decision = start_outcome(state, at, fact, placement)
        row["outcome"] = word(outcome)
        if decision != ABSENT:
            row["replication_id"] = state.decisions.key(decision).decode()
        return row


def _decision_row(
    event: Event, told: dict[str, Any], *, accepted: bool
) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: told[name] for name in _DECISION_COLUMNS if name in told
    }
    row["accepted"] = accepted
    match event.fact:
        case EvictionPlanned() as fact:
            row["replication_id"] = fact.eviction_id
            row["transfer_bytes"] = fact.reclaimed_bytes
            row["decision"] = "removal"
        case ReplicationWithheld():
            row["decision"] = "withheld"
        case _:
            row["decision"] = "planned"
    return row


def is_late(item: Recorded) -> bool:
    """Say whether an event was stored so late that it is no demand."""
    return item.store_time_ns - item.time_ns > LATE_NS
