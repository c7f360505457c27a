"""What came of every decision by now, as rows: judged as reports and answers judge it.

A decision's figures are final once its window is over: a start counts for it within 30
days of it, and is told within a day. Until then every version tells it anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from placement.core.decisions import DecisionRecord, decision_at
from placement.core.event import FailureCause, ReplicationTrigger, WithholdReason
from placement.core.fold import LATE_NS
from placement.core.folds.payoff import OUTCOME_NS
from placement.core.payoff import outcome_of
from placement.core.reporting.outcomes import Use
from placement.core.reporting.report import app_key, judged_copy
from placement.core.reporting.tally import Judged
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.export.event_rows import micros, word

WINDOW_NS: Final = OUTCOME_NS + LATE_NS
MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Version:
    """One telling of outcomes: its number, and what it rests on."""

    number: int
    epoch: int
    sequence: int
    time_ns: int
    """The log's time then; nothing is told of what was final before *after_ns*."""
    after_ns: int = 0

    def tells(self, time_ns: int) -> bool:
        """Say whether a decision of that time is told: it was not final before."""
        return time_ns + WINDOW_NS >= self.after_ns

    def is_final(self, time_ns: int) -> bool:
        """Say whether the window of a decision of that time is over."""
        return time_ns + WINDOW_NS < self.time_ns


def outcome_rows(state: State, version: Version) -> Iterator[dict[str, Any]]:
    """Yield the outcome of every decision that is remembered and not told for good."""
    for number in range(len(state.decisions)):
        record = decision_at(state, Row(number))
        if version.tells(record.time_ns):
            yield _row(state, record, version)


def _row(state: State, record: DecisionRecord, version: Version) -> dict[str, Any]:
    repository, digest = state.placement_at(record.placement)
    owner, _ = PAIR.unpack(state.placements.key(record.placement))
    app = state.app_of(Row(owner))
    organization, name = ("", "") if app == ABSENT else state.app_name(app)
    outcome = outcome_of(state, record, version.time_ns)
    row = {
        "epoch": version.epoch,
        "version": version.number,
        "as_of_sequence": version.sequence,
        "as_of_time": micros(version.time_ns),
        "final": version.is_final(record.time_ns),
        "replication_id": record.replication_id,
        "sequence": record.sequence,
        "time": micros(record.time_ns),
        "repository": repository,
        "digest": digest,
        "organization": organization or None,
        "app": name or None,
        "app_key": app_key(organization, name),
        "source_region": record.source,
        "target_region": record.target,
        "start_regions": list(record.start_regions),
        "kind": "removal" if record.removal else "copy",
        "reason": record.reason or None,
        "policy": record.policy or None,
        "probability": record.probability_millionths / MILLION,
        "status": word(record.status),
        "cause": _cause(record),
        "payoff": word(outcome.payoff),
        "transfer_bytes": record.transfer_bytes,
        "moved_bytes": record.moved_bytes,
        "took_ns": record.took_ns,
        "expected_ns": record.expected_ns,
        "complete_time": micros(record.complete_ns),
        "first_start_time": micros(record.used_ns),
        "start_count": record.start_count,
        "waited_count": record.waited_count,
        "wait_ns": record.wait_ns,
        "saved_duration_ns": record.saved_ns,
        "modelled_saving_ns": 0,
        "observed": False,
        "counted": False,
    }
    if record.removal:
        return row
    row["trigger"] = word(ReplicationTrigger(record.kind))
    judged = judged_copy(state, record, version.time_ns)
    return row if judged is None else row | _judged_row(judged)


def _judged_row(judged: Judged) -> dict[str, Any]:
    """Return what a report counts of a copy."""
    copy, pair = judged.copy, judged.pair
    used = judged.use is Use.USED
    row: dict[str, Any] = {
        "counted": True,
        "observed": judged.observed,
        "use": None if judged.use is None else word(judged.use),
        "kept_until_time": micros(judged.kept_until_ns),
        "modelled_saving_ns": copy.start_count * copy.saved_ns if used else 0,
    }
    if pair is not None:
        told = pair.told
        unreported = told.start_count and not told.waited_count
        row["arm"] = word(pair.arm)
        row["pair_wait_ns"] = None if unreported else told.wait_ns
        row["pair_open"] = judged.is_open
    return row


def _cause(record: DecisionRecord) -> str | None:
    if record.status is DecisionStatus.FAILED:
        return word(FailureCause(record.cause))
    if record.status in {DecisionStatus.WITHHELD, DecisionStatus.DEFERRED}:
        return word(WithholdReason(record.cause))
    return None
