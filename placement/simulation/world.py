"""The world of a back-test: what was pushed, where it started, how long bytes take.

Times are in nanoseconds of unix time, waits in seconds. Starts are in start regions;
copies go to the storage regions that serve them, as the catalogue orders these. A
region that is declared down stores nothing: its starts are served by the next storage
region in that order, and wait for the image to come from there.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from placement.core.errors import InputError
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from placement.simulation.past import Part, Past, Start, Version
from placement.simulation.rules import Rules
from placement.simulation.score_from import ScoreFrom

WARMED_UP: Final = ScoreFrom()
VersionKey = tuple[Repository, Digest]


class World:
    """A past under rules, scored from one moment on.

    Waits are scored of starts from ``score_from_ns`` on, bytes of versions that were
    pushed from then on.
    """

    def __init__(
        self, past: Past, rules: Rules, score_from: ScoreFrom = WARMED_UP
    ) -> None:
        """Keep the past; raises InputError if pushes land in a region that is down."""
        self.past = past
        self.rules = rules
        self.score_from_ns = score_from.time_ns(*past.span_ns())
        self.homes = frozenset(version.home for version in past.versions)
        for home in sorted(self.homes & rules.down):
            raise InputError("down", home, "leave up where pushes land")
        self.versions: Mapping[VersionKey, Version] = {
            (version.repository, version.digest): version for version in past.versions
        }
        self.storage: Mapping[Region, Region] = {
            region: rules.storage(region)
            for region in sorted({start.region for start in past.starts})
        }
        """The storage region that serves each start region."""

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The storage regions that serve starts, by code."""
        return tuple(sorted(set(self.storage.values())))

    @cached_property
    def first_starts(self) -> tuple[Start, ...]:
        """The first start of each version in each start region, by time."""
        seen: set[tuple[Version, Region]] = set()
        found = []
        for start in self.past.starts:
            pair = (start.version, start.region)
            if pair not in seen:
                seen.add(pair)
                found.append(start)
        return tuple(found)

    @cached_property
    def needed(self) -> Mapping[tuple[Part, Region], int]:
        """When each part was first needed in each storage region; absent if never."""
        found: dict[tuple[Part, Region], int] = {}
        for start in self.first_starts:
            target = self.storage[start.region]
            for part in start.version.parts:
                found.setdefault((part, target), start.time_ns)
        return found

    @cached_property
    def native(self) -> Mapping[tuple[Part, Region], int]:
        """From when on a region has a part because it was pushed there."""
        found: dict[tuple[Part, Region], int] = {}
        for version in self.past.versions:
            for part in version.parts:
                place = (part, version.home)
                earlier = found.get(place, version.push_time_ns)
                found[place] = min(earlier, version.push_time_ns)
        return found

    def is_native(self, part: Part, region: Region, time_ns: int) -> bool:
        """Say whether *part* had been pushed to *region* by then."""
        if region not in self.homes:
            return False
        native_ns = self.native.get((part, region))
        return native_ns is not None and native_ns <= time_ns

    @cached_property
    def _starts_in(self) -> Mapping[Region, Sequence[int]]:
        """When anything started that a storage region serves, in order."""
        found: defaultdict[Region, list[int]] = defaultdict(list)
        for start in self.past.starts:
            found[self.storage[start.region]].append(start.time_ns)
        return found

    def is_live(self, region: Region, time_ns: int) -> bool:
        """Say whether *region* served any start by now, of late."""
        times = self._starts_in.get(region, ())
        place = bisect_right(times, time_ns)
        return place > 0 and times[place - 1] >= time_ns - self.rules.live_ns

    def live(self, time_ns: int) -> tuple[Region, ...]:
        """Return the storage regions that are live, by code."""
        return tuple(region for region in self.regions if self.is_live(region, time_ns))

    def full_bytes(self) -> int:
        """Return what full replication would have moved, of versions that are scored.

        Each version, when it is pushed, to every region that is live then and that
        does not have its parts already.
        """
        total = 0
        sent: set[tuple[Part, Region]] = set()
        for version in self.past.versions:
            now_ns = version.push_time_ns
            scored = now_ns >= self.score_from_ns
            for region in self.live(now_ns):
                for part in version.parts:
                    place = (part, region)
                    if place not in sent and not self.is_native(*place, now_ns):
                        sent.add(place)
                        total += scored * self.past.part_bytes[part]
        return total
