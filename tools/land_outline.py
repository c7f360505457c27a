"""Write placement/data/land.txt, the outline of the land for the console's map.

``python -m tools.land_outline land-110m.json`` reads Natural Earth's land at 1:110m as
the npm package ``world-atlas`` holds it, in TopoJSON: arcs of steps on a grid, and
rings that are put together from arcs. Small islands and Antarctica are left out, and
what hardly bends is drawn straight.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parents[1] / "placement" / "data" / "land.txt"
SOUTH_MOST: Final = -60.0
AREA_MIN: Final = 1.5
"""Square degrees, of an island that is worth drawing."""
BEND_MIN: Final = 0.35
"""Degrees off the straight line that are worth a point."""
HEAD: Final = (
    "# The outline of the land, a ring a line, as degrees east,north.",
    "# Made with Natural Earth (1:110m land), which is in the public domain, by",
    "# tools/land_outline.py.",
)

Point = tuple[float, float]


def main() -> None:
    """Write the outline from the file that is named."""
    topology = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    rings = [ring for ring in _rings(topology) if _worth_drawing(ring)]
    lines = [
        " ".join(f"{east:.1f},{north:.1f}" for east, north in _straightened(ring))
        for ring in sorted(rings, key=_area, reverse=True)
    ]
    TARGET.write_text("\n".join([*HEAD, *lines, ""]), "utf-8")
    print(f"{TARGET}: {len(lines)} rings, {sum(map(len, lines)):,} bytes")


def _rings(topology: Any) -> Iterator[list[Point]]:  # noqa: ANN401 - JSON
    arcs = [_arc(arc, topology["transform"]) for arc in topology["arcs"]]
    for geometry in topology["objects"]["land"]["geometries"]:
        for polygon in geometry["arcs"]:
            # The first ring is the land, and the others are lakes in it.
            yield _joined(polygon[0], arcs)


def _arc(steps: Sequence[Sequence[int]], transform: Any) -> list[Point]:  # noqa: ANN401
    (scale_x, scale_y), (east, north) = transform["scale"], transform["translate"]
    x = y = 0
    points = []
    for step_x, step_y in steps:
        x, y = x + step_x, y + step_y
        points.append((x * scale_x + east, y * scale_y + north))
    return points


def _joined(numbers: Sequence[int], arcs: Sequence[list[Point]]) -> list[Point]:
    """Return the ring of some arcs; a number below 0 is an arc read backwards."""
    ring: list[Point] = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        ring += arc[1:] if ring else arc
    return ring


def _area(ring: Sequence[Point]) -> float:
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def _worth_drawing(ring: Sequence[Point]) -> bool:
    return max(north for _, north in ring) > SOUTH_MOST and _area(ring) >= AREA_MIN


def _straightened(points: Sequence[Point]) -> list[Point]:
    """Return the points that bend, by Douglas and Peucker, of a closed ring."""
    far = max(range(len(points)), key=lambda at: _distance(points[at], points[0]))
    return [*_bending(points[: far + 1])[:-1], *_bending(points[far:])[:-1]]


def _bending(points: Sequence[Point]) -> list[Point]:
    first, last = points[0], points[-1]
    if len(points) <= 2:  # noqa: PLR2004 - a line's two ends
        return list(points)
    bends = [_off(point, first, last) for point in points[1:-1]]
    most = max(bends)
    if most < BEND_MIN:
        return [first, last]
    at = bends.index(most) + 1
    return [*_bending(points[: at + 1])[:-1], *_bending(points[at:])]


def _distance(one: Point, other: Point) -> float:
    return float(((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5)


def _off(point: Point, first: Point, last: Point) -> float:
    """Return how far *point* is off the line from *first* to *last*."""
    length = _distance(first, last)
    if not length:
        return _distance(point, first)
    across = (last[0] - first[0]) * (first[1] - point[1])
    along = (first[0] - point[0]) * (last[1] - first[1])
    return abs(across - along) / length


if __name__ == "__main__":
    main()
