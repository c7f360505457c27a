"""The reference model's half about decisions and operators' orders."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    EvictionPlanned,
    Operation,
    PolicyChanged,
    RegionChanged,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
)
from tests.model_content import Content, Known, Row, When
from tests.model_use import Usage

PLANNED, STARTED, FAILED, WITHHELD, CANCELLED, EXPIRED, COMPLETED = range(1, 8)


@dataclass(frozen=True)
class Decision:
    """How far a decision has come."""

    status: int
    place: tuple[str, str]
    source: str
    target: str
    transfer_bytes: int
    trigger: int
    time_ns: int
    change_ns: int
    attempt: int = 0


@dataclass(frozen=True)
class Order:
    """Whether something holds, since which order, until when."""

    active: bool
    order_ns: int
    expire_ns: int


@dataclass
class Orders:
    """Everything that was decided or ordered."""

    content: Content
    use: Usage
    decisions_max: int
    policies_max: int
    decided: dict[tuple[str, str], int] = field(default_factory=dict)
    orders: dict[tuple[str, ...], Order] = field(default_factory=dict)
    policies: dict[bytes, Order] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    wanted: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def steer(self, when: When) -> None:
        """Hear of decisions and of operators' orders."""
        match when.event.fact:
            case ReplicationRequested() as fact:
                if self.use.first(when, "ReplicationRequested", fact.request_id):
                    self.want(when, fact)
            case ReplicationPlanned() | ReplicationWithheld() as planned:
                self.decide(when, planned)
            case EvictionPlanned() as eviction:
                self.decide_eviction(when, eviction)
            case ReplicationStarted() as fact:
                self.begin(when, fact)
            case ReplicationCompleted() as fact:
                self.complete(when, fact)
            case ReplicationFailed(retryable=retryable) as fact:
                self.advance(when, fact.subject, STARTED if retryable else FAILED)
            case ReplicationCancelled() as fact:
                self.advance(when, fact.subject, CANCELLED)
            case ReplicationExpired() as fact:
                self.advance(when, fact.subject, EXPIRED)
            case _:
                self.operate(when)

    def want(self, when: When, fact: ReplicationRequested) -> None:
        """What the reference points to at this moment is wanted in the region."""
        self.content.own(when, fact.repository)
        target = self.content.hear_of(fact.target_region)
        digest: str = fact.reference
        if ":" not in digest:
            pointer = self.content.tags.get((fact.repository, digest))
            digest = pointer.digest if pointer else ""
        if digest:
            key = (*self.content.place(fact.repository, digest), target)
            self.wanted[key] = max(self.wanted.get(key, 0), when.time_ns)

    def operate(self, when: When) -> None:  # noqa: C901 - one order a case
        """Hear of what operators said, each order once; the latest one holds."""
        operation = getattr(when.event.fact, "operation", Operation())
        kind = type(when.event.fact).__name__
        if not self.use.first(when, kind, operation.request_id):
            return
        match when.event.fact:
            case RegionChanged() as fact:
                region = self.content.hear_of(fact.target_region)
                before = self.content.regions[region]
                if when.order_ns >= before.order_ns:
                    expire = fact.operation.expire_time_ns or 0
                    self.content.regions[region] = replace(
                        before,
                        state=int(fact.state),
                        order_ns=when.order_ns,
                        expire_ns=expire,
                    )
            case ReplicationPaused() | ReplicationResumed() as held:
                active = isinstance(held, ReplicationPaused)
                for region in map(self.content.hear_of, held.target_regions):
                    self.give(when, ("pause", region), held.operation, active=active)
                if not held.target_regions:
                    self.give(when, ("pause", "*"), held.operation, active=active)
            case ContentPinned() | ContentUnpinned() as held:
                active = isinstance(held, ContentPinned)
                place = self.content.name(held.repository, held.digest)
                for region in map(self.content.hear_of, held.target_regions):
                    key = ("pin", *place, region)
                    self.give(when, key, held.operation, active=active)
                if not held.target_regions:
                    key = ("pin", *place, "*")
                    self.give(when, key, held.operation, active=active)
            case PolicyChanged() as fact:
                self.choose(when, fact)
            case _:
                raise AssertionError(when.event.fact)

    def decide(
        self, when: When, fact: ReplicationPlanned | ReplicationWithheld
    ) -> None:
        """Only a newer trigger opens another decision for the same copy."""
        subject = fact.subject
        target = self.content.hear_of(subject.target_region)
        self.content.digests.setdefault(subject.digest, Known())
        last = self.decided.setdefault((subject.digest, target), 0)
        if fact.trigger_sequence <= last:
            return
        self.decided[subject.digest, target] = fact.trigger_sequence
        status, source = WITHHELD, ""
        if isinstance(fact, ReplicationPlanned):
            status, source = PLANNED, self.content.hear_of(fact.source_region)
        before = self.decisions.get(subject.replication_id)
        place = self.content.place(subject.repository, subject.digest)
        self.decisions[subject.replication_id] = Decision(
            max(status, before.status if before else 0),
            place,
            source,
            target,
            fact.transfer_bytes,
            fact.trigger_sequence,
            when.time_ns,
            when.time_ns,
        )
        self.forget_decisions()

    def forget_decisions(self) -> None:
        """Only so many decisions are remembered."""
        while len(self.decisions) > self.decisions_max:
            del self.decisions[next(iter(self.decisions))]

    def decide_eviction(self, when: When, fact: EvictionPlanned) -> None:
        """A removal is a decision whose bytes are negative."""
        target = self.content.hear_of(fact.target_region)
        place = self.content.place(fact.repository, fact.digest)
        new = Decision(0, place, "", target, 0, 0, 0, 0)
        before = self.decisions.get(fact.eviction_id, new)
        self.decisions[fact.eviction_id] = replace(
            before,
            status=max(before.status, PLANNED),
            place=place,
            target=target,
            transfer_bytes=-fact.reclaimed_bytes,
            time_ns=when.time_ns,
            change_ns=max(before.change_ns, when.time_ns),
        )
        self.forget_decisions()

    def advance(self, when: When, subject: ReplicationSubject, status: int) -> bool:
        """Move a decision on, never back; say whether anybody remembers it."""
        before = self.decisions.get(subject.replication_id)
        if before is None:
            return False
        self.decisions[subject.replication_id] = replace(
            before,
            status=max(before.status, status),
            change_ns=max(before.change_ns, when.time_ns),
        )
        return True

    def begin(self, when: When, fact: ReplicationStarted) -> None:
        """A new attempt opens a failed decision again."""
        if not self.advance(when, fact.subject, STARTED):
            return
        now = self.decisions[fact.subject.replication_id]
        status = now.status
        if fact.attempt > now.attempt and status == FAILED:
            status = STARTED
        source = now.source
        if fact.source_region is not None:
            source = self.content.hear_of(fact.source_region)
        self.decisions[fact.subject.replication_id] = replace(
            now,
            status=status,
            attempt=max(now.attempt, fact.attempt),
            source=source,
        )

    def complete(self, when: When, fact: ReplicationCompleted) -> None:
        """The copy is there; what it took is a transfer like any other."""
        if not self.advance(when, fact.subject, COMPLETED):
            return
        source = self.decisions[fact.subject.replication_id].source
        if source and fact.transfer_duration_ns:
            target = self.content.hear_of(fact.subject.target_region)
            moved = (fact.transferred_bytes, fact.transfer_duration_ns)
            self.use.transfer(when, source, target, moved)

    def give(
        self, when: When, key: tuple[str, ...], operation: Operation, *, active: bool
    ) -> None:
        """The latest order holds, whatever order they come in."""
        before = self.orders.get(key)
        if before is None or when.order_ns >= before.order_ns:
            expire = operation.expire_time_ns or 0
            self.orders[key] = Order(active, when.order_ns, expire)

    def choose(self, when: When, fact: PolicyChanged) -> None:
        """A policy was put in force; only so many are remembered."""
        key = f"{fact.name}\0{fact.content}".encode()
        before = self.policies.get(key)
        if before is None or when.order_ns >= before.order_ns:
            expire = fact.operation.expire_time_ns or 0
            self.policies[key] = Order(
                active=True, order_ns=when.order_ns, expire_ns=expire
            )
        while len(self.policies) > self.policies_max:
            oldest = min((o.order_ns, name) for name, o in self.policies.items())
            del self.policies[oldest[1]]

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        for name, d in self.decisions.items():
            what = (d.status, *d.place, d.source, d.target, d.transfer_bytes)
            when = (d.trigger, d.time_ns, d.change_ns, d.attempt)
            yield ("decision", name.encode(), *what, *when)
        for (digest, target), trigger in self.decided.items():
            yield ("decided", digest, target, trigger)
        for copy, time_ns in self.wanted.items():
            yield ("wanted", *copy, time_ns)
        for key, order in self.orders.items():
            yield (*key, int(order.active), order.order_ns, order.expire_ns)
        for policy, order in self.policies.items():
            said = (int(order.active), order.order_ns, order.expire_ns)
            yield ("policy", policy, *said)
