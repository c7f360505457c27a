"""The loop closed on recorded time: decided, carried out, started, folded, judged.

A trace is turned into facts and folded by the real fold. At each instant what became
due is taken from the real agenda and decided by the real rules, with a policy that the
log itself holds; decisions are facts of the log like all others. A modelled replicator
carries them out and reports; machines wait for what is there when they ask, and report.
So everything about decisions and starts is in the state, and in the log alone.

Ticks pass at the minute in which a copy that failed may be tried again, or a decision
expires; those in between would find next to nothing to do. Nothing is removed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from placement.core.deciding.decide import decide
from placement.core.deciding.desk import Desk, desk_at
from placement.core.deciding.ruling import Ruling, ruling_in_force
from placement.core.deciding.upkeep import upkeep
from placement.core.deciding.wants import Want, wants_of
from placement.core.event import (
    Document,
    Event,
    Identifier,
    MachineStarted,
    Name,
    PolicyChanged,
    ReplicationPlanned,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.state import State
from placement.core.tables.agenda import Due
from placement.core.topology import Region, Topology
from placement.runtime.rounds import Rounds
from placement.simulation.assumptions import Assumptions, RegionMap
from placement.simulation.blame import Blame
from placement.simulation.ledger import Sources
from placement.simulation.loop_copier import NONE_FAIL, Contents, Copier, Mishaps
from placement.simulation.loop_ledger import LoopLedger
from placement.simulation.loop_log import Schedule, SimulatedLog
from placement.simulation.loop_starts import Machines
from placement.simulation.past import Version, past_of
from placement.simulation.rules import rules_of
from placement.simulation.score_from import ScoreFrom
from placement.simulation.synthesis import SECOND_NS, Synthesis
from placement.simulation.trace import Trace
from placement.simulation.world import WARMED_UP, World

EPOCH: Final = "simulated"
PLANNER: Final = "planner"
TICK_SECONDS: Final = 60.0
MINUTE_NS: Final = 60 * SECOND_NS
RETRY_NS: Final = 2 * SECOND_NS
"""What was put off for a budget is looked at again so soon, as the service does."""


@dataclass(frozen=True, slots=True)
class LoopSetting:
    """What a loop runs by; *document* is the policy in force, TOML as operators write.

    An empty *document* is the shipped policy.
    """

    assumptions: Assumptions
    topology: Topology
    document: str = ""
    mishaps: Mishaps = NONE_FAIL
    sources: Sources = Sources.HOME
    upload_s: float = 0.0
    score_from: ScoreFrom = WARMED_UP
    look_ns: int = 0
    """How often a tick passes, whatever happens; 0: only when something may be due."""
    tells_at_once: bool = False
    """Whether a start is told when it is asked for, instead of when it has its image.

    As the back-test has it. The wait is the same: nothing can shorten it any more.
    """
    keeps_log: bool = False


class ClosedLoop:
    """One trace, under one policy; *ledger* and *state* fill as it goes on."""

    def __init__(self, trace: Trace, regions: RegionMap, setting: LoopSetting) -> None:
        """Begin before the first instant."""
        assumed, upload_s = setting.assumptions, setting.upload_s
        self.setting = setting
        self._facts = Synthesis(trace, regions, assumed, upload_s=upload_s)
        past = past_of(trace, regions, assumed, upload_s=upload_s, apart=True)
        rules = rules_of(assumed, setting.topology)
        self.world = World(past, rules, setting.score_from)
        self.ledger = LoopLedger(self.world, setting.sources)
        self.log = SimulatedLog(keeps=setting.keeps_log)
        self.blame = Blame()
        self.rounds = 0
        self._schedule = Schedule()
        contents = _contents(self.world, self._facts)
        self.machines = Machines(self.world, self.ledger, self._schedule, contents)
        self.machines.tells_at_once = setting.tells_at_once
        self._copier = Copier(
            self.ledger, self._schedule, contents, setting.mishaps, self.blame
        )
        self._copier.failed = self._look_again
        self._carriers = contents.carriers
        self._rounds = Rounds(setting.topology, TICK_SECONDS)
        self._looks: set[int] = set()
        self._ticking = False
        self._put_off: list[Due] = []
        self._retries = False

    @property
    def state(self) -> State:
        """Return what was folded."""
        return self.log.state

    def run(self) -> Iterator[int]:
        """Let everything happen, and yield the times of the trace, nanoseconds."""
        first_ns, last_ns = self.world.past.span_ns()
        begin_ns = max(2, first_ns - round(self.setting.upload_s * SECOND_NS))
        self._order_policy(begin_ns - 1)
        every_ns = self.setting.look_ns or last_ns
        for time_ns in range(begin_ns + every_ns, last_ns, every_ns):
            self._look_at(time_ns)
        for time_ns, events in self._facts.instants():
            self._until(time_ns)
            self._instant(time_ns, events)
            yield time_ns
        self._until(None)

    @property
    def ruling(self) -> Ruling:
        """Return the policy that is in force."""
        return ruling_in_force(self.state, self.state.store_time_ns)

    def _order_policy(self, time_ns: int) -> None:
        fact = PolicyChanged(Name("simulated"), Document(self.setting.document))
        home = self.setting.topology.home
        self.log.append(time_ns, [Event(Identifier("policy"), home, fact)])

    # One moment after another.

    def _until(self, time_ns: int | None) -> None:
        """Let happen what does before *time_ns*, or all that there is."""
        while True:
            next_ns = self._schedule.next_ns
            if next_ns is None or (time_ns is not None and next_ns >= time_ns):
                return
            self._instant(next_ns, ())

    def _instant(self, time_ns: int, events: Sequence[Event]) -> None:
        """Fold all that happens at one time, then decide."""
        found = self._happened(time_ns)
        for event in events:
            if isinstance(event.fact, MachineStarted):
                self.machines.request(event, event.fact, time_ns)
            else:
                found.append(event)
        found += self._happened(time_ns)
        self.log.append(time_ns, found)
        self.machines.judge(self.state, self.blame)
        self._decide(time_ns)

    def _happened(self, time_ns: int) -> list[Event]:
        return [
            event
            for happening in self._schedule.take(time_ns)
            for event in happening(time_ns)
        ]

    def _look_at(self, time_ns: int) -> None:
        """Let a tick pass in the minute that begins at *time_ns* or next."""
        minute_ns = -(-time_ns // MINUTE_NS) * MINUTE_NS
        if minute_ns not in self._looks:
            self._looks.add(minute_ns)
            self._schedule.at(minute_ns, self._tick)

    def _look_again(self, time_ns: int) -> None:
        """Look when a copy that failed at *time_ns* may be tried again."""
        desk = self._desk(time_ns)
        self._look_at(time_ns + desk.guardrails.limits.retry_ns(1))

    def _tick(self, time_ns: int) -> Sequence[Event]:
        self._looks.discard(time_ns)
        event = self._rounds.tick(self.state, time_ns)
        self._ticking = True
        return [] if event is None else [event]

    def _retry(self, _: int) -> Sequence[Event]:
        self._retries = False
        return []

    # What is decided.

    def _desk(self, time_ns: int) -> Desk:
        return desk_at(self.state, self.setting.topology, EPOCH, time_ns)

    def _decide(self, time_ns: int) -> None:
        """Decide about what is due now, and let it be carried out."""
        due = self.state.indexes.agenda.take() + self._put_off
        self._put_off = []
        looks, self._ticking = self._ticking, False
        if looks:
            due += self._rounds.sweep(self.state)
        while due or looks:
            self.rounds += 1
            desk = self._desk(time_ns)
            wants = [want for each in due for want in wants_of(desk, each)]
            found = decide(desk, wants, PLANNER)
            events = found.events
            if looks:
                for target in desk.state.indexes.decisions.open_targets():
                    events = [*events, *upkeep(desk, target, PLANNER)]
            self._store(events, time_ns)
            self._keep(found.put_off, time_ns)
            looks = False
            due = [] if self._rounds.idle else self._rounds.sweep(self.state)

    def _store(self, events: Sequence[Event], time_ns: int) -> None:
        self.log.append(time_ns, events)
        plans = []
        for event in events:
            self.blame.decided(event.fact)
            if isinstance(event.fact, ReplicationPlanned):
                plans.append(event.fact)
                self._planned(event.fact, time_ns)
        self.log.append(time_ns, self._copier.begin(plans, time_ns))

    def _planned(self, plan: ReplicationPlanned, time_ns: int) -> None:
        subject = plan.subject
        version = self._carriers[subject.repository, subject.digest]
        self.machines.copied(version, subject.target_region, time_ns)
        if plan.expire_time_ns and self.setting.mishaps.of(subject.replication_id):
            self._look_at(plan.expire_time_ns)

    def _keep(self, put_off: Iterable[Want], time_ns: int) -> None:
        """Remember what was put off, and look at it again."""
        again: dict[Due, None] = {}
        for want in put_off:
            image = want.candidate.image
            placement = self.state.find_placement(image.repository, image.digest)
            again[Due(placement, want.trigger, want.trigger_sequence)] = None
        self._put_off += again
        if again and not self._retries:
            self._retries = True
            self._schedule.at(time_ns + RETRY_NS, self._retry)


def _contents(world: World, facts: Synthesis) -> Contents:
    images: dict[Version, tuple[Descriptor, ...]] = {}
    carriers: dict[tuple[Repository, Digest], Version] = {}
    for version in world.past.versions:
        assert version.tag is not None, "a trace's versions have tags"
        image = facts.images[version.repository, version.tag]
        images[version] = (image.manifest, *image.layers)
        for content in images[version]:
            carriers.setdefault((version.repository, content.digest), version)
    return Contents(world.past, images, carriers)


def loop_of(
    name: str,
    trace: Trace,
    setting: LoopSetting,
    home: Region | None = None,
) -> ClosedLoop:
    """Return the loop of a trace; raises InputError for unknown regions."""
    regions = setting.assumptions.map_regions(
        name, trace.regions(), setting.topology, home
    )
    return ClosedLoop(trace, regions, setting)
