"""The planner's rounds: ticks, and the regular look at every repository."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from placement.core.deciding.sweep import last_tick, sweep_of, sweep_of_requests
from placement.core.event import Event, Identifier, TickPassed
from placement.core.state import State
from placement.core.tables.agenda import Due
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology

MILLISECOND_NS: Final = 1_000_000
CLEARED_AT_ONCE: Final = 4
"""Repositories of a region: some milliseconds each."""
SWEPT_MAX: Final = 500
"""Contents that one step looks at; the next step goes on."""


class Rounds:
    """Where the look at everything has come to."""

    def __init__(self, topology: Topology, tick_seconds: float) -> None:
        """Begin with a look at everything, once there was a tick."""
        self._home = topology.home
        self._storing = deque(sorted(filter(topology.stores, topology.regions)))
        self._tick_ns = round(tick_seconds * 1e9)
        self._swept_tick = 0
        self._left: Iterator[Due] = iter(())
        self._sweeping = False
        self._looked_at = Row(-1)
        self.looks = True
        """Whether open decisions are to be looked at in the next step."""
        self.clearing: Region | None = None
        """The region where it is to be seen what may leave; another one each tick."""
        self._cleared = 0
        """How many repositories of it were looked at."""

    @property
    def idle(self) -> bool:
        """Whether the look at everything is done until the next tick."""
        return not self._sweeping and self.clearing is None

    def begin_again(self) -> None:
        """Look at everything anew: the state is another one."""
        self._swept_tick, self._left, self._sweeping = 0, iter(()), False
        self.looks, self.clearing = True, None

    def tick(self, state: State, now_ns: int) -> Event | None:
        """Return the tick that is due, or None while it is not.

        All services tick at the same times, under the same ids. Ticks are numbered by
        their milliseconds since 1970, so that they go on where their interval changes.
        """
        number = now_ns // self._tick_ns * self._tick_ns // MILLISECOND_NS
        if number <= state.count("tick_number"):
            return None
        return Event(
            Identifier(f"tick-{self._tick_ns}-{number}"), self._home, TickPassed(number)
        )

    def next_target(self, state: State) -> Row | None:
        """Return the region whose open decisions are looked at now; each in turn."""
        targets = state.indexes.decisions.open_targets()
        later = (target for target in targets if target > self._looked_at)
        found = next(later, targets[0] if targets else None)
        self._looked_at = Row(-1) if found is None else found
        return found

    def owners(self, state: State) -> list[Row]:
        """Return the next repositories to clear; after the last ones, it is done."""
        first, count = self._cleared, len(state.repositories)
        self._cleared = min(count, first + CLEARED_AT_ONCE)
        if self._cleared == count:
            self.clearing = None
        return [Row(row) for row in range(first, self._cleared)]

    def sweep(self, state: State) -> list[Due]:
        """Return what is to be looked at now of all that there is."""
        tick = last_tick(state)
        if not self._sweeping and tick > self._swept_tick:
            self._swept_tick, self._sweeping = tick, True
            self._left = _everything(state)
            self.clearing, self._cleared = self._storing[0], 0
            self._storing.rotate(-1)
        found: list[Due] = []
        for due in self._left if self._sweeping else ():
            found.append(due)
            if len(found) == SWEPT_MAX:
                return found
        self._sweeping = False
        return found


def _everything(state: State) -> Iterator[Due]:
    """Yield what is there; repositories that are added meanwhile come with the rest."""
    yield from sweep_of_requests(state)
    row = 0
    while row < len(state.repositories):
        yield from sweep_of(state, Row(row))
        row += 1
