"""Times of which the log is known not to tell everything, seen while it is folded.

A feed was down if a whole look at its region found what no event had told: contents
that an inventory found though no push or copy of them was told, or did not find though
no removal was; machines that a count found though no start was told, or did not find
though no stop was. What was missed happened between that look and the one before it.
The first look of a region imports what was there: it proves nothing.
"""

from typing import Any, Final

from placement.core.event import (
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    MachinesCounted,
    Recorded,
)
from placement.core.folds.demand import machine_key
from placement.core.state import State
from placement.core.tables.cells import Machine, ReplicaPhase
from placement.core.tables.cells import Region as RegionCell
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from placement.export.event_rows import micros

FEED_DOWN: Final = "feed_down"
GAP: Final = "gap"
EPOCH_BREAK: Final = "epoch_break"
QUARANTINED: Final = "quarantined"
CONTENT: Final = "content"
MACHINES: Final = "machines"


def interval(  # noqa: PLR0913 - the columns of a row
    kind: str,
    place: tuple[int, int],
    span_ns: tuple[int, int],
    *,
    region: Region | None = None,
    feed: str | None = None,
    missed: int | None = None,
) -> dict[str, Any]:
    """Return a row of the intervals.

    *place* is the epoch and the message that shows it, *span_ns* from when and until
    when; a start of 0 is from ever.
    """
    epoch, sequence = place
    start_ns, end_ns = span_ns
    return {
        "kind": kind,
        "region": region,
        "feed": feed,
        "start_time": micros(start_ns),
        "end_time": micros(end_ns),
        "epoch": epoch,
        "sequence": sequence,
        "missed_count": missed,
    }


def _feed_down(
    item: Recorded, epoch: int, known_ns: tuple[int, int], *, feed: str, missed: int
) -> dict[str, Any]:
    """Return the row of a feed of which a look found that it had *missed* facts.

    *known_ns* is when the look before this one was taken, and this one.
    """
    since_ns, scan_time_ns = known_ns
    return interval(
        FEED_DOWN,
        (epoch, item.sequence),
        (since_ns, min(scan_time_ns, item.store_time_ns)),
        region=item.event.region,
        feed=feed,
        missed=missed,
    )


class ContentLook:
    """A page of an inventory, held against the state before and after it is folded."""

    def __init__(self, state: State, item: Recorded, fact: InventoryTaken) -> None:
        """Note what the state has not of what is there, and has of what is not."""
        self._state, self._item, self._fact = state, item, fact
        region = item.event.region
        row = state.regions.find(region.encode())
        self._since_ns = 0
        if row != ABSENT:
            self._since_ns = state.regions.get(row, RegionCell.INVENTORY_TIME)
        self._unknown: list[InventoryContent] = []
        self._believed: list[InventoryAbsence] = []
        if self._since_ns:
            self._unknown = [each for each in fact.contents if not self._has_it(each)]
            self._believed = [each for each in fact.absences if self._holds(each)]

    def missed(self, epoch: int) -> dict[str, Any] | None:
        """Return the interval that the page proves, now that it is folded, or None."""
        found = sum(map(self._has_it, self._unknown))
        gone = sum(1 for each in self._believed if not self._holds(each))
        if not found + gone:
            return None
        known = (self._since_ns, self._fact.scan_time_ns)
        return _feed_down(self._item, epoch, known, feed=CONTENT, missed=found + gone)

    def _has_it(self, entry: InventoryContent) -> bool:
        return self._phase(entry.repository, entry.content.digest)

    def _holds(self, absence: InventoryAbsence) -> bool:
        return self._phase(absence.repository, absence.digest)

    def _phase(self, repository: Any, digest: Any) -> bool:  # noqa: ANN401 - names as in both kinds of entries
        state = self._state
        placement = state.find_placement(repository, digest)
        if placement == ABSENT:
            return False
        region = state.regions.find(self._item.event.region.encode())
        return state.phase(placement, region) >= ReplicaPhase.COMPLETE


class MachineLook:
    """A page of a count of machines, held against the state before and after it."""

    def __init__(self, state: State, item: Recorded, fact: MachinesCounted) -> None:
        """Note which machines ran in the region, by what was told before."""
        self._state, self._item, self._fact = state, item, fact
        region = state.regions.find(item.event.region.encode())
        keys = [] if region == ABSENT else state.indexes.machines_in(region)
        self._ran = [key for key in keys if self._runs(key)]
        self._since_ns = self._counted_before(keys)
        self._unknown: list[bytes] = []
        if self._since_ns:
            self._unknown = [
                key
                for group in fact.groups
                for key in map(machine_key, group.machine_ids)
                if not self._runs(key)
            ]

    def missed(self, epoch: int) -> dict[str, Any] | None:
        """Return the interval that the page proves, now that it is folded, or None."""
        started = sum(map(self._runs, self._unknown))
        stopped = 0
        if self._since_ns and self._fact.complete:
            stopped = sum(1 for key in self._ran if not self._runs(key))
        if not started + stopped:
            return None
        known = (self._since_ns, self._fact.scan_time_ns)
        return _feed_down(
            self._item, epoch, known, feed=MACHINES, missed=started + stopped
        )

    def _runs(self, key: bytes) -> bool:
        row = self._state.machines.find(key)
        if row == ABSENT:
            return False
        started = self._state.machines.get(row, Machine.STARTED)
        return started > self._state.machines.get(row, Machine.STOPPED)

    def _counted_before(self, keys: list[bytes]) -> int:
        """Return when the count before this one began; 0: there was none."""
        machines, scan_ns = self._state.machines, self._fact.scan_time_ns
        marks = (self._mark(machines.find(key)) for key in keys)
        return max((mark for mark in marks if mark < scan_ns), default=0)

    def _mark(self, row: Row) -> int:
        return self._state.machines.get(row, Machine.SEEN)


def look_at(state: State, item: Recorded) -> ContentLook | MachineLook | None:
    """Return what to ask after an event is folded, if it is a look at a region."""
    match item.event.fact:
        case InventoryTaken() as fact:
            return ContentLook(state, item, fact)
        case MachinesCounted() as fact:
            return MachineLook(state, item, fact)
        case _:
            return None
