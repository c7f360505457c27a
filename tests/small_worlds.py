"""Small worlds for back-tests: a few starts of equally large images, pushed to iad."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from placement.core.oci import Repository, Tag
from placement.core.topology import Region, Topology
from placement.simulation.assumptions import Assumptions, RegionMap, load_assumptions
from placement.simulation.ledger import Copy, settle
from placement.simulation.past import Past, Version, past_of
from placement.simulation.rules import rules_of
from placement.simulation.score_from import ScoreFrom
from placement.simulation.trace import Kind, Trace, TraceRow
from placement.simulation.world import World
from tests.builders import IAD, SECOND_NS, TOPOLOGY

BEGIN_S: Final = 1_700_000_000
"""Rows of small traces say their seconds after this moment."""
SIZE_BYTES: Final = 250_000_000
FROM_THE_START: Final = ScoreFrom(0.0)
Row = tuple[int, Region, str, str]
"""Seconds after BEGIN_S, region, app and version of a start."""


def equal_sizes(delta_s: float = 60.0, layer_share: float = 0.0) -> Assumptions:
    """The carried assumptions, but every image is of SIZE_BYTES."""
    carried = load_assumptions()
    sizes = replace(carried.sizes, sigma=0.0)
    varied = carried.varied(delta_s=delta_s, layer_share=layer_share)
    return replace(varied, sizes=sizes)


def trace_of(rows: Iterable[Row]) -> Trace:
    """The starts *rows*, put in the order of time."""
    found = [
        TraceRow(BEGIN_S + at_s, region, Repository(f"t/{app}"), Tag(tag), Kind.START)
        for at_s, region, app, tag in rows
    ]
    return Trace(tuple(sorted(found, key=lambda row: row.time_s)))


def small_past(
    rows: Sequence[Row], assumptions: Assumptions, upload_s: float = 0.0
) -> Past:
    """The past of *rows*, whose regions are those of the tests' catalogue."""
    trace = trace_of(rows)
    codes = {name: Region(name) for name in trace.regions()}
    return past_of(trace, RegionMap(IAD, codes), assumptions, upload_s=upload_s)


def small_world(  # noqa: PLR0913 - whatever a test is about
    rows: Sequence[Row],
    *,
    delta_s: float = 60.0,
    layer_share: float = 0.0,
    upload_s: float = 0.0,
    down: Iterable[Region] = (),
    topology: Topology = TOPOLOGY,
    score_from: ScoreFrom = FROM_THE_START,
) -> World:
    """The world of *rows*."""
    assumptions = equal_sizes(delta_s, layer_share)
    rules = rules_of(assumptions, topology, down)
    return World(small_past(rows, assumptions, upload_s), rules, score_from)


def version_of(world: World, app: str, tag: str) -> Version:
    """The version of *app* that *tag* names."""
    (found,) = (
        version
        for version in world.past.versions
        if (version.repository, version.tag) == (f"t/{app}", tag)
    )
    return found


def copy_of(world: World, app: str, tag: str, region: Region, at_s: float) -> Copy:
    """A copy, *at_s* seconds after BEGIN_S."""
    time_ns = round((BEGIN_S + at_s) * SECOND_NS)
    return Copy(version_of(world, app, tag), region, time_ns)


def waits_s(world: World, *copies: Copy) -> list[float]:
    """The waits of all first starts, by time, after *copies*."""
    return [one.wait_s for one in settle(world, copies).waits]
