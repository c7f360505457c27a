"""The ledger of a closed loop: copies one at a time, and what starts wait without them.

A copy tells when it is there, so that it can be reported. And since no world is lived
twice, it is worked out for each start what it would have waited if its own version had
not been copied into its region, all else being as it is.
"""

from collections import defaultdict
from dataclasses import dataclass

from placement.core.topology import Region
from placement.simulation.ledger import Copy, Ledger, Sources, Wait, ns_of
from placement.simulation.past import Part, Start, Version
from placement.simulation.synthesis import SECOND_NS
from placement.simulation.world import World


@dataclass(frozen=True, slots=True)
class Brought:
    """What a copy moved, from where, how long that took; and when all of it is there.

    What other copies bring may be there later than what this one has moved.
    """

    source: Region
    moved_bytes: int
    seconds: float
    arrival_ns: int


class LoopLedger(Ledger):
    """All movements and the waits of all first starts, each in the order of time."""

    def __init__(self, world: World, sources: Sources) -> None:
        """Begin with what is there by pushes alone."""
        super().__init__(world, sources)
        self._brought: defaultdict[tuple[Version, Region], set[Part]]
        self._brought = defaultdict(set)
        self._pulled_ns: dict[tuple[Version, Region], int] = {}

    def bring(self, copy: Copy) -> Brought:
        """Move what *copy* finds missing now, of contents that were all pushed."""
        version, target, begin_ns = copy.version, copy.region, copy.time_ns
        parts = version.parts if copy.parts is None else copy.parts
        missing = self._missing(parts, target, begin_ns)
        lacking = [part for part in missing if (part, target) not in self._arrivals]
        source, seconds = self._way(version, target, lacking, begin_ns)
        if lacking:
            needed = self._world.needed
            wasted = [part for part in lacking if (part, target) not in needed]
            self._move(version, target, lacking, wasted, begin_ns + ns_of(seconds))
            self._brought[version, target].update(lacking)
        there_ns = (self._arrivals[part, target] for part in missing)
        return Brought(
            source,
            self._bytes(lacking),
            seconds if lacking else 0.0,
            max(there_ns, default=begin_ns),
        )

    def without(self, start: Start) -> Wait:
        """Return what *start* would wait if nobody had copied its version to it.

        Ask in the order of time: the first one pulls, and those after it wait for that.
        """
        version, target = start.version, self._world.storage[start.region]
        place = (version, target)
        if place not in self._pulled_ns:
            there = self._missing(version.parts, target, start.time_ns)
            gone = self._brought[place].union(there)
            lacking = [part for part in version.parts if part in gone]
            seconds = 0.0
            if lacking:
                _, seconds = self._way(version, target, lacking, start.time_ns)
            self._pulled_ns[place] = start.time_ns + ns_of(seconds)
        left_ns = max(0, self._pulled_ns[place] - start.time_ns)
        return self.wait_of(start, left_ns / SECOND_NS)
