"""When a new line may take the place of the one that answers.

A line that folds the *same* log again (another fold version, a message that was put in
quarantine) may once it is as far as the shown one: then no answer goes back. A line on
a log that was *rewound* may once it has caught up: all that is left is in it. One on a
log that was *replaced* begins with nothing, so it may once each region that stores
content in the old state was inventoried in the new log, completely; an operator who
does not want to wait restarts the service.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from placement.ports import READ_BATCH_MESSAGES_MAX
from placement.runtime.line import Line
from placement.runtime.slices import let_others_in

READ_SECONDS: Final = 0.001
"""Reading a state that is frozen lets others in after so long."""
NAMED_MAX: Final = 5
REBUILD: Final = "rebuild"
"""Who holds a shown line back until the one beside it is as far."""
HOLD_MESSAGES_MAX: Final = 2 * READ_BATCH_MESSAGES_MAX


async def storing_regions(state: State) -> frozenset[Region]:
    """Return the regions that hold any content, or are about to, in a frozen state."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + READ_SECONDS
    found: set[Row] = set()
    for key, _ in state.replicas.rows():
        placement, number = PAIR.unpack(key)
        region = Row(number)
        if region not in found and (
            state.phase(Row(placement), region) is not ReplicaPhase.ABSENT
        ):
            found.add(region)
        if loop.time() > ends:
            await let_others_in()
            ends = loop.time() + READ_SECONDS
    return frozenset(state.region_at(region) for region in found)


def not_inventoried(state: State, regions: Collection[Region]) -> list[Region]:
    """Return those of *regions* of which *state* holds no complete inventory."""
    return sorted(region for region in regions if not _inventoried(state, region))


def _inventoried(state: State, region: Region) -> bool:
    row = state.regions.find(region.encode())
    if row == ABSENT:
        return False
    return state.regions.get(row, cells.Region.INVENTORY_TIME) > 0


def awaiting(regions: list[Region]) -> str:
    """Return what to tell people while a new log waits for *regions*."""
    named = ", ".join(regions[:NAMED_MAX])
    more = f" and {len(regions) - NAMED_MAX} more" if len(regions) > NAMED_MAX else ""
    return (
        f"answers are from the old log until inventories of {named}{more} are in the"
        " new one; restart the service to begin from the new log at once"
    )


class Rebuild:
    """A second line, why there is one, and what it waits for."""

    def __init__(
        self,
        line: Line,
        why: str,
        *,
        broken: bool,
        inventories: bool,
    ) -> None:
        """Let *line* take over; *broken* says that the shown line stands still.

        *inventories*: all that the shown line stores must be inventoried before.
        """
        self.line = line
        self.why = why
        self.broken = broken
        self.inventories = inventories
        self.regions: frozenset[Region] | None = None if inventories else frozenset()
        """Which regions must be; None: they are not known yet."""
        self.target: tuple[int, int] | None = None
        """When the log was asked, and where it ended then."""

    def hindrance(self, shown: Line) -> str:
        """Return why it cannot take the place of *shown* now; empty: it can.

        Holds a shown line back for which only a little is missing, since on a busy log
        both would otherwise run on side by side.
        """
        sequence = self.line.state.sequence
        last = self.target[1] if self.target else None
        if last is None or sequence < last:
            return f"{self.why}: {sequence} of {last or '?'} messages are folded again"
        if self.broken:
            if self.regions is None:
                return f"{self.why}: what the old log held is being looked through"
            missing = not_inventoried(self.line.state, self.regions)
            return f"{self.why}: {awaiting(missing)}" if missing else ""
        gap = shown.state.sequence - sequence
        shown.hold(REBUILD, held=0 < gap <= HOLD_MESSAGES_MAX)
        return f"{self.why}: {gap} messages behind" if gap > 0 else ""
