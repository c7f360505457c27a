"""Which starts are asked about when something becomes due: the trials to bet on."""

from collections.abc import Sequence
from typing import Final

from placement.core.betting import open_trials
from placement.core.deciding.desk import Desk
from placement.core.decisions import decisions_of
from placement.core.due import due_trials, upcoming_requests
from placement.core.event import ReplicationTrigger
from placement.core.forecast import Trial
from placement.core.oci import ContentKind
from placement.core.tables import cells
from placement.core.tables.agenda import Due
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.keys import version_key
from placement.core.tables.table import ABSENT, Row
from placement.core.upcoming import upcoming_trials

HOUR_NS: Final = 3_600 * 10**9
UPLOAD_NS: Final = HOUR_NS
"""A layer whose manifest has not come for so long is not copied ahead of it."""
RECENT_NS: Final = HOUR_NS
"""What was pushed within so long is looked at again, in case it was missed."""

_TRY_AGAIN: Final = frozenset(
    {DecisionStatus.FAILED, DecisionStatus.EXPIRED, DecisionStatus.DEFERRED}
)
_GRAPH: Final = frozenset({ContentKind.MANIFEST, ContentKind.INDEX})


def trials_of(desk: Desk, due: Due) -> Sequence[Trial]:
    """Return the trials to bet on; starts that are as good as certain come with them.

    Forecasts are asked when something new is known. A regular look asks them only of
    what is recent, and of what was decided before and came to nothing.
    """
    state = desk.state
    if state.kind(state.content_of(due.placement)) not in _GRAPH:
        return _of_upload(desk, due.placement)
    found = due_trials(state, due.placement, desk.now_ns)
    if not _is_news(desk, due) and not (
        _recent(desk, due.placement) or _failed(desk, due.placement)
    ):
        return found
    return open_trials(state, due.placement) + found


def _is_news(desk: Desk, due: Due) -> bool:
    """Say whether something happened just now; a log read again tells old news."""
    if due.trigger is ReplicationTrigger.SWEEP:
        return False
    return not due.time_ns or due.time_ns > desk.now_ns - RECENT_NS


def _of_upload(desk: Desk, placement: Row) -> Sequence[Trial]:
    """Return what is asked of a layer: all of the version that it foretells."""
    state = desk.state
    repository, _ = state.placement_at(placement)
    owner = state.find_repository(repository)
    arrived_ns = max(
        (r.create_time_ns for r in state.replicas_of(placement)), default=0
    )
    waits = placement in state.indexes.agenda.uploads_of(owner)
    if not waits or arrived_ns < desk.now_ns - UPLOAD_NS:
        return []
    foretold = upcoming_trials(state, repository, desk.now_ns)
    requested = upcoming_requests(state, state.app_of(owner), desk.now_ns)
    certain = {trial.region for trial in requested}
    return [trial for trial in foretold if trial.region not in certain] + requested


def _recent(desk: Desk, placement: Row) -> bool:
    state = desk.state
    row = state.versions.find(version_key(placement))
    if row == ABSENT:
        return False
    return state.versions.get(row, cells.Version.ORDER) > desk.now_ns - RECENT_NS


def _failed(desk: Desk, placement: Row) -> bool:
    """Say whether a copy of it that was decided came to nothing."""
    decided = decisions_of(desk.state, placement)
    return any(decision.status in _TRY_AGAIN for decision in decided)
