"""The world map: where each region is drawn, its label, and copies on their way."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from placement.console.projection import (
    HEIGHT,
    WIDTH,
    Point,
    land_path,
    projected,
)
from placement.console.standings import Lane, RegionStanding
from placement.core.topology import Region

LEFT: Final = 105.0
RIGHT: Final = 925.0
"""Between these is nearly all land; the map is wider where a region is beyond."""
MARGIN: Final = 40.0
LETTER: Final = 7.4
"""How wide a letter of a label is, in units of the map."""
LINE: Final = 14.0
GAP: Final = 9.0
REACHES: Final = (1.0, 1.9, 3.1, 4.4)
"""How far off a label may be, in gaps, before it covers others."""
DIRECTIONS: Final = (
    (1, 0),
    (-1, 0),
    (0, -1),
    (0, 1),
    (1, -1),
    (-1, -1),
    (1, 1),
    (-1, 1),
)
LEADER_FROM: Final = 2
"""From which of the reaches on a line leads from the region to its label."""
RADIUS: Final = 4.5
LOAD_RADIUS: Final = 5.0
BEND: Final = 0.22
"""How high a copy's arc is, as a share of its length."""


class Box(NamedTuple):
    """A rectangle of the map."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: "Box") -> bool:
        """Say whether the two share a place."""
        apart = (
            self.right <= other.left
            or other.right <= self.left
            or self.bottom <= other.top
            or other.bottom <= self.top
        )
        return not apart

    @property
    def inside(self) -> bool:
        """Whether it is wholly on the map."""
        return (
            self.left >= 0
            and self.top >= 0
            and self.right <= WIDTH
            and self.bottom <= HEIGHT
        )


@dataclass(frozen=True, slots=True)
class Marker:
    """A region on the map."""

    standing: RegionStanding
    x: float
    y: float
    halo: float
    """The radius of what shows its load; 0: nothing is on its way there."""
    label_x: float
    label_y: float
    anchor: str
    leader: str
    """The path from the region to its label, where that is far; else empty."""


@dataclass(frozen=True, slots=True)
class Arc:
    """Copies on their way from one region to another."""

    lane: Lane
    path: str
    width: float


@dataclass(frozen=True, slots=True)
class WorldMap:
    """All that the map shows."""

    land: str
    left: float
    width: float
    height: float
    markers: tuple[Marker, ...]
    arcs: tuple[Arc, ...]

    @property
    def moving(self) -> int:
        """How many copies are on their way."""
        return sum(arc.lane.started_count for arc in self.arcs)

    @property
    def planned(self) -> int:
        """How many copies are decided, and not begun."""
        return sum(arc.lane.planned_count for arc in self.arcs)


def world_map(standings: Sequence[RegionStanding], lanes: Iterable[Lane]) -> WorldMap:
    """Return the map of some regions, and of the copies between them."""
    places = {each.code: projected(each.longitude, each.latitude) for each in standings}
    arcs = tuple(
        _arc(lane, places[lane.source], places[lane.target])
        for lane in lanes
        if lane.source in places and lane.target in places
    )
    markers = _markers(standings, places)
    across = [x for x, _ in places.values()]
    left = max(0.0, min([LEFT, *(x - MARGIN for x in across)]))
    right = min(WIDTH, max([RIGHT, *(x + MARGIN for x in across)]))
    width = round(right - left, 1)
    return WorldMap(land_path(), round(left, 1), width, HEIGHT, markers, arcs)


def _markers(
    standings: Sequence[RegionStanding], places: dict[Region, Point]
) -> tuple[Marker, ...]:
    taken = [
        Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places.values()
    ]
    found = []
    # Those with the fewest neighbours have the most room: the crowded choose first.
    crowd = {code: _crowd(place, places.values()) for code, place in places.items()}
    for each in sorted(standings, key=lambda one: (-crowd[one.code], one.code)):
        x, y = places[each.code]
        marker, box = _labelled(each, x, y, taken)
        taken.append(box)
        found.append(marker)
    return tuple(sorted(found, key=lambda marker: marker.standing.code))


def _crowd(place: Point, others: Iterable[Point]) -> int:
    near = 4 * LINE
    return sum(math.dist(place, other) < near for other in others)


def _labelled(
    each: RegionStanding, x: float, y: float, taken: Sequence[Box]
) -> tuple[Marker, Box]:
    """Return the region with its label where it covers least."""
    width = LETTER * len(each.code)
    best: tuple[int, float, float, int, Box] | None = None
    for reach, times in enumerate(REACHES):
        for across, down in DIRECTIONS:
            middle_x = x + across * (GAP * times + width / 2)
            middle_y = y + down * (GAP * times + (0 if across else LINE / 3))
            box = Box(
                middle_x - width / 2,
                middle_y - LINE / 2,
                middle_x + width / 2,
                middle_y + LINE / 2,
            )
            covered = sum(box.covers(other) for other in taken) + 9 * (not box.inside)
            if best is None or covered < best[0]:
                best = (covered, middle_x, middle_y, reach, box)
        if best is not None and not best[0]:
            break
    assert best is not None, "there are reaches and directions"
    _, middle_x, middle_y, reach, box = best
    leader = ""
    if reach >= LEADER_FROM:
        leader = f"M{x:g},{y:g}L{middle_x:.1f},{middle_y:.1f}"
    load = each.open_copy_count
    halo = LOAD_RADIUS + 3.5 * math.log2(1 + load) if load else 0.0
    label_y = round(middle_y + LINE / 3.4, 1)
    marker = Marker(
        each, x, y, round(halo, 1), round(middle_x, 1), label_y, "middle", leader
    )
    return marker, box


def _arc(lane: Lane, source: Point, target: Point) -> Arc:
    """Return a curve that bends upwards, whichever way the copies go."""
    (x, y), (to_x, to_y) = source, target
    length = math.dist(source, target)
    middle_x, middle_y = (x + to_x) / 2, (y + to_y) / 2
    bent_y = middle_y - BEND * length - 6
    # It ends at the rim of the target's mark, so that the arrow's head is seen.
    off = math.dist((middle_x, bent_y), target) or 1.0
    end_x = to_x + (middle_x - to_x) * (RADIUS + 2) / off
    end_y = to_y + (bent_y - to_y) * (RADIUS + 2) / off
    path = f"M{x:g},{y:g}Q{middle_x:.1f},{bent_y:.1f} {end_x:.1f},{end_y:.1f}"
    width = 1.2 + 0.6 * math.log2(1 + lane.started_count + lane.planned_count)
    return Arc(lane, path, round(min(width, 6.0), 1))
