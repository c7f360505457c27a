"""Why a machine's last start found its image in its region, or did not, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from placement.core.decisions import (
    DecisionRecord,
    decision_at,
    judging,
    sees_decision,
)
from placement.core.errors import PlacementError
from placement.core.folds.demand import machine_key
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import Machine, StartOutcome
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region


class MachineUnknownError(PlacementError):
    """No event that is remembered told of the machine."""

    reason = "MACHINE_UNKNOWN"

    def __init__(self, machine_id: str) -> None:
        """Keep it for the caller."""
        message = f"no start of machine {machine_id} is remembered"
        super().__init__(message, machine_id=machine_id)


@dataclass(frozen=True, slots=True)
class StartReason:
    """The last start of a machine and why it was as it was; nanoseconds.

    *outcome* is None for a start that only a count of what runs told of. *wait_ns* is
    None where the start did not say. *decision* is the one that tells why, by now.
    """

    machine_id: str
    repository: Repository
    digest: Digest
    region: Region
    start_ns: int
    running: bool
    outcome: StartOutcome | None
    wait_ns: int | None
    decision: DecisionRecord | None

    @property
    def explanation(self) -> str:
        """Return the same for people, in sentences."""
        return " ".join(filter(None, (_said(self), _told(self), _waited(self))))


def start_reason(state: State, machine_id: str) -> StartReason:
    """Return why the machine's last start was as it was.

    Raises MachineUnknownError for one whose start was never told, or is forgotten.
    """
    row = state.machines.find(machine_key(machine_id))
    if row == ABSENT or not state.machines.get(row, Machine.STARTED):
        raise MachineUnknownError(machine_id)
    placement, region, started, stopped, _, outcome, waited, _ = state.machines.values(
        row
    )
    if not state.sees_placement(Row(placement)):
        raise MachineUnknownError(machine_id)
    repository, digest = state.placement_at(Row(placement))
    decision = judging(state, row)
    return StartReason(
        machine_id,
        repository,
        digest,
        state.region_at(Row(region)),
        started,
        started > stopped,
        StartOutcome(outcome) if outcome else None,
        waited - 1 if waited else None,
        decision_at(state, decision) if sees_decision(state, decision) else None,
    )


_SAID: Final[Mapping[StartOutcome, str]] = {
    StartOutcome.LOCAL: "The image was in {region} when the machine started.",
    StartOutcome.UNKNOWN: "The report of the start does not say where the image was.",
    StartOutcome.NEVER_PREDICTED: (
        "The image was not in {region}, and no copy was ever decided for starts there: "
        "nothing foretold one."
    ),
    StartOutcome.PREDICTED_LATE: (
        "A copy for starts in {region} was decided, and was not complete when the "
        "machine asked for the image."
    ),
    StartOutcome.EVICTED: (
        "The image had been removed from the storage that serves {region}."
    ),
    StartOutcome.COPY_FAILED: "A copy for starts in {region} was decided and failed.",
    StartOutcome.COPY_EXPIRED: (
        "A copy for starts in {region} was decided, and nobody completed it in time."
    ),
    StartOutcome.COPY_UNUSED: (
        "A copy for starts in {region} was complete, and the machine fetched the image "
        "from elsewhere all the same."
    ),
    StartOutcome.CANCELLED: (
        "A copy for starts in {region} was decided and called off."
    ),
    StartOutcome.CONTROL_GROUP: (
        "A copy for starts in {region} was withheld by lot, to measure what copies "
        "save."
    ),
    StartOutcome.OBSERVE_ONLY: (
        "A copy for starts in {region} was withheld: the policy only observed."
    ),
    StartOutcome.OVER_BUDGET: (
        "A copy for starts in {region} was wanted, and a budget was spent."
    ),
    StartOutcome.SOURCE_UNHEALTHY: (
        "A copy for starts in {region} failed: its source could not be reached."
    ),
}


def _said(start: StartReason) -> str:
    if start.outcome is None:
        return "Only a count of what runs told of the machine: not how it started."
    return _SAID[start.outcome].format(region=start.region)


def _told(start: StartReason) -> str:
    """Return what the decision adds: when it was made, and by which rule."""
    found = start.decision
    if found is None:
        return ""
    what = "removal from" if found.removal else "copy into"
    age = _ago(start.start_ns - found.time_ns)
    rule = f" by {found.reason}" if found.reason else ""
    said = f"That {what} {found.target} was decided {age} before the start{rule}."
    words = _NEXT.get(start.outcome or StartOutcome.UNKNOWN)
    return f"{said} {words(start, found)}".rstrip() if words else said


def _completion(start: StartReason, found: DecisionRecord) -> str:
    if not found.complete_ns:
        return "It is not complete yet." if found.open else ""
    if found.complete_ns <= start.start_ns:
        return f"It was complete {_ago(start.start_ns - found.complete_ns)} before."
    return f"It was complete {_ago(found.complete_ns - start.start_ns)} after."


_NEXT: Final[Mapping[StartOutcome, Callable[[StartReason, DecisionRecord], str]]] = {
    StartOutcome.PREDICTED_LATE: _completion,
    StartOutcome.COPY_UNUSED: _completion,
}


def _waited(start: StartReason) -> str:
    if start.wait_ns is None:
        return ""
    return f"The machine waited {start.wait_ns / 1e9:.2f} s for its image."


def _ago(duration_ns: int) -> str:
    """Return a duration for people: its two greatest units."""
    seconds = max(0, duration_ns) / 1e9
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 120:  # noqa: PLR2004 - two hours
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    return f"{hours} h" if days < 2 else f"{days} days"  # noqa: PLR2004 - two days
