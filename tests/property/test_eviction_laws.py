"""Laws of what leaves a storage region, over random histories of small registries.

What may leave is carried out and looked at afterwards by other means than the rule's:
machines that the test started itself, and plain walks over what each region holds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from placement.core.deciding.eviction import (
    Removal,
    removable,
    removal_contents,
)
from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.keep import Keep
from placement.core.deciding.limits import Limits
from placement.core.deciding.safety import refusal
from placement.core.decisions import DecisionRecord, open_copies
from placement.core.event import AppWithdrawn, RecordedMessage, RegionState
from placement.core.graph import contents
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LHR,
    SCL,
    TOPOLOGY,
    changed,
    event,
    folded_log,
)
from tests.storehouses import PICTURES, History, Picture
from tests.strategies import NOW_NS, examples, image_facts, logs

STORING = (AMS, FRA, IAD, LHR)
STARTING = (*STORING, SCL)
Place = tuple[Region, Repository, Digest]


@dataclass
class Told:
    """A history, with what the test itself knows of it."""

    history: History = field(default_factory=History, repr=False)
    machines: dict[str, tuple[Region, Picture]] = field(default_factory=dict)
    pins: set[tuple[Picture, Region | None]] = field(default_factory=set)


pictures = st.sampled_from(PICTURES)
storing = st.sampled_from(STORING)


def _push(told: Told, draw: DrawFn) -> None:
    told.history.push(draw(pictures), *draw(st.sets(storing, min_size=1, max_size=4)))


def _copy(told: Told, draw: DrawFn) -> None:
    told.history.copy(draw(pictures), draw(storing), draw(storing))


def _plan_copy(told: Told, draw: DrawFn) -> None:
    told.history.plan_copy(draw(pictures), draw(storing), draw(storing))


def _release(told: Told, draw: DrawFn) -> None:
    """Push a version, copy it, and let it replace what a machine ran there."""
    picture, region = draw(pictures), draw(storing)
    told.history.push(picture, *draw(st.sets(storing, min_size=1, max_size=3)))
    told.history.copy(picture, IAD, region)
    _run(told, picture, region, f"in-{region}")
    told.history.wait(draw(st.sampled_from([0, 2, 9])))


def _run(told: Told, picture: Picture, region: Region, machine: str) -> None:
    told.history.start(picture, region, machine)
    told.machines[machine] = (region, picture)


def _start(told: Told, draw: DrawFn) -> None:
    machine = draw(st.sampled_from(["m1", "m2"]))
    _run(told, draw(pictures), draw(st.sampled_from(STARTING)), machine)


def _stop(told: Told, draw: DrawFn) -> None:
    if told.machines:
        machine = draw(st.sampled_from(sorted(told.machines)))
        region, _ = told.machines.pop(machine)
        told.history.stop(region, machine)


def _pin(told: Told, draw: DrawFn) -> None:
    picture, region = draw(pictures), draw(st.none() | storing)
    told.history.pin(picture, *([region] if region else []))
    told.pins.add((picture, region))


def _wait(told: Told, draw: DrawFn) -> None:
    told.history.wait(draw(st.sampled_from([0.1, 1, 2, 8, 40])))


def _region(told: Told, draw: DrawFn) -> None:
    state = draw(st.sampled_from(RegionState))
    told.history.tell(changed(draw(storing), state))


def _withdraw(told: Told, draw: DrawFn) -> None:
    owner = draw(pictures).repository
    told.history.tell(event(draw(st.sampled_from(STARTING)), AppWithdrawn(owner)))


STEPS: list[Callable[[Told, DrawFn], None]] = [
    *(_release, _release, _release, _release, _release, _release, _release, _push),
    *(_copy, _start, _stop, _stop, _wait, _wait, _plan_copy, _pin, _region),
    _withdraw,
]


@st.composite
def histories(draw: DrawFn) -> Told:
    """Draw a history; most of it is so long ago that graces are over."""
    told = Told()
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=5, max_size=16)):
        step(told, draw)
    told.history.wait(draw(st.sampled_from([0, 3, 45])))
    return told


@st.composite
def guardrails(draw: DrawFn) -> Guardrails:
    """Draw what a planner keeps to; mostly less than is usual, so that more leaves."""
    keep = Keep(
        previous_versions=draw(st.integers(0, 2)),
        grace_days=draw(st.sampled_from([0.0, 1.0, 6.0])),
        recent_versions=draw(st.integers(0, 3)),
        recent_days=draw(st.sampled_from([0.0, 35.0])),
        unused_days=draw(st.sampled_from([0.0, 30.0])),
        pull_days=draw(st.sampled_from([0.0, 5.0])),
        storage_bytes=draw(
            st.dictionaries(storing, st.sampled_from([1, 1_200, 3_000]))
        ),
    )
    return Guardrails(keep=keep, limits=Limits(min_copies=draw(st.integers(1, 3))))


def held(state: State) -> set[Place]:
    """Return every content that a region can serve from a repository."""
    found = set()
    for placement in range(len(state.placements)):
        repository, digest = state.placement_at(Row(placement))
        for record in state.replicas_of(Row(placement)):
            if record.phase >= ReplicaPhase.COMPLETE:
                found.add((record.region, repository, digest))
    return found


def active(network: Network) -> list[Region]:
    """Return the storage regions in full use."""
    return [
        region
        for region in TOPOLOGY.regions
        if TOPOLOGY.stores(region)
        and network.region_state(region) is RegionState.ACTIVE
    ]


def whole_in(network: Network, every: set[Place], picture: Picture) -> list[Region]:
    """Return the active regions that hold all of an image."""
    graph = {manifest.digest for manifest, _ in picture.references}
    graph |= {layer.digest for layer in picture.layers}
    return [
        region
        for region in active(network)
        if all((region, picture.repository, digest) in every for digest in graph)
    ]


def all_of(picture: Picture) -> set[Digest]:
    """Return the digests of an image."""
    digests = {manifest.digest for manifest, _ in picture.references}
    return digests | {layer.digest for layer in picture.layers}


def broken(
    told: Told, before: set[Place], after: set[Place], rules: Guardrails
) -> list[str]:
    """Return what was lost that had to stay."""
    network, lost = told.history.network, before - after
    usable = set(active(network))
    found = [
        f"the last copy of {repository} {digest[-4:]} left {region}"
        for region, repository, digest in lost
        if not any((other, repository, digest) in after for other in usable)
    ]
    for region, picture in told.machines.values():
        if lost & places(picture, {region, network.storage(region)}):
            found.append(f"a running image left {region}")
        wanted = min(rules.limits.min_copies, len(whole_in(network, before, picture)))
        if len(whole_in(network, after, picture)) < wanted:
            found.append(f"too few copies of what runs in {region}")
    for picture, pinned in told.pins:
        if lost & places(picture, {pinned} if pinned else set(STORING)):
            found.append(f"a pinned image left {pinned}")
    return [*found, *_halved(lost, after), *_stopped(network, lost)]


def places(picture: Picture, regions: set[Region]) -> set[Place]:
    """Return everything of an image in some regions."""
    return {
        (region, picture.repository, digest)
        for region in regions
        for digest in all_of(picture)
    }


def _halved(lost: set[Place], after: set[Place]) -> Iterator[str]:
    """Yield the images that stayed and lost a part."""
    for region, repository, digest in after:
        for picture in PICTURES:
            root = (picture.repository, picture.digest)
            if (repository, digest) == root and lost & places(picture, {region}):
                yield f"{digest[-4:]} stays in {region} and lost a part"


def _stopped(network: Network, lost: set[Place]) -> Iterator[str]:
    """Yield the copies on their way that lost what they need."""
    state = network.state
    for copy in (one for region in STORING for one in _flying(state, region)):
        moving = contents(state, state.content_of(copy.placement))
        digests = {state.digest_at(row) for row in moving}
        ends = {copy.source, copy.target}
        if any(region in ends and digest in digests for region, _, digest in lost):
            yield f"what travels from {copy.source} to {copy.target} left"


def _flying(state: State, target: Region) -> list[DecisionRecord]:
    """Return the copies into a region that are to be carried out."""
    row = state.regions.find(target.encode())
    return [] if row == ABSENT else open_copies(state, row)


def stored_bytes(state: State, region: Region) -> int:
    """Return what a region stores, each content once."""
    digests = {digest for where, _, digest in held(state) if where == region}
    return sum(state.size_bytes(state.find_digest(digest)) for digest in digests)


def carry_out(told: Told, removal: Removal) -> None:
    """Delete what a removal says."""
    image = removal.image
    told.history.remove(removal.region, image.repository, removal.contents)


@examples(250)
@given(histories(), guardrails())
def test_removals_one_after_another_lose_nothing(told: Told, rules: Guardrails) -> None:
    """Whatever leaves, asking again each time: no last copy, running image or pin."""
    history = told.history
    for _ in range(40):
        network = history.network
        found = [r for region in STORING for r in removable(network, rules, region)]
        if not found:
            return
        before = held(history.state)

        carry_out(told, found[0])

        assert broken(told, before, held(history.state), rules) == []
        assert held(history.state) < before
    message = "removals came to no end"
    raise AssertionError(message)


@examples(250)
@given(
    told=histories(),
    rules=guardrails(),
    random=st.randoms(use_true_random=False),
    asks_again=st.booleans(),
)
def test_removals_planned_together_lose_nothing(
    told: Told, rules: Guardrails, random: Random, *, asks_again: bool
) -> None:
    """Planned for all regions, each seeing those before; carried out in any order.

    Whether or not whoever carries them out asks again first, as it should.
    """
    history = told.history
    planned = []
    for region in random.sample(STORING, len(STORING)):
        found = removable(history.network, rules, region)
        planned += [(history.plan_removal(removal), removal) for removal in found]
    before = held(history.state)
    random.shuffle(planned)

    for named, removal in planned:
        placement = history.state.find_placement(
            removal.image.repository, removal.image.digest
        )
        network = history.network
        gone = removal.contents
        if asks_again:
            gone = removal_contents(network, rules, placement, removal.region)
        if gone:
            image = removal.image
            history.remove(removal.region, image.repository, gone, named)
        else:
            history.call_off(named, removal.region)

    assert broken(told, before, held(history.state), rules) == []


@examples(150)
@given(histories(), guardrails())
def test_a_list_of_removals_may_be_carried_out_as_it_is(
    told: Told, rules: Guardrails
) -> None:
    """One region's list, none of it asked again: nothing is lost, and bytes add up."""
    history = told.history
    for region in STORING:
        before, stored = held(history.state), stored_bytes(history.state, region)
        found = removable(history.network, rules, region)

        for removal in found:
            carry_out(told, removal)

        assert broken(told, before, held(history.state), rules) == []
        freed = stored - stored_bytes(history.state, region)
        assert freed == sum(removal.reclaimed_bytes for removal in found)


def anew(network: Network) -> Network:
    """Return what knows the same, and has answered nothing yet."""
    return Network(network.state, network.topology, network.now_ns)


@examples(150)
@given(histories(), guardrails())
def test_removals_are_in_one_order(told: Told, rules: Guardrails) -> None:
    """The same twice, each content once, and nothing that is refused."""
    network = told.history.network
    for region in STORING:
        found = removable(network, rules, region)

        assert found == removable(anew(network), rules, region)
        named = [(one.image.repository, one.image.digest) for one in found]
        assert len(set(named)) == len(named)
        for removal in found:
            placement = network.state.find_placement(*named[found.index(removal)])
            assert refusal(network, rules, placement, region) == ""


@examples(200)
@given(logs(image_facts(), most=16), guardrails())
def test_no_log_makes_a_last_copy_leave(
    log: list[RecordedMessage], rules: Guardrails
) -> None:
    """Graphs in circles, lies and late news: what leaves is whole in another region."""
    state = folded_log(log)
    network = Network(state, TOPOLOGY, NOW_NS)
    every = held(state)

    for region in STORING:
        for removal in removable(network, rules, region):
            owner = removal.image.repository
            root = state.find_digest(removal.image.digest)
            here = {
                state.digest_at(row)
                for row in contents(state, root)
                if (region, owner, state.digest_at(row)) in every
            }
            assert set(removal.contents) <= here
            assert any(
                all((other, owner, digest) in every for digest in here)
                for other in active(network)
                if other != region
            )
            assert not _runs(network, removal)


def _runs(network: Network, removal: Removal) -> bool:
    """Say whether a machine runs this very digest where the region serves."""
    state = network.state
    placement = state.find_placement(removal.image.repository, removal.image.digest)
    for start in network.topology.regions:
        row = state.regions.find(start.encode())
        use = state.uses.find(PAIR.pack(placement, row)) if row != ABSENT else ABSENT
        served = removal.region in {start, network.storage(start)}
        if use != ABSENT and served and state.uses.values(Row(use))[2] > 0:
            return True
    return False
