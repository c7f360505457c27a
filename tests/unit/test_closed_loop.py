"""The closed loop: the same figures as the back-test, and reasons that are right."""

import pytest

from placement.core import copies
from placement.core.deciding.decide import decide
from placement.core.deciding.desk import desk_at
from placement.core.deciding.wants import wants_of
from placement.core.decisions import decision_at
from placement.core.event import Recorded, ReplicationPlanned, ReplicationWithheld
from placement.core.fingerprint import fingerprint
from placement.core.fold import fold
from placement.core.network import Network
from placement.core.oci import Digest
from placement.core.policy import DEFAULT
from placement.core.ranking import Question, Ranking, rank_sources
from placement.core.state import State
from placement.core.tables.cells import StartOutcome
from placement.core.tables.table import Row
from placement.simulation.backtest import subject_of_trace
from placement.simulation.closed_loop import EPOCH, ClosedLoop
from placement.simulation.ledger import Sources
from placement.simulation.loop_copier import Mishaps
from placement.simulation.replay import Replay
from placement.simulation.rules import rules_of
from placement.simulation.scores import PolicyScore, Scorer
from placement.simulation.world import World
from tests.closed_loops import NAMES, NO_CONTROL_GROUP, cut, lived, setting

MARKED = [
    pytest.param(name, marks=() if name == "govuk" else pytest.mark.long)
    for name in NAMES
]
"""The largest takes half a minute to live through."""
ROWS = 300
POINT = 0.01
UNLIMITED = NO_CONTROL_GROUP + "[limits]\nregion_copies_in_flight = 0\n"


def both_scores(
    name: str, sources: Sources, *, at_once: bool
) -> tuple[PolicyScore, PolicyScore]:
    """The score of the back-test and that of the closed loop, of one cut."""
    how = setting(UNLIMITED, sources=sources, at_once=at_once)
    trace = cut(name, ROWS)
    subject = subject_of_trace(name, trace, how.assumptions, how.topology)
    world = World(subject.past, rules_of(how.assumptions, how.topology))
    replay = Replay(world, {"default": DEFAULT})
    for _ in replay.run(subject.instants()):
        pass
    scorer = Scorer(world, sources=sources)
    loop = lived(name, trace, how)
    return (
        scorer.score(replay.played["default"].copies),
        scorer.score_of(loop.ledger),
    )


@pytest.mark.parametrize("name", NAMES)
def test_closed_loop_comes_to_what_the_back_test_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With copies priced from home and starts told at once, all figures are equal."""
    real = rank_sources

    def from_home(network: Network, question: Question, digest: Digest) -> Ranking:
        found = real(network, question._replace(source_count_max=50), digest)
        home = setting().assumptions.regions[name].home
        ranked = sorted(found.sources, key=lambda source: source.region != home)
        return found._replace(sources=tuple(ranked))

    monkeypatch.setattr(copies, "rank_sources", from_home)

    replayed, looped = both_scores(name, Sources.HOME, at_once=True)

    assert looped.saved_s == pytest.approx(replayed.saved_s)
    assert looped.wasted_bytes == replayed.wasted_bytes
    assert looped.bytes_moved_ratio == pytest.approx(replayed.bytes_moved_ratio)
    assert {k: v.count for k, v in looped.misses.items()} == {
        k: v.count for k, v in replayed.misses.items()
    }


@pytest.mark.parametrize("name", MARKED)
def test_headline_is_the_same_within_a_point(name: str) -> None:
    """Nor does it change the benefit by a point that a nearer copy is the source."""
    replayed, looped = both_scores(name, Sources.NEAREST, at_once=True)

    assert replayed.benefit is not None
    assert looped.benefit == pytest.approx(replayed.benefit, abs=POINT)
    assert looped.bytes_moved_ratio == pytest.approx(
        replayed.bytes_moved_ratio, abs=POINT
    )


DECIDED = (ReplicationPlanned, ReplicationWithheld)
MISHAPS = Mishaps(unreachable=0.1, never_begun=0.05)
TIGHT = (
    "holdout_fraction = 0.1\n[limits]\nregion_copies_in_flight = 8\n"
    "decision_seconds = 120\n"
)


@pytest.fixture(scope="module", params=MARKED)
def troubled(request: pytest.FixtureRequest) -> ClosedLoop:
    """A loop with a control group, a tight budget, and copies that do not come."""
    how = setting(TIGHT, mishaps=MISHAPS, keeps_log=True)
    return lived(request.param, cut(request.param, ROWS), how)


def test_every_start_has_the_reason_that_is_true(troubled: ClosedLoop) -> None:
    """What the fold says of each start is what the simulation knows of it."""
    told = troubled.machines.told

    assert len(told) == len(troubled.world.past.starts)
    assert [one for one in told if not one.explained] == []
    assert not {one.told for one in told} & {StartOutcome.UNKNOWN}
    assert {one.told for one in told} >= {
        StartOutcome.LOCAL,
        StartOutcome.NEVER_PREDICTED,
        StartOutcome.CONTROL_GROUP,
        StartOutcome.SOURCE_UNHEALTHY,
    }


def test_every_decision_has_a_reason_and_evidence(troubled: ClosedLoop) -> None:
    """No decision in the log lacks a reason, an explanation or its factors."""
    decided = [
        item.event.fact
        for message in troubled.log.messages
        for item in message.items
        if isinstance(item, Recorded)
        and isinstance(item.event.fact, ReplicationPlanned | ReplicationWithheld)
    ]

    assert len(decided) > ROWS / 10
    assert all(one.reason and one.explanation and one.factors for one in decided)
    assert all(one.start_regions and one.policy for one in decided)


def test_folding_the_log_again_makes_no_decision_again(troubled: ClosedLoop) -> None:
    """The log alone gives the same state, and a planner repeats none of its decisions.

    Even if it took all that ever became due for news.
    """
    again = State()
    for message in troubled.log.messages:
        fold(again, message)

    desk = desk_at(again, troubled.setting.topology, EPOCH, again.store_time_ns)
    due = again.indexes.agenda.take()
    wants = [want for each in due for want in wants_of(desk, each)]
    found = {event.event_id for event in decide(desk, wants, "another").events}

    made = {
        item.event.event_id
        for message in troubled.log.messages
        for item in message.items
        if isinstance(item, Recorded) and isinstance(item.event.fact, DECIDED)
    }
    assert fingerprint(again) == fingerprint(troubled.state)
    assert len(due) > ROWS / 10
    assert len(made) > ROWS / 10
    assert found & made == set()


def test_waits_are_credited_to_the_decisions_before_them(troubled: ClosedLoop) -> None:
    """What decisions were used for adds up to starts that the loop has seen."""
    state = troubled.state
    decisions = [decision_at(state, Row(row)) for row in range(len(state.decisions))]
    used = [one for one in decisions if one.used_ns]

    assert used
    assert all(one.waited_count == one.start_count for one in used)
    assert {one.used_ns for one in used} <= {
        one.time_ns for one in troubled.machines.told
    }
