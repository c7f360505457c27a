"""Messages of the log, folded one event after another, as rows of the tables.

What an event meant is read from the state right after it is folded: so a start has the
outcome that the service counted it with, and a pull the app that it counted for.
"""

from collections.abc import Iterator
from typing import Any, Final

from placement.core.event import (
    ContentPulled,
    Event,
    EvictionPlanned,
    MachineStarted,
    Recorded,
    RecordedMessage,
    ReplicationPlanned,
    ReplicationWithheld,
    SetAside,
)
from placement.core.fold import FRESH_NS, LATE_NS, fold_steps
from placement.core.folds.demand import NO_DEMAND
from placement.core.folds.payoff import start_outcome
from placement.core.folds.presence import At, default_app
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from placement.export.event_rows import fact_of, fact_row, micros, word
from placement.export.known_bad import look_at
from placement.runtime.quarantine import FoldFailedError

Told = tuple[str, dict[str, Any]]
"""A table's name, and a row of it."""
FOLDED: Final = "folded"
DUPLICATE: Final = "duplicate"
SET_ASIDE: Final = "set_aside"
_FOLD_REASONS: Final = ("REGION_LIMIT", "CONTENT_CONTRADICTED")
"""Why an event that can be read is set aside by the fold."""
_PULLED: Final = (
    *("digest", "repository", "tag", "client_kind", "media_type", "size_bytes"),
    *("transferred_bytes", "pull_duration_ns"),
)
_STARTED: Final = (
    *("digest", "repository", "machine_id", "tag", "platform", "request_time"),
    *("image_wait_ns", "source_region", "transferred_bytes", "cache", "cause"),
    *("expected_wait_p50_ns", "expected_wait_p90_ns"),
)
_DECIDED: Final = (
    *("replication_id", "cause", "repository", "digest", "source_region"),
    *("target_region", "start_regions", "trigger", "trigger_sequence", "reason"),
    *("explanation", "policy", "request_id", "probability", "transfer_bytes"),
    *("expected_duration_ns", "saved_duration_ns", "priority", "expire_time"),
    "factors",
)


class Teller:
    """Folds messages into a state, and tells what they meant."""

    def __init__(self, state: State, epoch: int) -> None:
        """Go on from *state*, of the log that the manifest numbers *epoch*."""
        self.state = state
        self._epoch = epoch
        self._counts = {
            name: self._count(name) for name in (FOLDED, DUPLICATE, "decision_refused")
        }

    def told(self, message: RecordedMessage, region: Region | None) -> Iterator[Told]:
        """Fold *message*, whose subject names *region*, and yield its rows.

        The state is past the message when the last row was taken. Raises
        FoldFailedError.
        """
        steps = self._steps(message)
        for item in message.items:
            read = isinstance(item, Recorded)
            look = look_at(self.state, item) if isinstance(item, Recorded) else None
            next(steps)
            refused = self._moved("decision_refused")
            status = self._status() if read else SET_ASIDE
            yield "events", self._event_row(item, status, region)
            if status != FOLDED or not isinstance(item, Recorded):
                continue
            yield from self._meanings(item, refused=refused)
            missed = look.missed(self._epoch) if look is not None else None
            if missed is not None:
                yield "intervals", missed
        for _ in steps:
            pass

    def _steps(self, message: RecordedMessage) -> Iterator[None]:
        try:
            yield from fold_steps(self.state, message)
        except Exception as error:
            raise FoldFailedError(message.sequence, error) from error

    def _status(self) -> str:
        if self._moved(FOLDED):
            return FOLDED
        return DUPLICATE if self._moved(DUPLICATE) else SET_ASIDE

    def _moved(self, name: str) -> bool:
        """Say whether a counter of the fold has moved since it was last asked for."""
        now = self._count(name)
        moved = now != self._counts[name]
        self._counts[name] = now
        return moved

    def _count(self, name: str) -> int:
        return self.state.count(name)

    def _place(self, item: Recorded | SetAside) -> dict[str, Any]:
        return {
            "epoch": self._epoch,
            "sequence": item.sequence,
            "batch_index": item.batch_index,
            "store_time": micros(item.store_time_ns),
        }

    def _event_row(
        self, item: Recorded | SetAside, status: str, region: Region | None
    ) -> dict[str, Any]:
        row = self._place(item)
        row["status"] = status
        if isinstance(item, SetAside):
            row |= {"region": region, "time": row["store_time"], "late": False}
            row["set_aside_reason"] = item.reason
            return row
        event = item.event
        row |= fact_row(event.fact)
        organization, app = self._owner(event, row.get("repository"))
        row |= {
            "event_id": event.event_id,
            "fact": fact_of(event),
            "region": event.region,
            "time": micros(item.time_ns),
            "late": is_late(item),
            "publisher": event.publisher or None,
            "organization": organization or None,
            "app": app or None,
        }
        if status == SET_ASIDE:
            row["set_aside_reason"] = self._fold_reason(item)
        return row

    def _fold_reason(self, item: Recorded) -> str:
        for reason in _FOLD_REASONS:
            key = f"{item.sequence}\0{item.batch_index}\0{reason}".encode()
            if self.state.set_aside.find(key) != ABSENT:
                return reason
        return "UNKNOWN"

    def _owner(self, event: Event, repository: str | None) -> tuple[str, str]:
        """Return the organization and app that an event counts for."""
        if repository is None:
            return event.organization, event.app
        row = self.state.find_repository(Repository(repository))
        app = ABSENT if row == ABSENT else self.state.app_of(row)
        known = default_app(repository) if app == ABSENT else self.state.app_name(app)
        return event.organization or known[0], event.app or known[1]

    # What an event meant, beyond itself.

    def _meanings(self, item: Recorded, *, refused: bool) -> Iterator[Told]:
        match item.event.fact:
            case ContentPulled() as fact:
                yield "pulls", self._pull_row(item, fact)
            case MachineStarted() as fact:
                yield "starts", self._start_row(item, fact)
            case ReplicationPlanned() | ReplicationWithheld() | EvictionPlanned():
                yield "decisions", self._decision_row(item, accepted=not refused)
            case _:
                pass

    def _common(self, item: Recorded, names: tuple[str, ...]) -> dict[str, Any]:
        said = fact_row(item.event.fact)
        row = self._place(item)
        row |= {name: said[name] for name in names if name in said}
        organization, app = self._owner(item.event, said["repository"])
        row["time"] = micros(item.time_ns)
        row |= {"organization": organization or None, "app": app or None}
        return row

    def _pull_row(self, item: Recorded, fact: ContentPulled) -> dict[str, Any]:
        row, own, late = self._common(item, _PULLED), item.event.region, is_late(item)
        return row | {
            "event_id": item.event.event_id,
            "late": late,
            "registry_region": own,
            "region": fact.client_region or own,
            "source_region": fact.source_region or own,
            "demand": not late and fact.client_kind not in NO_DEMAND,
        }

    def _start_row(self, item: Recorded, fact: MachineStarted) -> dict[str, Any]:
        state, event = self.state, item.event
        region = state.region_row(event.region)
        # As it was folded: the state has moved by this event alone since.
        order_ns = min(state.latest_order_ns, item.time_ns + FRESH_NS)
        late = is_late(item)
        at = At(event, region, item.sequence, item.time_ns, order_ns, late)
        placement = state.find_placement(fact.repository, fact.digest)
        outcome, decision = start_outcome(state, at, fact, placement)
        return self._common(item, _STARTED) | {
            "event_id": event.event_id,
            "late": late,
            "region": event.region,
            "outcome": word(outcome),
            "replication_id": self._decision_id(decision),
        }

    def _decision_id(self, row: Row) -> str | None:
        return None if row == ABSENT else self.state.decisions.key(row).decode()

    def _decision_row(self, item: Recorded, *, accepted: bool) -> dict[str, Any]:
        row, fact = self._common(item, _DECIDED), item.event.fact
        row["accepted"] = accepted
        match fact:
            case EvictionPlanned():
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
