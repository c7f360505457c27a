"""Laws of deciding, over random histories and policies.

What a round decides is checked by other means than the rules': the test itself keeps
what is open, what was spent, and what is paused.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from placement.core.deciding.closing import closings
from placement.core.deciding.decide import Round, decide
from placement.core.deciding.desk import Desk
from placement.core.deciding.priority import Priority
from placement.core.deciding.ruling import parse_ruling
from placement.core.deciding.wants import Want
from placement.core.event import (
    Event,
    Identifier,
    RegionState,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationTrigger,
    ReplicationWithheld,
    StartsRequested,
    WithholdReason,
)
from placement.core.fingerprint import fingerprint
from placement.core.fold import fold
from placement.core.graph import contents
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    LHR,
    SCL,
    SYD,
    WEB,
    changed,
    descriptor,
    event,
    message,
    pushed,
    started,
)
from tests.deciding import Office, arrived, pinned, planned, requested, ruled
from tests.strategies import examples

STORING = (AMS, FRA, IAD, LHR, SYD)
STARTING = (*STORING, SCL)
VERSIONS = ("v1", "v2", "v3")
MB = 1_000_000
ROUNDS_MAX = 12

Copied = tuple[Region, Digest]


@dataclass
class Spent:
    """A copy that was decided, as the test remembers it."""

    fact: ReplicationPlanned
    time_ns: int
    organization: str
    open: bool = True
    called_off: bool = False


@dataclass
class Play:
    """An office, what the test knows of it, and the laws that were broken."""

    office: Office = field(default_factory=Office)
    policy: str = ""
    copies: dict[str, Spent] = field(default_factory=dict)
    paused: set[Region] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    numbers: int = 0

    def __repr__(self) -> str:
        """Return what a failing example is told by."""
        return f"Play({self.policy!r})"

    def next_id(self) -> str:
        """Return a name that was not used."""
        self.numbers += 1
        return f"n{self.numbers}"

    def keep(self, events: Sequence[Event]) -> None:
        """Fold decisions without letting time pass, and remember them."""
        office = self.office
        for one in events:
            sequence = office.state.sequence + 1
            fold(office.state, message(sequence, one, store_time_ns=office.now_ns))
            fact = one.fact
            if isinstance(fact, ReplicationPlanned):
                owner = office.state.find_repository(fact.subject.repository)
                organization = office.desk.organization_of(owner)
                kept = Spent(fact, office.now_ns, organization)
                self.copies[fact.subject.replication_id] = kept

    def end(self, fact: ReplicationCompleted | ReplicationFailed) -> None:
        """Let a copy be done, or fail."""
        self.copies[fact.subject.replication_id].open = False
        self.office.tell(event(fact.subject.target_region, fact))

    def call_off(self, fact: ReplicationCancelled | ReplicationExpired) -> None:
        """Let a copy be called off."""
        kept = self.copies[fact.subject.replication_id]
        kept.open, kept.called_off = False, True
        self.office.tell(event(fact.subject.target_region, fact))

    def open_copies(self) -> list[Spent]:
        """Return what is on its way."""
        return [one for one in self.copies.values() if one.open]


# Steps of a history.

regions = st.sampled_from(STORING)
starts = st.sampled_from(STARTING)
versions = st.sampled_from(VERSIONS)
owners = st.sampled_from([WEB, WEB, API])


def _release(play: Play, draw: DrawFn) -> None:
    """Push an image of a shared layer and one of its own; the layers first, or not."""
    version, owner, region = draw(versions), draw(owners), draw(regions)
    base = descriptor(f"base-{owner}", 300 * MB)
    own = descriptor(f"{version}-layer", 400 * MB)
    layers = [
        pushed(f"base-{owner}", region, owner, size_bytes=300 * MB),
        pushed(f"{version}-layer", region, owner, size_bytes=400 * MB),
    ]
    tag = Tag(version)
    manifest = pushed(
        version, region, owner, size_bytes=MB, references=[base, own], tag=tag
    )
    play.office.tell(*layers[draw(st.integers(0, 2)) :])
    if draw(st.booleans()):
        play.office.tell(manifest)


def _start(play: Play, draw: DrawFn) -> None:
    machine = draw(st.sampled_from(["m1", "m2", "m3"]))
    told = started(draw(versions), draw(starts), draw(owners), machine=machine)
    play.office.tell(told)


def _ask_for_starts(play: Play, draw: DrawFn) -> None:
    fact = StartsRequested(draw(owners), Tag(draw(versions)), (draw(starts),))
    play.office.tell(event(IAD, fact))


def _request(play: Play, draw: DrawFn) -> None:
    told = requested(draw(versions), draw(regions), play.next_id(), draw(owners))
    play.office.tell(told)


def _crowd(play: Play, draw: DrawFn) -> None:
    """Release several images of one repository, and ask for all of them in a region."""
    owner, source, target = draw(owners), draw(regions), draw(regions)
    base = descriptor(f"base-{owner}", 300 * MB)
    for version in VERSIONS:
        tag = Tag(version)
        told = pushed(version, source, owner, size_bytes=MB, references=[base], tag=tag)
        wish = requested(version, target, play.next_id(), owner)
        play.office.tell(told, wish)


def _pin(play: Play, draw: DrawFn) -> None:
    play.office.tell(pinned(draw(versions), draw(regions)))


def _arrive(play: Play, draw: DrawFn) -> None:
    play.office.tell(arrived(draw(versions), draw(regions), draw(owners)))


def _change(play: Play, draw: DrawFn) -> None:
    play.office.tell(changed(draw(regions), draw(st.sampled_from(RegionState))))


def _pause(play: Play, draw: DrawFn) -> None:
    where = draw(st.sampled_from([(), (SYD,), (IAD, FRA)]))
    play.paused |= set(where or STORING)
    play.office.tell(event(IAD, ReplicationPaused(where)))


def _resume(play: Play, draw: DrawFn) -> None:
    where = draw(st.sampled_from([(), (SYD,)]))
    play.paused -= set(where or STORING)
    play.office.tell(event(IAD, ReplicationResumed(where)))


def _wait(play: Play, draw: DrawFn) -> None:
    play.office.wait(draw(st.sampled_from([1, 90, 3_700, 90_000, 8 * 86_400])))


def _decide(play: Play, draw: DrawFn) -> None:
    """Decide about what became due, and now and then about everything."""
    office = play.office
    if draw(st.integers(0, 2)) == 0:
        due = office.tick()
    else:
        due = office.state.indexes.agenda.take()
    wants = office.wants(due)
    found = office.decide_on(wants)
    play.broken += broken(play, wants, found)
    play.keep(found.events)


def _close(play: Play, draw: DrawFn) -> None:
    """Close what expired or is there; decide by hand what becomes of another one."""
    office = play.office
    for target in office.state.indexes.decisions.open_targets():
        for one in list(closings(office.desk, target, "planner")):
            assert isinstance(one.fact, ReplicationCancelled | ReplicationExpired)
            play.call_off(one.fact)
    waiting = play.open_copies()
    if not waiting:
        return
    fact = draw(st.sampled_from(waiting)).fact
    subject = fact.subject
    match draw(st.integers(0, 3)):
        case 0:
            play.end(ReplicationFailed(subject))
        case 1:
            play.call_off(ReplicationCancelled(subject))
        case 2:
            started_fact = ReplicationStarted(subject, fact.source_region, 1)
            office.tell(event(subject.target_region, started_fact))
        case _:
            play.end(ReplicationCompleted(subject, fact.transfer_bytes))


STEPS: list[Callable[[Play, DrawFn], None]] = [
    *(_release, _release, _release, _release, _start, _start, _start),
    *(_decide, _decide, _decide, _decide, _decide, _close, _close, _wait, _wait),
    *(
        _ask_for_starts,
        _request,
        _crowd,
        _crowd,
        _pin,
        _arrive,
        _change,
        _pause,
        _resume,
    ),
]

LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "link_bytes_per_hour": st.sampled_from([1, 500 * MB]),
        "organization_bytes_per_day": st.sampled_from([1, 900 * MB]),
        "region_copies_in_flight": st.sampled_from([0, 1, 2]),
        "region_bytes_in_flight": st.sampled_from([1, 800 * MB]),
        "backfill_copies_in_flight": st.sampled_from([1]),
        "decision_seconds": st.sampled_from([1, 100_000]),
        "retry_seconds": st.sampled_from([1, 60]),
    },
)
RESIDENCY = st.sampled_from(
    [
        "",
        '[[residency]]\nrepositories = ["acme/*"]\nallow = ["ams", "fra"]\n',
        '[[residency]]\nrepositories = ["*"]\ndeny = ["syd", "iad"]\n',
        '[[residency]]\nrepositories = ["acme/web"]\nallow = ["syd"]\n',
    ]
)


@st.composite
def policies(draw: DrawFn, holdouts: Sequence[float] = (0, 0, 0.4)) -> str:
    """Draw a policy document."""
    limits = draw(st.just({}) | LIMITS)
    lines = [
        f'mode = "{draw(st.sampled_from(["decide", "decide", "decide", "observe"]))}"',
        f"holdout_fraction = {draw(st.sampled_from(holdouts))}",
        "[limits]",
        *(f"{key} = {value}" for key, value in limits.items()),
    ]
    return "\n".join(lines) + "\n" + draw(RESIDENCY)


@st.composite
def plays(draw: DrawFn, *, policy: st.SearchStrategy[str] | None = None) -> Play:
    """Draw a history in which rounds were decided, by one policy."""
    play = Play(policy=draw(policies() if policy is None else policy))
    play.office.tell(ruled(play.policy))
    _release(play, draw)
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=4, max_size=18)):
        step(play, draw)
    if draw(st.booleans()):
        _crowd(play, draw)
    return play


def all_due(play: Play) -> list[Want]:
    """Return what is wanted of all there is, and of what became due."""
    due = play.office.state.indexes.agenda.take()
    return play.office.wants([*due, *play.office.tick()])


# What a round has to keep to.


def broken(play: Play, wants: Sequence[Want], found: Round) -> list[str]:
    """Return what a round decided that it must not have."""
    desk, facts = play.office.desk, planned(found.events)
    complaints = [
        *(word for one in found.events for word in _unfounded(desk, one)),
        *(word for fact in facts for word in _forbidden(play, desk, fact)),
        *_twice(play, desk, facts),
        *_overspent(play, desk, facts),
    ]
    wanted = {(w.candidate.image.digest, w.candidate.target) for w in wants}
    if not wanted >= {_pair(one) for one in found.events}:
        complaints.append("something was decided that nobody wanted")
    return complaints


def _decided(one: Event) -> ReplicationPlanned | ReplicationWithheld:
    assert isinstance(one.fact, ReplicationPlanned | ReplicationWithheld)
    return one.fact


def _pair(one: Event) -> tuple[Digest, Region]:
    subject = _decided(one).subject
    return subject.digest, subject.target_region


def _unfounded(desk: Desk, one: Event) -> list[str]:
    """Return what is missing of a decision's evidence."""
    fact = _decided(one)
    subject = fact.subject
    state = desk.state
    holders = [
        record.region
        for record in state.replicas_of(
            state.find_placement(subject.repository, subject.digest)
        )
        if record.phase >= ReplicaPhase.COMPLETE
    ]
    checks = {
        "nobody holds it": fact.source_region in holders,
        "no reason": bool(fact.reason and fact.explanation),
        "no factors": bool(fact.factors),
        "another policy": fact.policy == desk.ruling.label,
        "no trigger": fact.trigger is not ReplicationTrigger.UNSPECIFIED,
        "trigger of the future": 0 < fact.trigger_sequence <= state.sequence,
        "for nobody's starts": bool(fact.start_regions),
        "nothing to move": fact.transfer_bytes > 0,
        "of another region": one.region == subject.target_region,
    }
    if isinstance(fact, ReplicationPlanned):
        expected_ns = fact.expected_duration_ns or 0
        lasts_ns = (fact.expire_time_ns or 0) - desk.now_ns
        checks["too short"] = lasts_ns >= 10 * expected_ns > 0
    else:
        checks["no cause"] = fact.cause is not WithholdReason.UNSPECIFIED
    return [f"{word}: {fact}" for word, holds in checks.items() if not holds]


def _forbidden(play: Play, desk: Desk, fact: ReplicationPlanned) -> list[str]:
    """Return what forbids a copy."""
    target, repository = fact.subject.target_region, fact.subject.repository
    observed = "observe" in play.policy
    asked = fact.trigger is ReplicationTrigger.REQUEST
    checks = {
        "residency": target in _permitted(play.policy, repository),
        "no storage": target in STORING,
        "paused": target not in play.paused,
        "not active": desk.network.region_state(target) is RegionState.ACTIVE,
        "observing": asked or not observed,
    }
    return [f"{word}: {fact}" for word, holds in checks.items() if not holds]


def _permitted(policy: str, repository: Repository) -> set[Region]:
    """Return where the residency rules of ``RESIDENCY`` let a repository be."""
    assert repository in {WEB, API}
    if 'allow = ["ams", "fra"]' in policy:
        return {AMS, FRA}
    if 'deny = ["syd", "iad"]' in policy:
        return {AMS, FRA, LHR}
    if 'allow = ["syd"]' in policy and repository == WEB:
        return {SYD}
    return set(STORING)


def _twice(play: Play, desk: Desk, facts: Sequence[ReplicationPlanned]) -> list[str]:
    """Return what would be moved to a region while it is on its way there."""
    state = desk.state
    coming: set[tuple[Region, Row]] = set()
    flights: set[tuple[Region, Digest]] = set()
    for kept in play.open_copies():
        subject = kept.fact.subject
        flights.add((subject.target_region, subject.digest))
        every = contents(state, state.find_digest(subject.digest))
        coming |= {(subject.target_region, row) for row in every}
    complaints = []
    for fact in facts:
        target, digest = fact.subject.target_region, fact.subject.digest
        if (target, digest) in flights:
            complaints.append(f"already on its way: {fact}")
        flights.add((target, digest))
        every = contents(state, state.find_digest(digest))
        absent = [row for row in every if not _held(state, row, fact)]
        size = sum(
            state.size_bytes(row) for row in absent if (target, row) not in coming
        )
        if fact.transfer_bytes != size:
            complaints.append(f"moves {fact.transfer_bytes} instead of {size}: {fact}")
        coming |= {(target, row) for row in every}
    return complaints


def _held(state: State, digest: Row, fact: ReplicationPlanned) -> bool:
    """Say whether the target has the content there, or a blob of it anywhere."""
    region = state.regions.find(fact.subject.target_region.encode())
    if region == ABSENT:
        return False
    owner = state.find_repository(fact.subject.repository)
    is_blob = not list(state.children(digest))
    return any(
        state.phase(placement, region) >= ReplicaPhase.COMPLETE
        for placement in state.indexes.placements_of(digest)
        if is_blob or PAIR.unpack(state.placements.key(placement))[0] == owner
    )


def _overspent(
    play: Play, desk: Desk, facts: Sequence[ReplicationPlanned]
) -> list[str]:
    """Return the copies for which a budget was spent already."""
    limits = desk.guardrails.limits
    before = list(play.copies.values())
    complaints = []
    for fact in facts:
        target, link = fact.subject.target_region, _link(fact)
        row = desk.state.find_repository(fact.subject.repository)
        owner = desk.organization_of(row)
        lately = [one for one in before if not one.called_off]
        hour = [one for one in lately if one.time_ns > desk.now_ns - HOUR_NS]
        day = [one for one in lately if one.time_ns > desk.now_ns - DAY_NS]
        here = [one for one in before if one.open and _into(one) == target]
        filling = [one for one in here if one.fact.priority == Priority.BACKFILL]
        budgets = {
            "link": (
                _bytes(one for one in hour if _link(one.fact) == link),
                limits.link_bytes_per_hour,
            ),
            "organization": (
                _bytes(one for one in day if one.organization == owner),
                limits.organization_bytes_per_day,
            ),
        }
        if fact.priority != Priority.SOMEBODY_WAITS:
            budgets["copies"] = (len(here), limits.region_copies_in_flight)
            budgets["bytes"] = (_bytes(here), limits.region_bytes_in_flight)
        if fact.priority == Priority.BACKFILL:
            budgets["filling"] = (len(filling), limits.backfill_copies_in_flight)
        complaints += [
            f"over the budget of {name}: {spent} of {most}"
            for name, (spent, most) in budgets.items()
            if most and spent >= most
        ]
        before.append(Spent(fact, desk.now_ns, owner))
    return complaints


def _link(fact: ReplicationPlanned) -> tuple[Region, Region]:
    return fact.source_region, fact.subject.target_region


def _into(one: Spent) -> Region:
    return one.fact.subject.target_region


def _bytes(copies: Iterable[Spent]) -> int:
    return sum(one.fact.transfer_bytes for one in copies)


# The laws.


@examples(200)
@given(plays())
def test_every_round_keeps_to_the_rules(play: Play) -> None:
    """Residency, pauses, region states, budgets, one flight, and whole evidence."""
    wants = all_due(play)
    found = play.office.decide_on(wants)

    assert play.broken + broken(play, wants, found) == []


@examples(100)
@given(plays(), st.randoms(use_true_random=False))
def test_deciding_is_a_pure_function(play: Play, random: Random) -> None:
    """The same inputs give the same decisions, in whatever order they are wanted."""
    wants = all_due(play)
    before = fingerprint(play.office.state)
    shuffled = list(wants)
    random.shuffle(shuffled)

    found = play.office.decide_on(wants)
    other = decide(play.office.desk, shuffled, "planner")

    assert other == found
    assert fingerprint(play.office.state) == before


@examples(100)
@given(plays())
def test_nothing_is_decided_twice(play: Play) -> None:
    """Decided, folded, decided again at the same moment: others at most, then none.

    A content is copied into a region once, whichever repositories want it there; what
    is only watched in one repository may be asked for in another.
    """
    decided: list[Event] = []
    due = [*play.office.state.indexes.agenda.take(), *play.office.tick()]
    for _ in range(ROUNDS_MAX):
        events = play.office.decide(due).events
        if not events:
            break
        decided += events
        play.keep(events)

    assert events == []
    owned = [(_decided(one).subject.repository, _pair(one)) for one in decided]
    assert len(owned) == len(set(owned))
    copied = [_pair(one) for one in decided if isinstance(one.fact, ReplicationPlanned)]
    assert len(copied) == len(set(copied))


@examples(100)
@given(plays())
def test_all_that_is_decided_is_folded(play: Play) -> None:
    """The fold, the second line of defence, refuses nothing of a round."""
    refused = play.office.state.count("decision_refused")
    found = play.office.decide_on(all_due(play))

    play.keep(found.events)

    assert play.office.state.count("decision_refused") == refused
    for one in found.events:
        own_id = Identifier(_decided(one).subject.replication_id)
        assert own_id in {each.replication_id for each in play.office.decisions()}


@examples(100)
@given(plays(policy=policies((0.4,))))
def test_only_the_control_group_is_missing(play: Play) -> None:
    """What is decided without it is what is decided with it, and what it withholds."""
    office = play.office
    wants = all_due(play)
    unlimited = play.policy.replace("observe", "decide").partition("[limits]")[0]
    with_group = replace(office.desk, ruling=parse_ruling(unlimited))
    without = parse_ruling(unlimited.replace("0.4", "0"))
    without_group = replace(with_group, ruling=without)

    some = decide(with_group, wants, "planner")
    every = decide(without_group, wants, "planner")

    facts = [_decided(one) for one in some.events]
    causes = {fact.cause for fact in facts if isinstance(fact, ReplicationWithheld)}
    assert causes <= {WithholdReason.CONTROL_GROUP}
    assert _settled(some) == _settled(every)
    assert len(planned(every.events)) == len(every.events)


def _settled(found: Round) -> set[tuple[Digest, Region]]:
    """Return the pairs of a round, those that wait too."""
    late = {(w.candidate.image.digest, w.candidate.target) for w in found.put_off}
    return {_pair(one) for one in found.events} | late


@examples(100)
@given(plays())
def test_what_is_over_budget_is_recorded_once(play: Play) -> None:
    """However often it is looked at again, at this moment or at the next tick."""
    found = play.office.decide_on(all_due(play))
    play.keep(found.events)

    again = play.office.decide_on(found.put_off).events
    later = play.office.decide(play.office.tick()).events

    first = {_pair(one) for one in found.events if _over_budget(one)}
    assert first.isdisjoint(_pair(one) for one in again + later if _over_budget(one))


def _over_budget(one: Event) -> bool:
    fact = _decided(one)
    if isinstance(fact, ReplicationPlanned):
        return False
    return fact.cause is WithholdReason.OVER_BUDGET
