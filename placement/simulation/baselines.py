"""Policies that need no learning, to compare with: what each of them copies, and when.

Starts of the very instant of a push count as known: all that happens at one moment is
taken in before anything is decided.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.oci import Repository
from placement.core.topology import Region
from placement.simulation.ledger import Copy
from placement.simulation.world import World

Baseline = Callable[[World], Iterator[Copy]]
SET_NS: Final = 60 * DAY_NS


def never(world: World) -> Iterator[Copy]:  # noqa: ARG001 - as all baselines are called
    """Yield nothing: whoever starts an image first in a region waits for it."""
    yield from ()


def everywhere(world: World) -> Iterator[Copy]:
    """Yield a copy of each version, when it is pushed, into every live region."""
    for version in world.past.versions:
        for region in world.live(version.push_time_ns):
            yield Copy(version, region, version.push_time_ns)


def set_60d(world: World) -> Iterator[Copy]:
    """Yield a copy of each version, at its push, where its app started within 60 days.

    Removals change nothing: regions are forgotten by time alone, as a list that
    somebody keeps by hand would be.
    """
    times: defaultdict[Repository, defaultdict[Region, list[int]]]
    times = defaultdict(lambda: defaultdict(list))
    for start in world.past.starts:
        region = world.storage[start.region]
        times[start.version.repository][region].append(start.time_ns)
    for version in world.past.versions:
        now_ns = version.push_time_ns
        for region, known in sorted(times[version.repository].items()):
            place = bisect_right(known, now_ns)
            if place and known[place - 1] >= now_ns - SET_NS:
                yield Copy(version, region, now_ns)


BASELINES: Final[Mapping[str, Baseline]] = {
    "never": never,
    # A first start is the one that fills the region, so it waits as if nothing did:
    # only repeated starts tell the two apart.
    "pull_through": never,
    "everywhere": everywhere,
    "set_60d": set_60d,
}
