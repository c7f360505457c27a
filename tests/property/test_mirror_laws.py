"""Laws of the local replica: it knows what it was told, and answers as the service."""

from collections.abc import Sequence
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    InventoryTaken,
    RecordedMessage,
    RegionChanged,
    TagMoved,
    TransferMeasured,
)
from placement.core.fold import fold
from placement.core.images import Selection
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.packing import selection
from placement.core.packing.selection import PackedInterest, SharedChunks
from placement.core.ranking import Question
from placement.core.state import State
from placement.core.tables.changes import Changes
from placement.core.topology import Topology
from placement.core.watched import Interest, SnapshotReason
from placement.runtime.view import View
from placement.runtime.watcher import Watcher, WatchSettings, parse_watch_token
from tests.builders import AMS, FRA, SECOND_NS, START_NS, folded_log
from tests.mirroring import (
    MOST,
    MirrorListener,
    anywhere,
    assert_same_ranking,
    known_placements,
    known_references,
    known_tags,
    local_estimates,
    repositories_of,
    service_estimates,
)
from tests.strategies import (
    DIGESTS,
    FACT_STRATEGIES,
    examples,
    image_facts,
    logs,
    topologies,
)
from tests.watching import expected

REGIONS = [frozenset[str](), frozenset({AMS}), frozenset({AMS, FRA})]
PREFIXES = [(), (Repository("acme"),), (Repository("api"), Repository("a"))]
TOLD = (
    ContentAnnounced,
    ContentEvicted,
    ContentPushed,
    ContentPushed,
    ContentReplicated,
    ContentReplicated,
    InventoryTaken,
    RegionChanged,
    TagMoved,
    TransferMeasured,
)
LOGS = logs(
    of=st.one_of(image_facts(), *(FACT_STRATEGIES[fact] for fact in TOLD)), most=20
)
NOW_NS = START_NS + 3600 * SECOND_NS
ALL = Interest(tags=True)

interests: st.SearchStrategy[Interest] = st.builds(
    Interest, st.sampled_from(REGIONS), st.sampled_from(PREFIXES), tags=st.booleans()
)
pauses: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 3), max_size=30)


class Clock:
    """A clock that goes on by two seconds whenever it is read."""

    def __init__(self) -> None:
        """Begin before any fact is too old."""
        self.now_ns = START_NS

    def __call__(self) -> int:
        """Return a later time."""
        self.now_ns += 2 * SECOND_NS
        return self.now_ns


def new_view(state: State, epoch: str = "e") -> View:
    """Return a view of *state* with a clock that always goes on."""
    view = View(Clock())
    view.replace(state, epoch, restored=False)
    return view


def follow(
    view: View,
    interest: PackedInterest,
    listener: MirrorListener,
    log: list[RecordedMessage],
    counts: Sequence[int],
) -> None:
    """Watch, so many messages of *log* folded before each step; check each bookmark."""
    resume = parse_watch_token(listener.token) if listener.token else None
    settings = WatchSettings(batch_item_count=1, slice_s=60)
    watcher = Watcher(view, interest, resume, settings, lambda: 0.0)
    for count in counts:
        for item in log[:count]:
            fold(view.state, item)
        del log[:count]
        view.advanced()
        for _ in listener.hear(watcher.step()):
            assert_known(listener, view.state, interest.interest)
            assert listener.sequence == view.state.sequence


def assert_known(listener: MirrorListener, state: State, interest: Interest) -> None:
    """Assert that a mirror knows what is watched of *state*, and nothing else."""
    placements, tags = expected(state, interest)
    assert known_placements(listener.mirror) == placements
    assert known_tags(listener.mirror) == tags


def to_the_end(log: list[RecordedMessage]) -> list[int]:
    """Return steps that fold all of *log* and leave nothing to tell."""
    return [len(log), *[0] * 30]


def mirrored(state: State, interest: Interest = ALL) -> MirrorListener:
    """Return who was told all of *state*."""
    listener = MirrorListener()
    follow(new_view(state), PackedInterest(interest), listener, [], to_the_end([]))
    return listener


@examples(80)
@given(LOGS, interests, pauses)
def test_replica_knows_by_a_bookmark_what_the_state_holds(
    log: list[RecordedMessage], interest: Interest, counts: list[int]
) -> None:
    """Snapshot and changes, filtered or not, however the fold runs on between."""
    view, listener = new_view(State()), MirrorListener()

    follow(view, PackedInterest(interest), listener, log, [*counts, *to_the_end(log)])

    assert_known(listener, view.state, interest)
    assert listener.reasons == [SnapshotReason.REQUESTED]
    assert not listener.in_snapshot


@examples(60)
@given(LOGS, interests, st.lists(pauses, max_size=3))
def test_replica_that_comes_back_goes_on_without_a_snapshot(
    log: list[RecordedMessage], interest: Interest, visits: list[list[int]]
) -> None:
    """What it is told again changes nothing, once it was told all."""
    view, listener = new_view(State()), MirrorListener()
    packed = PackedInterest(interest)
    follow(view, packed, listener, log, [1, *to_the_end([])])

    for counts in [*visits, to_the_end(log)]:
        follow(view, packed, listener, log, [1, *counts])

    assert_known(listener, view.state, interest)
    assert listener.reasons == [SnapshotReason.REQUESTED]


@examples(60)
@given(LOGS, st.lists(pauses, min_size=1, max_size=4), st.integers(1, 6))
def test_replicas_that_share_chunks_know_the_same(
    log: list[RecordedMessage], visits: list[list[int]], capacity: int
) -> None:
    """Whoever joins a snapshot is told what changed since its chunks were packed.

    A chunk here is of two rows, so that most of them are shared.
    """
    state, shared = State(), SharedChunks()
    state.indexes.changes = Changes(capacity)
    view, rest = new_view(state), [0] * 90

    with patch.multiple(selection, BLOCK_ROWS=2, TAG_ROWS=2, DIGEST_ROWS=2):
        for counts in [*visits, to_the_end(log)]:
            listener, interest = MirrorListener(), PackedInterest(ALL, shared)
            follow(view, interest, listener, log, [*counts, *rest])
            assert_known(listener, view.state, ALL)
            joined = MirrorListener()
            follow(view, interest, joined, [], rest)
            told = known_references(joined.mirror, state)
            assert told == known_references(mirrored(state).mirror, state)


@examples(120)
@given(LOGS, topologies())
def test_replica_ranks_as_the_service_does(
    log: list[RecordedMessage], topology: Topology
) -> None:
    """The same sources in the same order, with the same seconds."""
    state = folded_log(log)
    mirror = mirrored(state).mirror
    network = Network(state, topology, NOW_NS)

    for repository in [*repositories_of(state, ALL), Repository("never/heard")]:
        for digest in DIGESTS:
            for region in sorted(topology.regions):
                question = Question(repository, region, MOST)
                assert_same_ranking(mirror, network, question, digest)


@examples(120)
@given(LOGS, topologies())
def test_replica_estimates_as_the_service_does(
    log: list[RecordedMessage], topology: Topology
) -> None:
    """Every region's wait, what is missing there, where it comes from, and why."""
    state = folded_log(log)
    mirror = mirrored(state).mirror
    network = Network(state, topology, NOW_NS)

    for repository in repositories_of(state, ALL):
        for digest in DIGESTS:
            if not anywhere(state, digest):
                continue
            selection = Selection(repository, digest)
            service = service_estimates(network, selection)
            local = local_estimates(mirror, topology, selection, NOW_NS)
            if state.replicas_of(state.find_placement(repository, digest)):
                assert local == service
