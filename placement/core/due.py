"""What is as good as certain: starts that somebody asked for, or that happen already.

Nothing is learned here: who asks for starts means them, and what runs in a region that
does not hold it starts there again.
"""

from typing import Final

from placement.core.counts import DAY_NS
from placement.core.folds.versions import has_started, images_of
from placement.core.forecast import UNKNOWN_SHAPE, Trial
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import StartClass
from placement.core.tables.keys import PAIR, version_key
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import ABSENT, Row

REQUEST_NS: Final = DAY_NS
"""A request that nothing came of in so long is forgotten."""
RUNNING_NS: Final = 7 * DAY_NS
"""What was used within so long is used again, whether or not it runs just now."""


def due_trials(state: State, placement: Row, now_ns: int) -> list[Trial]:
    """Return a trial for each region where the image's starts are as good as certain.

    By region. They have no outcomes: a policy presumes their chance.
    """
    owner, _ = PAIR.unpack(state.placements.key(placement))
    app = state.app_of(Row(owner))
    if app == ABSENT:
        return []
    found = {
        region: Trial(app, region, Trigger.PUSH, UNKNOWN_SHAPE, StartClass.REQUESTED)
        for region in _requested(state, app, placement, now_ns)
    }
    for region in _running(state, placement, now_ns):
        known = StartClass.RUNNING
        found.setdefault(region, Trial(app, region, Trigger.PUSH, UNKNOWN_SHAPE, known))
    return [found[region] for region in sorted(found)]


def upcoming_requests(state: State, app: Row, now_ns: int) -> list[Trial]:
    """Return a trial for each region where starts of the app's next version are due.

    By region. *app* may be ABSENT: nothing was ever asked of it.
    """
    found = []
    for region in [] if app == ABSENT else sorted(state.indexes.members_of(app)):
        member = state.memberships.values(
            state.memberships.find(PAIR.pack(app, region))
        )
        asked_ns = member[cells.Membership.LAST_REQUEST]
        if asked_ns > max(member[cells.Membership.LAST_START], now_ns - REQUEST_NS):
            known = StartClass.REQUESTED
            found.append(Trial(app, region, Trigger.PUSH, UNKNOWN_SHAPE, known))
    return found


def _requested(state: State, app: Row, placement: Row, now_ns: int) -> list[Row]:
    """Return where starts of the image were asked for and have not come yet.

    Of this very image; or of the app, before the image was pushed that is its newest.
    """
    asked = (
        (region, state.awaited.get(state.awaited.find(PAIR.pack(placement, region)), 0))
        for region in state.indexes.awaited_of(placement)
    )
    found = [
        region
        for region, asked_ns in asked
        if asked_ns > now_ns - REQUEST_NS
        and _last_use_ns(state, placement, region) < asked_ns
    ]
    version = state.versions.find(version_key(placement))
    newest = state.apps.get(app, cells.App.NEWEST) == placement + 1
    if version == ABSENT or not newest:
        return found
    pushed_ns = state.versions.get(version, cells.Version.ORDER)
    for region in state.indexes.members_of(app):
        member = state.memberships.values(
            state.memberships.find(PAIR.pack(app, region))
        )
        asked_ns = member[cells.Membership.LAST_REQUEST]
        due = asked_ns > max(member[cells.Membership.LAST_START], now_ns - REQUEST_NS)
        due = due and asked_ns <= pushed_ns and region not in found
        if due and not has_started(state, placement, region):
            found.append(region)
    return found


def _last_use_ns(state: State, placement: Row, region: Row) -> int:
    """Return when the image, or a platform of it, was last used in a region."""
    rows = (
        state.uses.find(PAIR.pack(image, region))
        for image in images_of(state, placement)
    )
    used = (state.uses.get(row, cells.Use.LAST_TIME) for row in rows if row != ABSENT)
    return max(used, default=0)


def _running(state: State, placement: Row, now_ns: int) -> list[Row]:
    found = []
    for region in state.indexes.users_of(placement):
        use = state.uses.values(state.uses.find(PAIR.pack(placement, region)))
        recent = use[cells.Use.LAST_TIME] > max(0, now_ns - RUNNING_NS)
        if use[cells.Use.RUNNING] > 0 or recent:
            found.append(region)
    return found
