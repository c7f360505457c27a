"""A planner's desk by hand: facts are told, time passes, and something is decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from placement.core.deciding.decide import Round, decide
from placement.core.deciding.desk import Desk, desk_at
from placement.core.deciding.sweep import sweep_of, sweep_of_requests
from placement.core.deciding.wants import Want, wants_of
from placement.core.decisions import DecisionRecord, decision_at
from placement.core.event import (
    ContentPinned,
    ContentReplicated,
    Document,
    Event,
    Fact,
    FailureCause,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    ReplicationCancelled,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationSubject,
    ReplicationWithheld,
    TickPassed,
)
from placement.core.fold import fold
from placement.core.oci import Repository, Tag
from placement.core.state import State
from placement.core.tables.agenda import Due
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology
from tests.builders import (
    IAD,
    MANIFEST,
    SECOND_NS,
    START_NS,
    TOPOLOGY,
    WEB,
    descriptor,
    digest,
    event,
    message,
    pushed,
)

LAYER_BYTES: Final = 400_000_000
MANIFEST_BYTES: Final = 10_000
IMAGE_BYTES: Final = LAYER_BYTES + MANIFEST_BYTES
NO_CONTROL_GROUP: Final = "holdout_fraction = 0\n"


def release(
    version: str, region: Region = IAD, repository: Repository = WEB
) -> list[Event]:
    """Return the push of an image of one large layer of its own, layer first."""
    own = descriptor(f"{version}-layer", LAYER_BYTES)
    return [
        pushed(f"{version}-layer", region, repository, size_bytes=LAYER_BYTES),
        pushed(
            version,
            region,
            repository,
            size_bytes=MANIFEST_BYTES,
            references=[own],
            tag=Tag(version),
        ),
    ]


def arrived(version: str, region: Region, repository: Repository = WEB) -> Event:
    """Return the arrival of a copy of all of a release."""
    contents = (
        descriptor(f"{version}-layer", LAYER_BYTES),
        descriptor(version, MANIFEST_BYTES, MANIFEST),
    )
    return event(region, ContentReplicated(contents, repository))


def requested(
    version: str, target: Region, request_id: str = "r1", repository: Repository = WEB
) -> Event:
    """Return somebody's wish to have an image in *target*."""
    own_id = Identifier(request_id)
    fact = ReplicationRequested(own_id, repository, Tag(version), target)
    return event(target, fact)


def pinned(version: str, *regions: Region) -> Event:
    """Return the order that an image stays in *regions*."""
    return event(IAD, ContentPinned(WEB, digest(version), regions, Operation()))


def ruled(text: str, name: str = "test") -> Event:
    """Return the order to plan by the policy *text*."""
    return event(IAD, PolicyChanged(Name(name), Document(text), Operation()))


def planned(events: Sequence[Event]) -> list[ReplicationPlanned]:
    """Return the copies that are to be made."""
    facts = (one.fact for one in events)
    return [fact for fact in facts if isinstance(fact, ReplicationPlanned)]


def withheld(events: Sequence[Event]) -> list[ReplicationWithheld]:
    """Return the copies that are not to be made."""
    facts = (one.fact for one in events)
    return [fact for fact in facts if isinstance(fact, ReplicationWithheld)]


@dataclass
class Office:
    """A state with its clock, in which one planner decides."""

    state: State = field(default_factory=State)
    now_ns: int = START_NS
    topology: Topology = TOPOLOGY
    epoch: str = "epoch"

    def tell(self, *events: Event) -> "Office":
        """Fold *events*, a message and a second each."""
        for one in events:
            self.now_ns += SECOND_NS
            sequence = self.state.sequence + 1
            fold(self.state, message(sequence, one, store_time_ns=self.now_ns))
        return self

    def wait(self, seconds: float) -> "Office":
        """Let time pass."""
        self.now_ns += round(seconds * SECOND_NS)
        return self

    @property
    def desk(self) -> Desk:
        """What is decided by now."""
        return desk_at(self.state, self.topology, self.epoch, self.now_ns)

    def row(self, name: str, repository: Repository = WEB) -> Row:
        """Return the placement's row of a content."""
        return self.state.find_placement(repository, digest(name))

    def forget(self) -> "Office":
        """Let nothing be due that was told so far."""
        self.state.indexes.agenda.take()
        return self

    def wants(self, due: Sequence[Due] | None = None) -> list[Want]:
        """Return what is wanted of *due*; None: of all that became due."""
        if due is None:
            due = self.state.indexes.agenda.take()
        desk = self.desk
        return [want for each in due for want in wants_of(desk, each)]

    def decide(self, due: Sequence[Due] | None = None) -> Round:
        """Return what is decided about *due*; None: about all that became due."""
        return self.decide_on(self.wants(due))

    def decide_on(self, wants: Sequence[Want]) -> Round:
        """Return what is decided about *wants*."""
        return decide(self.desk, wants, "planner")

    def act(self, due: Sequence[Due] | None = None) -> list[Event]:
        """Decide, fold what was decided, and return it."""
        events = self.decide(due).events
        self.tell(*events)
        return events

    def tick(self) -> list[Due]:
        """Let a tick pass; return all that is looked at then."""
        number = self.state.count("tick_number") + 1
        self.tell(event(IAD, TickPassed(number)))
        found = sweep_of_requests(self.state)
        for repository in range(len(self.state.repositories)):
            found += sweep_of(self.state, Row(repository))
        return list(dict.fromkeys(found))

    def sweep(self) -> list[Event]:
        """Let a tick pass, and act on all that is looked at then."""
        return self.act(self.tick())

    def decisions(self) -> list[DecisionRecord]:
        """Return all decisions, the oldest first."""
        rows = self.state.decisions.rows()
        found = [decision_at(self.state, row) for _, row in rows]
        return sorted(found, key=lambda one: (one.order_ns, one.replication_id))

    def report(self, decision: DecisionRecord, fact: Fact) -> "Office":
        """Fold what a replicator says of a decision."""
        return self.tell(event(decision.target, fact))

    def subject_of(self, decision: DecisionRecord) -> ReplicationSubject:
        """Return what a report about a decision is about."""
        repository, about = self.state.placement_at(decision.placement)
        own_id = Identifier(decision.replication_id)
        return ReplicationSubject(own_id, repository, about, decision.target)

    def fail(self, decision: DecisionRecord) -> "Office":
        """Let a copy fail for good."""
        fact = ReplicationFailed(
            self.subject_of(decision), attempt=1, cause=FailureCause.SOURCE
        )
        return self.report(decision, fact)

    def cancel(self, decision: DecisionRecord) -> "Office":
        """Let a person call a copy off."""
        fact = ReplicationCancelled(self.subject_of(decision), Name("anna"))
        return self.report(decision, fact)
