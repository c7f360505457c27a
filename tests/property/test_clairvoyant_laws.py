"""The clairvoyant is a bound: nothing waits less or moves less, and brute force agrees.

Also the ledger's own laws: it is the plain sum that it stands for where images share
nothing, and nearer sources only shorten waits.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from placement.core.topology import Region
from placement.simulation.baselines import BASELINES
from placement.simulation.clairvoyant import clairvoyant
from placement.simulation.ledger import Copy, Ledger, Sources, settle
from placement.simulation.past import Version
from placement.simulation.world import World
from tests.builders import IAD, LHR, SCL, SECOND_NS, SYD
from tests.small_worlds import Row, small_world

LOCAL_S: Final = 0.33
TOLERANCE_S: Final = 1e-6
CHOICES_MAX: Final = 1_000
BOTH_LIVE: Final = [(-9_000, SYD, "old", "v1"), (-9_000, LHR, "old", "v1")]
"""Long before everything else, so that two regions are live at all pushes."""
KAPPAS: Final = (1.0, 80e6, 1e15)

Pair = tuple[Version, Region]


def rows(count_max: int) -> st.SearchStrategy[list[Row]]:
    """Starts so close together that copies are often late, and regions often new."""
    row = st.tuples(
        st.integers(0, 120),
        st.sampled_from([SYD, LHR, SCL, IAD]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["v1", "v2", "v3"]),
    )
    return st.lists(row, min_size=1, max_size=count_max)


@st.composite
def worlds(draw: st.DrawFn, count_max: int = 12) -> World:
    """Worlds with and without shared layers, uploads that take time, a region down."""
    return small_world(
        draw(rows(count_max)),
        delta_s=draw(st.sampled_from([0.0, 1.0, 10.0, 60.0])),
        layer_share=draw(st.sampled_from([0.0, 0.8])),
        upload_s=draw(st.sampled_from([0.0, 10.0])),
        down=draw(st.sampled_from([(), (LHR,)])),
    )


def chances(world: World) -> dict[Pair, list[Copy]]:
    """Every copy that a policy over live regions could decide, by pair."""
    found: dict[Pair, list[Copy]] = {}
    for version in world.past.versions:
        points = {version.layers_time_ns, version.push_time_ns}
        starts = (x for x in world.first_starts if x.version is version)
        points.update(start.time_ns for start in starts)
        for time_ns in sorted(points):
            for region in world.live(time_ns):
                copies = found.setdefault((version, region), [])
                copies.append(Copy(version, region, time_ns))
    return found


def moved_bytes(ledger: Ledger) -> int:
    """Everything that came into any region."""
    return sum(movement.moved_bytes for movement in ledger.movements)


def cost(ledger: Ledger, kappa: float) -> float:
    """Waits, a second being worth *kappa* bytes, and bytes."""
    waited_s = sum(wait.wait_s for wait in ledger.waits)
    return kappa * waited_s + moved_bytes(ledger)


@settings(deadline=None)
@given(world=worlds(), data=st.data())
def test_no_policy_beats_the_clairvoyant(world: World, data: st.DataObject) -> None:
    """Whatever is copied to live regions, no start waits less and no byte is spared."""
    every = [copy for copies in chances(world).values() for copy in copies]
    chosen = data.draw(st.lists(st.sampled_from(every))) if every else []

    policy = settle(world, chosen)
    best = settle(world, clairvoyant(world))

    for mine, bound in zip(policy.waits, best.waits, strict=True):
        assert bound.wait_s <= mine.wait_s + TOLERANCE_S
    assert moved_bytes(best) <= moved_bytes(policy)


@settings(deadline=None)
@given(world=worlds())
def test_no_baseline_beats_the_clairvoyant(world: World) -> None:
    """Neither do those that are published beside it."""
    best = settle(world, clairvoyant(world))

    for copies in BASELINES.values():
        ledger = settle(world, copies(world))
        for mine, bound in zip(ledger.waits, best.waits, strict=True):
            assert bound.wait_s <= mine.wait_s + TOLERANCE_S
        assert moved_bytes(best) <= moved_bytes(ledger)


@settings(deadline=None)
@given(world=worlds())
def test_clairvoyant_wastes_nothing(world: World) -> None:
    """It copies what is needed, once."""
    best = settle(world, clairvoyant(world))

    assert sum(movement.wasted_bytes for movement in best.movements) == 0
    assert moved_bytes(best) == moved_bytes(settle(world, []))


def subsets(choices: dict[Pair, list[Copy]]) -> Iterator[Sequence[Copy]]:
    """Every policy there is: each pair not at all, or at any one of its points."""
    options = [[None, *copies] for copies in choices.values()]
    for picked in product(*options):
        yield [copy for copy in picked if copy is not None]


@settings(max_examples=40, deadline=None)
@given(
    small=rows(4),
    before=st.sampled_from([[], BOTH_LIVE]),
    delta_s=st.sampled_from([1.0, 10.0, 60.0]),
)
def test_brute_force_agrees(
    small: list[Row], before: list[Row], delta_s: float
) -> None:
    """Where images share nothing, the best of all policies is the clairvoyant.

    For every worth of a second: needed pairs, each at the earliest point, are best for
    waits and for bytes at the same time.
    """
    world = small_world(before + small, delta_s=delta_s)
    choices = chances(world)
    count = 1
    kept: dict[Pair, list[Copy]] = {}
    for pair, copies in choices.items():
        if count * (len(copies) + 1) <= CHOICES_MAX:
            count *= len(copies) + 1
            kept[pair] = copies
    ledgers = [settle(world, copies) for copies in subsets(kept)]
    best = settle(world, clairvoyant(world))
    complete = kept == choices

    for kappa in KAPPAS:
        least = min(cost(ledger, kappa) for ledger in ledgers)
        bound = cost(best, kappa)
        slack = kappa * TOLERANCE_S
        assert bound <= least + slack
        if complete:
            assert least <= bound + slack


@settings(deadline=None)
@given(world=worlds(), data=st.data())
def test_nearer_sources_only_shorten_waits(world: World, data: st.DataObject) -> None:
    """The same bytes move, and nobody waits longer for them."""
    every = [copy for copies in chances(world).values() for copy in copies]
    chosen = data.draw(st.lists(st.sampled_from(every))) if every else []

    home = settle(world, chosen, Sources.HOME)
    nearest = settle(world, chosen, Sources.NEAREST)

    for near, far in zip(nearest.waits, home.waits, strict=True):
        assert near.wait_s <= far.wait_s + TOLERANCE_S
    assert moved_bytes(nearest) == moved_bytes(home)


@settings(deadline=None)
@given(small=rows(12), data=st.data())
def test_ledger_is_a_plain_sum_where_images_share_nothing(
    small: list[Row], data: st.DataObject
) -> None:
    """Each pair alone: what is left of its copy, or all of it; and its bytes once."""
    world = small_world(
        [row for row in small if row[1] in {SYD, LHR}] or [(0, SYD, "a", "v1")]
    )
    every = [copy for copies in chances(world).values() for copy in copies]
    chosen = data.draw(st.lists(st.sampled_from(every))) if every else []
    decided: dict[Pair, int] = {}
    for copy in chosen:
        pair = (copy.version, copy.region)
        decided[pair] = min(copy.time_ns, decided.get(pair, copy.time_ns))

    ledger = settle(world, chosen)

    pairs = {(start.version, start.region): start for start in world.first_starts}
    for wait in ledger.waits:
        version, region = wait.start.version, wait.start.region
        whole_s = world.rules.transfer_s(IAD, region, version.size_bytes)
        expected_s = whole_s
        if (version, region) in decided:
            begun_ns = decided[version, region]
            left_s = whole_s - (wait.start.time_ns - begun_ns) / SECOND_NS
            expected_s = min(whole_s, max(LOCAL_S, left_s))
        assert abs(wait.wait_s - expected_s) < TOLERANCE_S
    touched = set(pairs) | set(decided)
    assert moved_bytes(ledger) == sum(version.size_bytes for version, _ in touched)
    wasted = sum(movement.wasted_bytes for movement in ledger.movements)
    assert wasted == sum(v.size_bytes for v, _ in set(decided) - set(pairs))
