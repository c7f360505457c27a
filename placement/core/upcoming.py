"""What the first new layer of a repository foretells: a version that is on its way.

Registries announce each layer before the manifest, so copies may travel while the
pusher still uploads. Nothing is known of the version but its app; its tag is presumed
to be of the newest version's shape. If its manifest never comes, what was copied is
garbage that nobody refers to.
"""

from placement.core.folds.versions import classes_of, live_regions, what_starts
from placement.core.forecast import UNKNOWN_SHAPE, Trial
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import version_key
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import ABSENT, Row


def upcoming_trials(state: State, repository: Repository, now_ns: int) -> list[Trial]:
    """Return what is asked of the repository's next version, as if it were pushed now.

    By start region; empty where no event has said which app the repository is of.
    """
    owner = state.find_repository(repository)
    app = ABSENT if owner == ABSENT else state.app_of(owner)
    if app == ABSENT:
        return []
    shape = _shape(state, app)
    known, elsewhere = classes_of(state, app, what_starts(state))
    return [
        Trial(app, region, Trigger.PUSH, shape, known.get(region, elsewhere))
        for region in live_regions(state, now_ns)
    ]


def _shape(state: State, app: Row) -> Row:
    newest = state.apps.get(app, cells.App.NEWEST)
    if not newest:
        return UNKNOWN_SHAPE
    version = state.versions.find(version_key(Row(newest - 1)))
    return Row(state.versions.get(version, cells.Version.SHAPE))
