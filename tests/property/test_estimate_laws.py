"""Laws of estimates: over any state and catalogue, whatever was measured.

Where copies have converted an image, several fetches are possible, and the one with the
shortest p50 is told: then only p50 is sure not to grow when another becomes possible.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from placement.core import event as ev
from placement.core.chunks import load, take_dirty
from placement.core.errors import PlacementError
from placement.core.estimate import Duration
from placement.core.event import Fact, RecordedMessage, RegionState
from placement.core.fetch import Fetch, plan_fetch
from placement.core.fold import fold
from placement.core.images import SelectedImage, Selection, select_image
from placement.core.lookup import placement_of
from placement.core.network import Network
from placement.core.oci import Descriptor, Platform, Repository
from placement.core.pushes import rank_push_targets
from placement.core.starts import estimate_starts, hashed
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region, Topology
from tests.builders import (
    AMD64,
    ARM64,
    INDEX,
    LAYER,
    MANIFEST,
    NOWHERE,
    TOPOLOGY,
    descriptor,
    event,
    fold_in,
    folded_log,
)
from tests.steps import taken
from tests.strategies import (
    FACT_STRATEGIES,
    NOW_NS,
    REGIONS,
    examples,
    logs,
    topologies,
)

REPOSITORIES = [Repository("acme/web"), Repository("api")]
SIZES = {"a": 40_000_000, "b": 7_000_000, "c": 900, "d": 900, "e": 500, "f": 3_000_000}
TYPES = {"c": MANIFEST, "d": MANIFEST, "e": INDEX}
GRAPH = {
    "c": (("a", None), ("f", None)),
    "d": (("a", None), ("b", None)),
    "e": (("c", AMD64), ("d", ARM64)),
}
"""An index e of manifests c and d over the base layer a."""


def part(name: str, platform: Platform | None = None) -> Descriptor:
    """Return what one content of the graph is."""
    return descriptor(name, SIZES[name], TYPES.get(name, LAYER), platform)


def pushes() -> SearchStrategy[Fact]:
    """Return pushes of the graph's contents, each as it is."""
    return st.builds(
        lambda name, repository: ev.ContentPushed(
            part(name),
            repository,
            references=tuple(part(*child) for child in GRAPH.get(name, ())),
        ),
        st.sampled_from(list(SIZES)),
        st.sampled_from(REPOSITORIES),
    )


def partials() -> SearchStrategy[Fact]:
    """Return news of what is on its way, some of it there already."""
    return st.builds(
        lambda name, repository, tenths: ev.ContentAnnounced(
            part(name), repository, SIZES[name] * tenths // 10
        ),
        st.sampled_from(list(SIZES)),
        st.sampled_from(REPOSITORIES),
        st.integers(0, 12),
    )


def milliseconds(count: int) -> ev.DurationNs:
    """Return a duration."""
    return ev.DurationNs(count * 1_000_000)


def transfers() -> SearchStrategy[Fact]:
    """Return transfers of all speeds."""
    return st.builds(
        ev.TransferMeasured,
        st.sampled_from(REGIONS),
        st.sampled_from([1, 70_000, 3_000_000, 40_000_000, 2**34]),
        st.sampled_from([1, 5, 100, 700, 5_000, 60_000]).map(milliseconds),
        st.integers(0, 8),
        st.sampled_from(ev.TransferOutcome),
    )


def conversions() -> SearchStrategy[Fact]:
    """Return copies that turned one image into another."""
    return st.builds(
        lambda name, original, repository: ev.ContentReplicated(
            (part(name),),
            repository,
            original_digest=part(original).digest,
            references=tuple(part(*child) for child in GRAPH.get(name, ())),
        ),
        st.sampled_from("cde"),
        st.sampled_from("cde"),
        st.sampled_from(REPOSITORIES),
    )


TOLD: SearchStrategy[Fact] = st.one_of(
    pushes(),
    pushes(),
    pushes(),
    partials(),
    transfers(),
    FACT_STRATEGIES[ev.RegionChanged],
    FACT_STRATEGIES[ev.MachineStarted],
)


@dataclass(frozen=True)
class World:
    """A state, a catalogue, and a region of it that asks."""

    state: State
    topology: Topology
    target: Region

    @property
    def network(self) -> Network:
        """What questions are asked of, fitted anew each time."""
        return Network(self.state, self.topology, NOW_NS)


@st.composite
def worlds(draw: DrawFn, told: SearchStrategy[Fact] = TOLD) -> World:
    """Draw a world in which some regions hold most of the graph, and more was told."""
    topology = draw(st.one_of(st.just(TOPOLOGY), topologies()))
    codes = sorted(topology.regions)
    storing = [code for code in codes if topology.stores(code)]
    state = State()
    owner = draw(st.sampled_from(REPOSITORIES))
    for region in draw(
        st.lists(st.sampled_from(storing), min_size=1, max_size=3, unique=True)
    ):
        absent = draw(st.sets(st.sampled_from(list(SIZES)), max_size=1))
        for name in sorted(set(SIZES) - absent):
            references = tuple(part(*child) for child in GRAPH.get(name, ()))
            push = ev.ContentPushed(part(name), owner, references=references)
            fold_in(state, event(region, push))
    for fact in draw(st.lists(told, max_size=14)):
        fold_in(state, event(draw(st.sampled_from([*codes, NOWHERE])), fact))
    return World(state, topology, draw(st.sampled_from(codes)))


def images(state: State) -> Iterator[SelectedImage]:
    """Yield every image of the graph that *state* knows of, by its platforms."""
    for repository in REPOSITORIES:
        for name in "aced":
            for platform in (None, AMD64, ARM64):
                wanted = Selection(repository, part(name).digest, platform)
                try:
                    yield select_image(state, wanted)
                except PlacementError:
                    continue


def fetches(world: World) -> list[Fetch]:
    """Return how each image comes to the target, and how all of them together do."""
    network = world.network
    known = [(image.owner, image.contents) for image in images(world.state)]
    questions = [*([one] for one in known), known]
    return [plan_fetch(network, question, world.target) for question in questions]


def assert_no_shorter(before: list[Fetch], after: list[Fetch]) -> None:
    """Compare one by one; no estimate at all is the longest."""
    for one, other in zip(before, after, strict=True):
        if other.duration is not None:
            assert one.duration is not None
            assert one.duration.p50_ns <= other.duration.p50_ns
            assert one.duration.p90_ns <= other.duration.p90_ns


def is_there(world: World, repository: Repository, name: str, region: Region) -> bool:
    """Say whether a region has a content whole."""
    state = world.state
    placement = state.find_placement(repository, part(name).digest)
    row = state.regions.find(region.encode())
    found = placement >= 0 and state.phase(placement, row)
    return found >= ReplicaPhase.COMPLETE


def known_contents(world: World) -> list[tuple[Repository, str]]:
    """Return the contents that somebody once spoke of, by repository."""
    return [
        (repository, name)
        for repository in REPOSITORIES
        for name in SIZES
        if world.state.find_placement(repository, part(name).digest) >= 0
    ]


def storage_of(world: World) -> Region:
    """Return the storage region that serves the target."""
    return world.network.storage(world.target)


@examples(150)
@given(worlds(), st.data())
def test_more_missing_bytes_never_shorten_an_estimate(
    world: World, data: st.DataObject
) -> None:
    """Whatever the storage region loses, neither p50 nor p90 gets any shorter."""
    storage = storage_of(world)
    there = [one for one in known_contents(world) if is_there(world, *one, storage)]
    assume(there)
    before = fetches(world)

    repository, lost = data.draw(st.sampled_from(there))
    gone = ev.ContentEvicted(repository, (part(lost).digest,))
    fold_in(world.state, event(storage, gone))

    after = fetches(world)
    assert_no_shorter(before, after)
    for one, other in zip(before, after, strict=True):
        assert one.missing_bytes <= other.missing_bytes


@examples(200)
@given(worlds(), st.data())
def test_another_source_never_lengthens_an_estimate(
    world: World, data: st.DataObject
) -> None:
    """Wherever a content arrives in addition, whole or in part, nothing gets longer."""
    contents = known_contents(world)
    assume(contents)
    before = fetches(world)

    repository, name = data.draw(st.sampled_from(contents))
    arrivals: list[Fact] = [
        ev.ContentReplicated((part(name),), repository),
        ev.ContentAnnounced(part(name), repository, SIZES[name]),
    ]
    arrival = data.draw(st.sampled_from(arrivals))
    region = data.draw(st.sampled_from(sorted(world.topology.regions)))
    fold_in(world.state, event(region, arrival))

    assert_no_shorter(fetches(world), before)


@examples(80)
@given(worlds(st.one_of(TOLD, conversions())), st.data())
def test_both_laws_hold_for_the_median_of_converted_images_too(
    world: World, data: st.DataObject
) -> None:
    """A start takes the equivalent that is there first, so a choice never hurts it."""
    contents = known_contents(world)
    assume(contents)
    known = list(images(world.state))
    repository, name = data.draw(st.sampled_from(contents))

    def medians() -> list[float]:
        network = world.network
        found = [
            estimate_starts(network, [image], [world.target], "") for image in known
        ]
        return [
            float("inf") if one.wait is None else one.wait.p50_ns for [one] in found
        ]

    storage = storage_of(world)
    before = medians()
    if is_there(world, repository, name, storage):
        gone = ev.ContentEvicted(repository, (part(name).digest,))
        fold_in(world.state, event(storage, gone))
        assert all(one <= other for one, other in zip(before, medians(), strict=True))
        before = medians()
    region = data.draw(st.sampled_from(sorted(world.topology.regions)))
    there = ev.ContentReplicated((part(name),), repository)
    fold_in(world.state, event(region, there))

    assert all(one >= other for one, other in zip(before, medians(), strict=True))


def answers(state: State, topology: Topology) -> list[object]:
    """Return everything that is answered about all images, as it is."""
    network = Network(state, topology, NOW_NS)
    regions = tuple(topology.regions)
    found: list[object] = []
    for image in images(state):
        repository, digest = image.selection.repository, image.digest
        found.append(estimate_starts(network, [image], regions, "request-1"))
        found.append(taken(placement_of(network, repository, digest)))
    found.extend(
        rank_push_targets(network, repository, region, 10**8)
        for repository in REPOSITORIES
        for region in regions
    )
    return found


@examples(50)
@given(logs(st.one_of(TOLD, conversions())), topologies(), st.data())
def test_estimates_are_a_function_of_state_catalogue_and_time(
    log: list[RecordedMessage], topology: Topology, data: st.DataObject
) -> None:
    """Folded again, or from a checkpoint on, the same log gives the same answers."""
    kept = data.draw(st.integers(0, len(log)))

    once = answers(folded_log(log), topology)

    assert once == answers(folded_log(log), topology)
    first, restored = folded_log(log[:kept]), State()
    load(restored, take_dirty(first))
    restored.sequence = first.sequence
    for message in log[kept:]:
        fold(restored, message)
    assert once == answers(restored, topology)


@examples(80)
@given(worlds(), st.data(), st.sampled_from(["", "r1", "r2"]))
def test_starts_are_in_a_total_order(
    world: World, data: st.DataObject, spread: str
) -> None:
    """By state of the region, wait or none, its length, the caller's hash, the code."""
    chosen = list(images(world.state))
    assume(chosen)
    asked = chosen[: data.draw(st.integers(1, len(chosen)))]
    candidates = data.draw(st.permutations(sorted(world.topology.regions)))
    network = world.network

    found = estimate_starts(network, asked, candidates, spread)

    assert found == estimate_starts(network, asked, sorted(candidates), spread)
    assert sorted(one.region for one in found) == sorted(candidates)
    best: dict[RegionState, int] = {}
    for one in found:
        if one.wait is not None:
            group = network.region_state(one.region)
            best[group] = min(best.get(group, one.wait.p50_ns), one.wait.p50_ns)
    keys = []
    for one in found:
        group, wait_ns = network.region_state(one.region), 0
        if one.wait is not None:
            near_ns = round(best[group] * 1.1) if spread else 0
            wait_ns = max(near_ns, one.wait.p50_ns)
            assert 0 < one.wait.p50_ns <= one.wait.p90_ns
        place = hashed(spread, one.region) if spread else b""
        keys.append((group, one.wait is None, wait_ns, place, one.region))
    assert all(one < other for one, other in pairwise(keys))


@examples(80)
@given(worlds())
def test_supplies_are_regions_that_may_serve_and_have_something(world: World) -> None:
    """Never the storage region itself, one that is down, or one without storage."""
    for fetch in fetches(world):
        for content in fetch.contents:
            ordered = [(s.duration.p50_ns, s.region) for s in content.supplies]
            assert ordered == sorted(ordered)
            for supply in content.supplies:
                assert supply.region != fetch.storage
                assert world.topology.stores(supply.region)
                said = world.state.region_state(supply.region, NOW_NS)
                assert said is not RegionState.DOWN
                whole = supply.phase >= ReplicaPhase.COMPLETE
                assert (supply.ready == Duration(0, 0)) is whole
