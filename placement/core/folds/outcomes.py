"""Under which keys an outcome is kept: from what is particular to what is general."""

from typing import Final

from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.outcomes import OUTCOME_KEY, Trigger
from placement.core.tables.table import ABSENT, Row, Table

ANYWHERE: Final = 0
"""In place of a region: where the app has never been, its regions are one."""
STRANGERS: Final = frozenset({StartClass.YOUNG, StartClass.SECOND, StartClass.OTHER})
"""The app has started elsewhere and never in this region."""


class SharedKeys:
    """Sees to it that one outcome counts once, however many triggers share a key."""

    def __init__(self) -> None:
        """Begin without any."""
        self._seen: set[tuple[str, bytes]] = set()

    def first(self, table: Table, key: bytes) -> bool:
        """Say whether *key* of *table* was not given before."""
        named = (table.name, key)
        new = named not in self._seen
        self._seen.add(named)
        return new


def outcome_keys(  # noqa: PLR0913, PLR0917 - what a key is made of
    state: State, app: Row, region: Row, trigger: int, shape: Row, known: StartClass
) -> list[tuple[Table, bytes]]:
    """Return each (table, key) of an outcome, the most general first.

    All organizations with all regions, and first starts anywhere as one trigger; the
    organization in the region; the app after a first start anywhere; the app after this
    very trigger. The organization's row is added if it is new.
    """
    organization = state.apps.key(app).partition(b"\0")[0]
    owner = state.organizations.find_or_add(organization)
    pooled = pooled_keys(owner, region, trigger, shape, known)
    particular = app_keys(app, region, trigger, shape, known)
    return [
        *((state.pooled_outcomes, key) for key in pooled),
        *((state.app_outcomes, key) for key in particular),
    ]


def pooled_keys(
    owner: Row, region: Row, trigger: int, shape: Row, known: StartClass
) -> tuple[bytes, bytes]:
    """Return the keys of all organizations, and of the one whose row is *owner*."""
    general = min(trigger, Trigger.ANY_START)
    return (
        OUTCOME_KEY.pack(0, ANYWHERE, general, shape, known),
        OUTCOME_KEY.pack(owner + 1, region + 1, trigger, shape, known),
    )


def app_keys(
    app: Row, region: Row, trigger: int, shape: Row, known: StartClass
) -> tuple[bytes, ...]:
    """Return the keys of an app: after any first start, and after this trigger."""
    where = ANYWHERE if known in STRANGERS else region + 1
    own = OUTCOME_KEY.pack(app, where, trigger, shape, known)
    if trigger == Trigger.PUSH:
        return (own,)
    return (OUTCOME_KEY.pack(app, where, Trigger.ANY_START, shape, known), own)


def find_owner(state: State, app: Row) -> Row:
    """Return the row of the app's organization, or ABSENT."""
    if app == ABSENT:
        return ABSENT
    return state.organizations.find(state.apps.key(app).partition(b"\0")[0])
