"""The ledger: what the copies of any policy come to, in bytes moved and waits.

In the order of time, copies before starts of the same instant. A copy moves those parts
of a version that its region lacks and that nothing in flight brings. So does the first
start of a version, which pulls them through its storage region and leaves them there.
All parts of one movement arrive together, and movements do not slow each other down.

A start waits until its storage region has all of the image, or as long as pulling
everything that is missing would take, whichever is shorter; and never less than a start
that finds its image. One in a region that another one serves waits for the image to
come from there as well, unless pulling it directly from where it was pushed is faster.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Final

from placement.core.topology import Region
from placement.simulation.past import Part, Start, Version
from placement.simulation.synthesis import SECOND_NS
from placement.simulation.world import World

TOLERANCE_S: Final = 1e-9
_by_time: Final = attrgetter("time_ns")


class Sources(Enum):
    """Where copies and pulls come from."""

    HOME = "home"
    """Where the version was pushed: as the published figures assume."""
    NEAREST = "nearest"
    """The fastest of home and all regions that have it whole: never slower."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A decision to copy *version* into the storage region *region*.

    *parts*: only these; None: all of them. Not before the version's layers are pushed;
    and a copy that begins before its manifest's push is of use only after that.
    """

    version: Version
    region: Region
    time_ns: int
    parts: tuple[Part, ...] | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """Bytes that came into a region for *version*; 0 <= *wasted_bytes* <= bytes.

    Wasted are parts that were copied, and that no start there ever needs.
    """

    version: Version
    region: Region
    moved_bytes: int
    wasted_bytes: int


@dataclass(frozen=True, slots=True)
class Wait:
    """What a start waited, and what it would have waited with its image in the region.

    *copied_time_ns* is when the first copy there was decided that came before it.
    """

    start: Start
    wait_s: float
    near_s: float
    copied_time_ns: int | None

    @property
    def local(self) -> bool:
        """Whether the start found its image."""
        return self.wait_s <= self.near_s + TOLERANCE_S


@dataclass(frozen=True, slots=True)
class Fill:
    """In how many seconds a region has all of an image, and what is pulled for that.

    *lacking* takes *pulled_s*; what is not pulled is in flight. *alone_bytes*, if any,
    came to the start by itself, faster than by waiting for what is in flight.
    """

    seconds: float
    lacking: list[Part]
    pulled_s: float
    source: Region | None = None
    alone_bytes: int = 0


_PRESENT: Final = Fill(0.0, [], 0.0)
_NEVER_NS: Final = 2**63


class Ledger:
    """All movements and the waits of all first starts, each in the order of time."""

    def __init__(self, world: World, sources: Sources = Sources.HOME) -> None:
        """Begin with what is there by pushes alone."""
        self._world = world
        self._sources = sources
        self._arrivals: dict[tuple[Part, Region], int] = {}
        self.movements: list[Movement] = []
        self.waits: list[Wait] = []

    def copy(self, copy: Copy) -> None:
        """Move what *copy* finds missing; into the region of the push, nothing."""
        version, begin_ns = copy.version, copy.time_ns
        early = f"{version.repository}: copied at {begin_ns}, before it was pushed"
        assert begin_ns >= version.layers_time_ns, early
        assert copy.region not in self._world.rules.down, f"{copy.region} is down"
        parts = version.parts if copy.parts is None else copy.parts
        missing = self._missing(parts, copy.region, begin_ns)
        lacking = [x for x in missing if (x, copy.region) not in self._arrivals]
        if not lacking or copy.region == version.home:
            return
        needed = self._world.needed
        wasted = [part for part in lacking if (part, copy.region) not in needed]
        _, seconds = self._way(version, copy.region, lacking, begin_ns)
        arrival_ns = begin_ns + ns_of(seconds)
        if begin_ns < version.push_time_ns:
            _, committed_s = self._way(version, copy.region, [], begin_ns)
            arrival_ns = max(arrival_ns, version.push_time_ns + ns_of(committed_s))
        self._move(version, copy.region, lacking, wasted, arrival_ns)

    def start(self, start: Start, copied_time_ns: int | None = None) -> Wait:
        """Return what *start* waits, having moved what it found missing."""
        fill = self.fill(start)
        self.pull(start, fill)
        return self.wait_of(start, fill.seconds, copied_time_ns)

    def again(self, start: Start) -> Wait:
        """Return what *start* waits, which is not the first of its pair."""
        return self.wait_of(start, self.fill(start).seconds)

    def pull(self, start: Start, fill: Fill) -> int:
        """Move what *start* pulls, and return when its region has that."""
        arrival_ns = start.time_ns + ns_of(fill.pulled_s)
        if fill.lacking:
            target = self._world.storage[start.region]
            self._move(start.version, target, fill.lacking, [], arrival_ns)
        return arrival_ns

    def fill(self, start: Start) -> Fill:
        """Return how the storage region of *start* comes to have all of its image."""
        version, now_ns = start.version, start.time_ns
        target = self._world.storage[start.region]
        missing = self._missing(version.parts, target, now_ns)
        if not missing:
            return _PRESENT
        source, alone_s = self._way(version, target, missing, now_ns)
        lacking = [part for part in missing if (part, target) not in self._arrivals]
        missing_bytes = self._bytes(missing)
        if len(lacking) == len(missing):
            return Fill(alone_s, lacking, alone_s, source, missing_bytes)
        pulled_s = 0.0
        if lacking:
            _, pulled_s = self._way(version, target, lacking, now_ns)
        arrivals = (self._arrivals.get((part, target), now_ns) for part in missing)
        joined_s = max(pulled_s, (max(arrivals) - now_ns) / SECOND_NS)
        if joined_s < alone_s:
            return Fill(joined_s, lacking, pulled_s, source)
        return Fill(alone_s, lacking, pulled_s, source, missing_bytes)

    def wait_of(
        self, start: Start, fill_s: float, copied_time_ns: int | None = None
    ) -> Wait:
        """Return the wait of *start* whose storage region is filled in *fill_s*."""
        version, rules = start.version, self._world.rules
        target, near_s = self._world.storage[start.region], rules.local_wait_s
        if target == start.region:
            return Wait(start, max(near_s, fill_s), near_s, copied_time_ns)
        size_bytes = version.size_bytes
        onward_s = rules.transfer_s(target, start.region, size_bytes)
        direct_s = rules.transfer_s(version.home, start.region, size_bytes)
        wait_s = max(near_s, min(direct_s, fill_s + onward_s))
        near_s = max(near_s, min(direct_s, onward_s))
        return Wait(start, wait_s, near_s, copied_time_ns)

    def _missing(
        self, parts: Iterable[Part], region: Region, now_ns: int
    ) -> list[Part]:
        """Return those of *parts* that *region* does not have yet."""
        arrivals, is_native = self._arrivals, self._world.is_native
        return [
            part
            for part in parts
            if arrivals.get((part, region), _NEVER_NS) > now_ns
            and not is_native(part, region, now_ns)
        ]

    def _way(
        self, version: Version, target: Region, parts: list[Part], now_ns: int
    ) -> tuple[Region, float]:
        """Return from where *parts* of *version* come to *target*, in what seconds."""
        rules = self._world.rules
        size_bytes = self._bytes(parts)
        best = version.home
        best_s = rules.transfer_s(version.home, target, size_bytes)
        if self._sources is Sources.NEAREST:
            for source in self._world.regions:
                if source == target:
                    continue
                if not self._missing(version.parts, source, now_ns):
                    seconds = rules.transfer_s(source, target, size_bytes)
                    if seconds < best_s:
                        best, best_s = source, seconds
        return best, best_s

    def _bytes(self, parts: Iterable[Part]) -> int:
        part_bytes = self._world.past.part_bytes
        return sum([part_bytes[part] for part in parts])

    def _move(
        self,
        version: Version,
        region: Region,
        parts: list[Part],
        wasted: list[Part],
        arrival_ns: int,
    ) -> None:
        for part in parts:
            self._arrivals[part, region] = arrival_ns
        moved_bytes, wasted_bytes = self._bytes(parts), self._bytes(wasted)
        self.movements.append(Movement(version, region, moved_bytes, wasted_bytes))


def settle(
    world: World, copies: Iterable[Copy], sources: Sources = Sources.HOME
) -> Ledger:
    """Return what *copies* come to in *world*; those of one instant in their order."""
    ledger = Ledger(world, sources)
    decided: dict[tuple[Version, Region], int] = {}
    # Of one instant copies stay first: sorting keeps the order that it is given.
    happened: list[Copy | Start] = [*copies, *world.first_starts]
    for one in sorted(happened, key=_by_time):
        if isinstance(one, Copy):
            decided.setdefault((one.version, one.region), one.time_ns)
            ledger.copy(one)
            continue
        copied_ns = decided.get((one.version, world.storage[one.region]))
        earlier = copied_ns is not None and copied_ns < one.time_ns
        ledger.waits.append(ledger.start(one, copied_ns if earlier else None))
    return ledger


def all_waits(world: World, ledger: Ledger) -> Iterator[Wait]:
    """Yield the wait of every start that is scored, repeated ones too, by time.

    *ledger* is settled: each pair's first start has brought the image by then.
    """
    for start in world.past.starts:
        if start.time_ns >= world.score_from_ns:
            yield ledger.again(start)


def ns_of(seconds: float) -> int:
    """Return seconds in nanoseconds."""
    return round(seconds * SECOND_NS)
