"""What roll-backs and stored bytes come to in a back-test."""

from importlib.resources import files
from pathlib import Path

import pytest

from placement.config.catalogue import load_topology
from placement.config.keys import Config
from placement.core.counts import DAY_NS
from placement.core.deciding.keep import Keep
from placement.simulation.assumptions import RegionMap, load_assumptions
from placement.simulation.past import past_of
from placement.simulation.retention import Retention, retention
from placement.simulation.rules import rules_of
from placement.simulation.synthesis import SECOND_NS
from placement.simulation.trace import Kind, Trace, TraceRow, read_trace
from placement.simulation.world import World
from tests.builders import AMS, FRA, IAD, TOPOLOGY
from tests.small_worlds import (
    BEGIN_S,
    FROM_THE_START,
    Row,
    copy_of,
    equal_sizes,
    small_world,
    trace_of,
)

DAY_S = DAY_NS // SECOND_NS
STRICT = Keep(0, 0.0, recent_versions=0, unused_days=0, pull_days=0)
"""Only the current version stays."""
PREVIOUS = Keep(1, 0.0, recent_versions=0, unused_days=0, pull_days=0)


def row(day: float, tag: str, app: str = "web") -> Row:
    """Return a start in ams."""
    return (round(day * DAY_S), AMS, app, tag)


def of(rows: list[Row], keep: Keep) -> Retention:
    """Return what *keep* comes to, of starts alone."""
    return retention(small_world(rows), (), keep)


THERE_AND_BACK = [row(0, "v1"), row(2, "v2"), row(3, "v1"), row(4, "v2")]


def test_a_roll_back_is_a_return_to_an_older_version() -> None:
    """Going forward again is none, nor is a first start."""
    found = of(THERE_AND_BACK, PREVIOUS)

    assert (found.rollbacks, found.local, found.local_share) == (1, 1, 1.0)


def test_what_left_is_not_there_to_roll_back_to() -> None:
    """With the current version alone, every roll-back waits."""
    found = of(THERE_AND_BACK, STRICT)

    assert (found.rollbacks, found.local_share) == (1, 0.0)
    # The newest version stays for the day on which it is rolled back.
    assert found.stored_ratio == pytest.approx((4 + 1) / 4)


def test_bytes_are_stored_for_as_long_as_the_rule_keeps_them() -> None:
    """A grace of half a day after a day's version: half as much again."""
    rows = [row(0, "v1"), row(1, "v2"), row(2, "v3"), row(3, "v4"), row(4, "v4")]
    short = Keep(0, 0.5, recent_versions=0, pull_days=0)

    found = of(rows, short)

    assert found.stored_ratio == pytest.approx((4 + 3 * 0.5) / 4)


def test_a_roll_back_beyond_the_grace_is_too_late() -> None:
    """Whether it comes before or after the image left."""
    for days, local in ((2.9, 1), (3.1, 0)):
        rows = [row(0, "v1"), row(1, "v2"), row(1 + days, "v1")]
        found = of(rows, Keep(0, 3.0, recent_versions=0, pull_days=0))
        assert (found.rollbacks, found.local) == (1, local)


def test_copies_that_nobody_starts_are_stored_too() -> None:
    """Until the policy gives them up."""
    world = small_world([row(0, "v1"), (0, FRA, "web", "v2"), row(10, "v1")])
    waiting = Keep(0, 0.0, recent_versions=0, unused_days=5, pull_days=0)
    copy = copy_of(world, "web", "v2", AMS, 0)

    alone = retention(world, (), waiting)
    found = retention(world, (copy,), waiting)

    assert alone.stored_ratio == pytest.approx(1.0)
    # Ten days of v1 in ams, ten of v2 in fra, and v2 waits five days in ams.
    assert found.stored_ratio == pytest.approx(25 / 20)


def test_an_app_that_left_is_current_nowhere() -> None:
    """Its version has its grace, and its return is no roll-back."""
    starts = trace_of([row(0, "v1"), row(1, "v2"), row(20, "v1"), row(21, "v1")]).rows
    left = TraceRow(BEGIN_S + 4 * DAY_S, AMS, starts[0].repository, None, Kind.REMOVE)
    trace = Trace((*starts[:2], left, *starts[2:]))
    assumptions = equal_sizes()
    past = past_of(trace, RegionMap(IAD, {AMS: AMS}), assumptions)
    world = World(past, rules_of(assumptions, TOPOLOGY), FROM_THE_START)

    found = retention(world, (), Keep(1, 2.0, recent_versions=0, pull_days=0))

    assert found.rollbacks == 0
    # Four days until it left, and the last one. Of v1 three days as the previous one;
    # of both the grace after that.
    assert found.stored_ratio == pytest.approx((4 + 3 + 2 + 1) / (4 + 1))


def test_nothing_leaves_where_pushes_land() -> None:
    """Home is the archive, and no part of the figures."""
    found = of([(0, IAD, "web", "v1"), (DAY_S, IAD, "web", "v2")], STRICT)

    assert (found.stored, found.current) == (0, 0)
    assert found.stored_ratio is None
    assert found.local_share is None


@pytest.mark.parametrize("name", ["govuk", "konflux", "phalanx"])
def test_carried_histories_can_be_rolled_back(name: str) -> None:
    """Cuts of real ones: the rule finds what forgetting at once does not."""
    assumptions, topology = load_assumptions(), load_topology(Config())
    carried = files("placement").joinpath(f"data/traces/{name}.csv.gz")
    trace = read_trace(Path(str(carried)))
    regions = assumptions.map_regions(name, trace.regions(), topology)
    world = World(past_of(trace, regions, assumptions), rules_of(assumptions, topology))

    usual, strict = (retention(world, (), keep) for keep in (Keep(), STRICT))

    assert usual.rollbacks == strict.rollbacks > 0
    assert (usual.local_share or 0) >= 0.94
    assert (usual.stored_ratio or 0) <= 6
    assert (strict.local_share or 0) <= 0.7
    assert (strict.stored_ratio or 0) <= 2
