"""Who knows the future: a bound that no policy over live regions can pass.

A policy decides at the decision points of a version: when its layers and its manifest
are pushed, and at its first start in each region. Here, each part that some start of a
storage region will need is copied there, alone, at the first decision point of any
version that has it at which the region is live; nothing else is copied.

Why nothing waits less: whatever brings a part to a live region begins at such a point
or later, and takes at least as long as the part takes alone. Copies and pulls do not
slow each other down, so every part arrives here no later than under any other policy,
and a start waits no longer for parts that arrive no later. Why nothing moves less: what
is needed must move once, and nothing else moves. So it minimises waits and bytes at the
same time, whatever a second is worth. Where images share no parts it is also a policy,
not only a bound: then each image is copied whole. All of this assumes that the source
is a region of the push; with nearer sources, wasted copies can shorten a wait.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter

from placement.core.topology import Region
from placement.simulation.ledger import Copy
from placement.simulation.past import Part, Version
from placement.simulation.synthesis import SECOND_NS
from placement.simulation.world import World

Point = tuple[int, Version]
"""A decision point: when, and of which version."""


def decision_points(world: World) -> Iterator[Point]:
    """Yield when a policy may decide, of all versions, by time."""
    points: list[Point] = []
    for version in world.past.versions:
        points += [(version.layers_time_ns, version), (version.push_time_ns, version)]
    points += [(start.time_ns, start.version) for start in world.first_starts]
    yield from sorted(points, key=itemgetter(0))


def clairvoyant(world: World) -> Iterator[Copy]:
    """Yield exactly the copies that are of use, each as early as it can be."""
    chances: defaultdict[Part, defaultdict[Region, list[Point]]]
    chances = defaultdict(lambda: defaultdict(list))
    for time_ns, version in decision_points(world):
        for part in version.parts:
            chances[part][version.home].append((time_ns, version))
    for (part, region), needed_ns in world.needed.items():
        if world.is_native(part, region, needed_ns):
            continue
        soonest: tuple[float, Region, Copy] | None = None
        for home, points in chances[part].items():
            copy = _first_live(world, region, needed_ns, points)
            if copy is not None and home != region:
                size_bytes = world.past.part_bytes[part]
                taken_s = world.rules.transfer_s(home, region, size_bytes)
                one = Copy(copy.version, region, copy.time_ns, (part,))
                found = (copy.time_ns + taken_s * SECOND_NS, home, one)
                soonest = found if soonest is None else min(soonest, found)
        if soonest is not None:
            yield soonest[2]


def _first_live(
    world: World, region: Region, needed_ns: int, points: Iterable[Point]
) -> Copy | None:
    """Return a copy at the first of *points* at which *region* is live, if in time."""
    for time_ns, version in points:
        if time_ns > needed_ns:
            return None
        if world.is_live(region, time_ns):
            return Copy(version, region, time_ns)
    return None
