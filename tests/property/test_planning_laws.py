"""Laws of a plan, over any state and any catalogue."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from placement.core.copies import Candidate, Image
from placement.core.event import RecordedMessage, RegionState
from placement.core.forecast import Forecaster
from placement.core.graph import contents, to_move
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.planning import plan
from placement.core.policy import BUILT_IN, Policy
from placement.core.residency import Residency, ResidencyRule
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Topology
from tests.builders import TOPOLOGY, folded_log
from tests.strategies import DIGESTS, NOW_NS, examples, image_facts, logs, topologies

IMAGES = [
    Image(Repository(repository), digest)
    for repository in ("acme/web", "api")
    for digest in DIGESTS
]


residencies = st.lists(
    st.builds(
        ResidencyRule,
        st.sampled_from([("*",), ("acme/*",), ("api",)]),
        st.lists(st.sampled_from(list(TOPOLOGY.regions)), max_size=3).map(tuple),
        st.lists(st.sampled_from(list(TOPOLOGY.regions)), max_size=3).map(tuple),
    ),
    max_size=2,
).map(lambda rules: Residency(tuple(rules)))
policies = st.sampled_from(sorted(BUILT_IN)).map(BUILT_IN.__getitem__)


def planned(
    state: State, topology: Topology, policy: Policy, images: list[Image]
) -> list[Candidate]:
    """Return the copies of *images* that *policy* wants."""
    network = Network(state, topology, NOW_NS)
    return plan(network, images, Forecaster(state, policy))


def rows_to_move(state: State, candidate: Candidate) -> list[Row]:
    """Return what the target lacks of the candidate's image."""
    repository = state.find_repository(candidate.image.repository)
    digest = state.find_digest(candidate.image.digest)
    target = state.regions.find(candidate.target.encode())
    return to_move(state, repository, digest, target)


@examples(150)
@given(policies, logs(image_facts(), most=16), topologies())
def test_plan_targets_storage_that_lacks_the_image(
    policy: Policy, log: list[RecordedMessage], topology: Topology
) -> None:
    """A copy goes to another region that stores, is not down, and lacks some of it."""
    state = folded_log(log)

    candidates = planned(state, topology, policy, IMAGES)

    for candidate in candidates:
        assert topology.stores(candidate.target)
        assert topology.stores(candidate.source)
        assert candidate.source != candidate.target
        for region in (candidate.source, candidate.target):
            assert state.region_state(region, NOW_NS) is not RegionState.DOWN
        lacking = rows_to_move(state, candidate)
        assert lacking
        assert candidate.transfer_bytes == sum(map(state.size_bytes, lacking))
        assert set(lacking) <= set(
            contents(state, state.find_digest(candidate.image.digest))
        )


@examples(150)
@given(
    policies,
    logs(image_facts(), most=16),
    topologies(),
    st.randoms(use_true_random=False),
)
def test_plan_has_a_total_order(
    policy: Policy, log: list[RecordedMessage], topology: Topology, random: Random
) -> None:
    """The same images asked in any order give the same list, best value first."""
    state = folded_log(log)
    shuffled = list(IMAGES)
    random.shuffle(shuffled)

    candidates = planned(state, topology, policy, IMAGES)

    assert planned(state, topology, policy, shuffled) == candidates
    keys = [
        (
            -candidate.value,
            candidate.image.repository,
            candidate.image.digest,
            candidate.target,
        )
        for candidate in candidates
    ]
    assert all(one < other for one, other in pairwise(keys))


@examples(150)
@given(policies, logs(image_facts(), most=16), topologies(), residencies)
def test_plan_stays_within_the_rules(
    policy: Policy,
    log: list[RecordedMessage],
    topology: Topology,
    residency: Residency,
) -> None:
    """Whatever drains or is down, no copy goes where a rule does not permit it."""
    state = folded_log(log)
    network = Network(state, topology, NOW_NS)

    candidates = plan(network, IMAGES, Forecaster(state, policy), residency)

    for candidate in candidates:
        repository = candidate.image.repository
        assert candidate.target in residency.permitted(topology, repository)


@examples(100)
@given(policies, logs(image_facts(), most=16), topologies())
def test_region_wants_an_image_once(
    policy: Policy, log: list[RecordedMessage], topology: Topology
) -> None:
    """Start regions that one storage region serves are one candidate."""
    candidates = planned(folded_log(log), topology, policy, IMAGES)

    copies = [(candidate.image, candidate.target) for candidate in candidates]
    assert len(copies) == len(set(copies))
    assert all(candidate.start_regions for candidate in candidates)
