"""Closed loops for tests: cuts of the carried traces, and small worlds of their own."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Final

from placement.config import Config, load_topology
from placement.core.oci import Repository, Tag
from placement.core.topology import Topology
from placement.simulation.assumptions import Assumptions, RegionMap, load_assumptions
from placement.simulation.closed_loop import ClosedLoop, LoopSetting, loop_of
from placement.simulation.ledger import Sources
from placement.simulation.loop_copier import NONE_FAIL, Mishaps
from placement.simulation.trace import Kind, Trace, TraceRow, read_trace
from tests.builders import AMS, IAD, LHR, SYD, TOPOLOGY
from tests.small_worlds import BEGIN_S

NAMES: Final = ("govuk", "konflux", "phalanx")
NO_CONTROL_GROUP: Final = "holdout_fraction = 0.0\n"
DAY_S: Final = 86_400


def cut(name: str, row_count: int) -> Trace:
    """The first rows of a carried trace."""
    carried = Path(str(files("placement").joinpath(f"data/traces/{name}.csv.gz")))
    return Trace(read_trace(carried).rows[:row_count])


@cache
def catalogue() -> Topology:
    """The shipped catalogue."""
    return load_topology(Config())


def setting(
    document: str = NO_CONTROL_GROUP,
    *,
    mishaps: Mishaps = NONE_FAIL,
    sources: Sources = Sources.NEAREST,
    at_once: bool = False,
    keeps_log: bool = False,
) -> LoopSetting:
    """A setting with the carried assumptions and the shipped catalogue."""
    return LoopSetting(
        load_assumptions(),
        catalogue(),
        document,
        mishaps,
        sources,
        tells_at_once=at_once,
        keeps_log=keeps_log,
    )


def lived(name: str, trace: Trace, how: LoopSetting) -> ClosedLoop:
    """The loop of a trace, to its end."""
    return ended(loop_of(name, trace, how))


def ended(loop: ClosedLoop) -> ClosedLoop:
    """The loop, run to its end."""
    for _ in loop.run():
        pass
    return loop


def small_loop(seed: str, holdout: float, assumed: Assumptions) -> ClosedLoop:
    """A small world to its end: apps whose versions reach some of three regions.

    *seed* draws the world, the sizes of its images, and by the apps' names the lots.
    """
    trace = Trace(tuple(_rows(seed)))
    regions = RegionMap(IAD, {str(x): x for x in (AMS, LHR, SYD)})
    sizes = replace(assumed.sizes, seed=seed)
    how = LoopSetting(
        replace(assumed, sizes=sizes), TOPOLOGY, f"holdout_fraction = {holdout}\n"
    )
    return ended(ClosedLoop(trace, regions, replace(how, sources=Sources.NEAREST)))


def _rows(seed: str) -> Iterator[TraceRow]:
    """Yield deploys: each app has its own regions, where most versions go."""
    chance = Random(seed)
    apps = [f"w{seed}/app{number}" for number in range(8)]
    homes = {
        app: chance.sample((AMS, LHR, SYD), chance.choice((1, 2, 3))) for app in apps
    }
    rows = []
    for app in apps:
        for number in range(25):
            at_s = BEGIN_S + number * DAY_S + chance.randrange(DAY_S // 2)
            for region in homes[app]:
                if chance.random() < 0.7:
                    lag_s = chance.choice((0, 10, 120, 3_600))
                    start = TraceRow(
                        at_s + lag_s,
                        str(region),
                        Repository(app),
                        Tag(f"v{number}"),
                        Kind.START,
                    )
                    rows.append(start)
    yield from sorted(rows, key=lambda row: row.time_s)
