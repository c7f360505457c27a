"""What is as good as certain: starts that somebody asked for, or that happen already.

Nothing is learned here: who asks for starts means them, and what runs in a region that
does not hold it starts there again.
"""

from typing import Final

from placement.core.counts import DAY_NS
from placement.core.folds.versions import has_started
from placement.core.forecast import UNKNOWN_SHAPE, Trial
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import StartClass
from placement.core.tables.keys import PAIR
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


def _requested(state: State, app: Row, placement: Row, now_ns: int) -> list[Row]:
    """Return where starts of the app are due, if *placement* is its newest version.

    A request names an app, and means what is current when it is made.
    """
    if state.apps.get(app, cells.App.NEWEST) != placement + 1:
        return []
    found = []
    for region in state.indexes.members_of(app):
        member = state.memberships.values(
            state.memberships.find(PAIR.pack(app, region))
        )
        asked_ns = member[cells.Membership.LAST_REQUEST]
        due = asked_ns > max(member[cells.Membership.LAST_START], now_ns - REQUEST_NS)
        if due and not has_started(state, placement, region):
            found.append(region)
    return found


def _running(state: State, placement: Row, now_ns: int) -> list[Row]:
    found = []
    for region in state.indexes.users_of(placement):
        use = state.uses.values(state.uses.find(PAIR.pack(placement, region)))
        recent = use[cells.Use.LAST_TIME] > max(0, now_ns - RUNNING_NS)
        if use[cells.Use.RUNNING] > 0 or recent:
            found.append(region)
    return found
