"""What retention is worth: roll-backs that find their image, and bytes that are stored.

What a region has by starts and copies leaves it by the product's own rule, ``kept``. A
roll-back is a start of an older version than the one that runs in the region, of one
that ran there before. Stored bytes are set against the current set: those of the
versions that run, over the same time. Each repository counts for itself. Where pushes
land nothing leaves by rule, so those regions are no part of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from placement.core.deciding.keep import Keep
from placement.core.deciding.kept import Use, kept
from placement.core.oci import Repository
from placement.core.topology import Region
from placement.simulation.ledger import Copy
from placement.simulation.past import Part, Removal, Start, Version
from placement.simulation.world import World

_COPY: Final = 0
_OTHER: Final = 1
_Place = tuple[Repository, Region]
_Happened = tuple[int, int, Copy | Start | Removal]
"""When, copies before others of one instant, and what."""


@dataclass(slots=True)
class Retention:
    """Roll-backs, those that found their image, and bytes times nanoseconds."""

    rollbacks: int = 0
    local: int = 0
    stored: int = 0
    current: int = 0

    @property
    def local_share(self) -> float | None:
        """Return the share of roll-backs that found their image; None: no roll-back."""
        return self.local / self.rollbacks if self.rollbacks else None

    @property
    def stored_ratio(self) -> float | None:
        """Return stored bytes against the current set; None if nothing ever ran."""
        return self.stored / self.current if self.current else None


def retention(world: World, copies: Iterable[Copy], keep: Keep) -> Retention:
    """Return what *keep* comes to with these copies, from when on starts are scored.

    The newest version is the one pushed last when anything last happened in a region.
    """
    total = Retention()
    _, end_ns = world.past.span_ns()
    pushed = {version: place for place, version in enumerate(world.past.versions)}
    pushes: defaultdict[Repository, list[tuple[int, int]]] = defaultdict(list)
    for version, number in pushed.items():
        pushes[version.repository].append((version.push_time_ns, number))
    by_place = _by_place(world, copies)
    for repository, region in sorted(by_place):
        if region not in world.homes:
            times = sorted(pushes[repository])
            shelf = _Shelf(world, keep, pushed, times, total)
            shelf.run(by_place[repository, region], end_ns)
    return total


def _by_place(world: World, copies: Iterable[Copy]) -> dict[_Place, list[_Happened]]:
    found: defaultdict[_Place, list[_Happened]] = defaultdict(list)
    for copy in copies:
        place = (copy.version.repository, copy.region)
        found[place].append((copy.time_ns, _COPY, copy))
    for start in world.past.starts:
        place = (start.version.repository, world.storage[start.region])
        found[place].append((start.time_ns, _OTHER, start))
    for removal in world.past.removals:
        if removal.region in world.storage:
            place = (removal.repository, world.storage[removal.region])
            found[place].append((removal.time_ns, _OTHER, removal))
    for events in found.values():
        events.sort(key=itemgetter(0, 1))
    return found


@dataclass(slots=True)
class _Shelf:
    """The versions of one repository in one storage region, as time goes by."""

    world: World
    keep: Keep
    pushed: Mapping[Version, int]
    pushes: Sequence[tuple[int, int]]
    """When each version of the repository was pushed, and its number, by time."""
    total: Retention
    held: dict[Version, Use] = field(default_factory=dict)
    ran: set[Version] = field(default_factory=set)
    current: Version | None = None
    members: set[Region] = field(default_factory=set)
    withdrawn_ns: int = 0
    now_ns: int = 0

    def run(self, events: Sequence[_Happened], end_ns: int) -> None:
        """Let *events* happen, and time pass until *end_ns*."""
        for time_ns, _, happened in events:
            self._pass(time_ns)
            match happened:
                case Copy(version=version):
                    if version not in self.held:
                        self.held[version] = self._use(version, 0)
                case Start():
                    self._start(happened)
                case Removal(region=region):
                    self.members.discard(region)
                    if not self.members:
                        self.withdrawn_ns, self.current = time_ns, None
        self._pass(end_ns)

    def _use(self, version: Version, last_ns: int) -> Use:
        number = self.pushed[version]
        return Use(number, number, self.now_ns, last_ns)

    def _start(self, start: Start) -> None:
        version, running = start.version, self.current
        scored = start.time_ns >= self.world.score_from_ns
        if running not in {None, version} and version in self.ran and scored:
            assert running is not None, "it was compared just now"
            if self.pushed[version] < self.pushed[running]:
                self.total.rollbacks += 1
                self.total.local += version in self.held
        self.held[version] = self._use(version, start.time_ns)
        self.ran.add(version)
        self.members.add(start.region)
        self.current, self.withdrawn_ns = version, 0

    def _pass(self, time_ns: int) -> None:
        """Let time pass: count what is stored, and forget what has left by then."""
        begin_ns = max(self.now_ns, self.world.score_from_ns)
        # An app that left at the instant of its last start has left.
        left_ns = self.withdrawn_ns + 1 if self.withdrawn_ns else 0
        newest = bisect_right(self.pushes, (self.now_ns, len(self.pushed)))
        known = kept(
            list(self.held.values()),
            self.keep,
            left_ns,
            [number for _, number in self.pushes[newest - 1 : newest]],
        )
        until = {v: known[use.version].until_ns for v, use in self.held.items()}
        if time_ns > begin_ns:
            self._count(until, begin_ns, time_ns)
        self.held = {v: use for v, use in self.held.items() if until[v] > time_ns}
        self.now_ns = time_ns

    def _count(self, until: Mapping[Version, int], begin_ns: int, time_ns: int) -> None:
        sizes = self.world.past.part_bytes
        last: dict[Part, int] = {}
        for version, until_ns in until.items():
            for part in version.parts:
                last[part] = max(last.get(part, 0), min(until_ns, time_ns))
        for part, until_ns in last.items():
            self.total.stored += sizes[part] * max(0, until_ns - begin_ns)
        if self.current is not None:
            every = sum(sizes[part] for part in self.current.parts)
            self.total.current += every * (time_ns - begin_ns)
