"""The control group: which foreseen copies are withheld, to measure what copies save.

By a hash of the app, the version and the target, so that all that is decided about one
version in one region falls on the same side: its layers, and what later signs would
have decided again; and so that every replica draws the same lot.
"""

from hashlib import blake2b
from typing import Final

from placement.core.deciding.desk import Desk
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, version_key
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

_LOTS: Final = 2**32


def in_control_group(desk: Desk, placement: Row, target: Region) -> bool:
    """Say whether the copy of a placement into *target* is to be withheld."""
    fraction = desk.guardrails.control_fraction
    return fraction > 0 and _lot(_unit(desk, placement), target) < fraction


def _unit(desk: Desk, placement: Row) -> str:
    """Return what the draw is about: a version of an app, the next one for a layer."""
    state = desk.state
    owner, _ = PAIR.unpack(state.placements.key(placement))
    app = state.app_of(Row(owner))
    row = state.versions.find(version_key(placement))
    if app == ABSENT:
        return state.repository_at(Row(owner))
    if row == ABSENT:
        number = state.apps.get(app, cells.App.PUSHES) + 1
    else:
        number = state.versions.get(row, cells.Version.NUMBER)
    return "\0".join((*state.app_name(app), str(number)))


def _lot(unit: str, target: Region) -> float:
    """Return a number from 0 to 1 that is the same for ever, and evenly spread."""
    drawn = blake2b(f"{unit}\0{target}".encode(), digest_size=4).digest()
    return int.from_bytes(drawn) / _LOTS
