"""Decisions by content, by target and by source; derived, never saved."""

from collections import deque
from collections.abc import Sequence

from placement.core.counts import DAY_NS
from placement.core.tables.changes import Changes
from placement.core.tables.table import Row


class DecisionIndex:
    """Where to find the decisions that matter to a question."""

    def __init__(self) -> None:
        """Begin with none."""
        self.changes = Changes()
        """Notes about decisions' rows, as if they were placements'."""
        self._repositories: dict[Row, None] = {}
        self._about: dict[Row, tuple[Row, Row]] = {}
        self._of: dict[Row, dict[Row, None]] = {}
        self._copies: dict[Row, dict[Row, None]] = {}
        self._removals: dict[Row, dict[Row, None]] = {}
        self._flows: dict[Row, dict[Row, None]] = {}
        self._leaving: dict[Row, Row] = {}
        self._planned: dict[Row, deque[tuple[int, Row]]] = {}

    def add(self, decision: Row, about: tuple[Row, Row], target: Row) -> None:
        """Index a decision *about* a repository's placement.

        One that had the same row before is forgotten.
        """
        repository, placement = about
        self._repositories[repository] = None
        before = self._about.get(decision)
        if before is not None:
            self._of[before[0]].pop(decision, None)
            self.close(decision)
            planned = self._planned.get(before[1], deque())
            kept = [each for each in planned if each[1] != decision]
            if len(kept) < len(planned):
                self._planned[before[1]] = deque(kept)
        self._about[decision] = (placement, target)
        self._of.setdefault(placement, {})[decision] = None

    def open(self, decision: Row, *, removal: bool) -> None:
        """Let a decision be one that is to be carried out."""
        _, target = self._about[decision]
        kept = self._removals if removal else self._copies
        kept.setdefault(target, {})[decision] = None

    def close(self, decision: Row) -> None:
        """Let a decision be done with."""
        _, target = self._about[decision]
        for kept in (self._copies, self._removals):
            kept.get(target, {}).pop(decision, None)
        source = self._leaving.pop(decision, None)
        if source is not None:
            del self._flows[source][decision]

    def about(self, repository: Row) -> bool:
        """Say whether anything was ever decided about content of *repository*."""
        return repository in self._repositories

    def of(self, placement: Row) -> list[Row]:
        """Return the decisions about a placement, the first one first."""
        return list(self._of.get(placement, ()))

    def copies_into(self, target: Row) -> list[Row]:
        """Return the decisions to copy into *target* that are open."""
        return list(self._copies.get(target, ()))

    def removals_from(self, target: Row) -> list[Row]:
        """Return the decisions to remove from *target* that are open."""
        return list(self._removals.get(target, ()))

    def open_targets(self) -> Sequence[Row]:
        """Return the regions that any open decision is about, by row."""
        found = {target for target, rows in self._copies.items() if rows}
        found |= {target for target, rows in self._removals.items() if rows}
        return sorted(found)

    # Copies that leave a source now.

    def add_flow(self, source: Row, decision: Row) -> None:
        """Index a copy that leaves *source* now, and no other one any more."""
        before = self._leaving.get(decision)
        if before is not None:
            del self._flows[before][decision]
        self._leaving[decision] = source
        self._flows.setdefault(source, {})[decision] = None

    def flows_from(self, source: Row) -> list[Row]:
        """Return the decisions whose copies leave *source* now."""
        return list(self._flows.get(source, ()))

    # What was planned lately, for budgets.

    def add_planned(self, decision: Row, target: Row, time_ns: int) -> None:
        """Index a planned copy into *target*, after all of a day that are indexed."""
        planned = self._planned.setdefault(target, deque())
        while planned and planned[0][0] < time_ns - DAY_NS:
            planned.popleft()
        planned.append((time_ns, decision))

    def planned_into(self, target: Row) -> list[Row]:
        """Return what was planned into *target* for a day, the first one first."""
        return [row for _, row in self._planned.get(target, ())]
