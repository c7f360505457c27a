"""The reference model's half about decisions: what was decided, how far each came."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from placement.core.event import (
    ContentEvicted,
    EvictionCancelled,
    EvictionPlanned,
    FailureCause,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationWithheld,
    WithholdReason,
)
from tests.model_content import Content, Known, Row, When
from tests.model_orders import Orders
from tests.model_use import Usage

PLANNED, STARTED, FAILED, WITHHELD, CANCELLED, EXPIRED, COMPLETED = range(1, 8)
DEFERRED = 8
REMOVAL = 100
SECOND_NS = 10**9

Pair = tuple[str, str]
"""Digest, target region."""


@dataclass
class Decision:
    """One decision, and every use that it was credited with: its time and its wait."""

    status: int
    place: tuple[str, str]
    source: str
    target: str
    start_regions: tuple[str, ...]
    moves_bytes: int
    trigger: int
    time_ns: int
    change_ns: int
    order_ns: int
    kind: int
    policy: str
    reason: str
    attempt: int = 0
    expire_ns: int = 0
    priority: int = 0
    millionths: int = 0
    saved_ns: int = 0
    expected_ns: int = 0
    cause: int = 0
    done: tuple[int, int, int] = (0, 0, 0)
    """When it was completed, with how many bytes, in how long."""
    uses: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether somebody is to carry it out."""
        return self.status in {PLANNED, STARTED}

    @property
    def pair(self) -> Pair:
        """What is copied where."""
        return self.place[1], self.target


@dataclass
class Decided:
    """What was decided last of one content and region."""

    trigger: int = 0
    last: str = ""
    failures: int = 0


@dataclass
class Decisions:
    """Every decision that is remembered."""

    content: Content
    use: Usage
    orders: Orders
    most: int
    by_id: dict[str, Decision] = field(default_factory=dict)
    decided: dict[Pair, Decided] = field(default_factory=dict)
    refused: int = 0

    def hear(self, when: When) -> bool:
        """Hear of a decision; say whether the fact was about one."""
        match when.event.fact:
            case ReplicationPlanned() | ReplicationWithheld() as fact:
                self.decide(when, fact)
            case EvictionPlanned() as fact:
                self.remove(when, fact)
            case ReplicationStarted() as fact:
                self.begin(when, fact)
            case ReplicationCompleted() as fact:
                self.complete(when, fact)
            case (
                ReplicationFailed() | ReplicationCancelled() | ReplicationExpired()
            ) as fact:
                self.end(when, fact)
            case EvictionCancelled() as fact:
                self.content.hear_of(fact.target_region)
                self.advance(when, fact.eviction_id, CANCELLED, removal=True)
            case _:
                return False
        return True

    def decide(
        self, when: When, fact: ReplicationPlanned | ReplicationWithheld
    ) -> None:
        """Open a decision about a copy, unless it is refused."""
        subject, plans = fact.subject, isinstance(fact, ReplicationPlanned)
        named = (subject.target_region, *fact.start_regions, fact.source_region)
        for region in named:
            if region is not None:
                self.content.hear_of(region)
        self.content.digests.setdefault(subject.digest, Known())
        pair = (str(subject.digest), str(subject.target_region))
        decided = self.decided.setdefault(pair, Decided())
        if self.refuses(when, fact):
            self.refused += 1
            return
        status, cause = PLANNED, 0
        if isinstance(fact, ReplicationWithheld):
            cause = fact.cause if int(fact.cause) else WithholdReason.CONTROL_GROUP
            status = DEFERRED if cause == WithholdReason.OVER_BUDGET else WITHHELD
        if status != DEFERRED:
            decided.trigger = fact.trigger_sequence
        decided.last = subject.replication_id
        chance = fact.probability
        clipped = (0.0 if chance <= 0 else chance) if chance < 1 else 1.0
        self.keep(
            subject.replication_id,
            Decision(
                status,
                self.content.place(subject.repository, subject.digest),
                fact.source_region or "",
                subject.target_region,
                fact.start_regions,
                fact.transfer_bytes,
                fact.trigger_sequence,
                when.time_ns,
                when.time_ns,
                when.stored_ns,
                int(fact.trigger),
                fact.policy,
                fact.reason,
                expire_ns=(getattr(fact, "expire_time_ns", 0) or 0) if plans else 0,
                priority=fact.priority if isinstance(fact, ReplicationPlanned) else 0,
                millionths=round(clipped * 1_000_000),
                saved_ns=fact.saved_duration_ns or 0,
                expected_ns=fact.expected_duration_ns or 0,
                cause=int(cause),
            ),
        )

    def refuses(
        self, when: When, fact: ReplicationPlanned | ReplicationWithheld
    ) -> bool:
        """Say whether the decision takes no effect."""
        subject, plans = fact.subject, isinstance(fact, ReplicationPlanned)
        before = self.by_id.get(subject.replication_id)
        if before is not None and (before.status != DEFERRED or not plans):
            return True
        pair = (str(subject.digest), str(subject.target_region))
        last = self.last(pair)
        return (
            fact.trigger_sequence <= self.decided[pair].trigger
            or (last is not None and last.open)
            or (plans and self.orders.paused(subject.target_region, when.order_ns))
        )

    def last(self, pair: Pair) -> Decision | None:
        """Return the last decision about a pair, unless it was forgotten."""
        known = self.by_id.get(self.decided[pair].last)
        if known is None or known.pair != pair or known.kind == REMOVAL:
            return None
        return known

    def keep(self, name: str, decision: Decision) -> None:
        """Remember a decision; only so many are remembered."""
        self.by_id[name] = decision
        while len(self.by_id) > self.most:
            del self.by_id[next(iter(self.by_id))]

    def remove(self, when: When, fact: EvictionPlanned) -> None:
        """Open a decision about a removal."""
        for region in (fact.target_region, *fact.start_regions):
            self.content.hear_of(region)
        place = self.content.place(fact.repository, fact.digest)
        if fact.eviction_id in self.by_id:
            self.refused += 1
            return
        words = fact.reason.split()
        opened = Decision(
            PLANNED,
            place,
            "",
            fact.target_region,
            fact.start_regions,
            fact.reclaimed_bytes,
            fact.trigger_sequence,
            when.time_ns,
            when.time_ns,
            when.stored_ns,
            REMOVAL,
            fact.policy,
            words[0] if words else "unknown",
            expire_ns=fact.expire_time_ns or 0,
        )
        self.keep(fact.eviction_id, opened)

    def advance(
        self, when: When, name: str, status: int, *, removal: bool = False
    ) -> Decision | None:
        """Move a decision on, never back; return it, if it is to be carried out."""
        known = self.by_id.get(name)
        if known is None or (known.kind == REMOVAL) != removal:
            return None
        if known.target != when.region:
            return None
        if known.status in {WITHHELD, DEFERRED}:
            return None
        known.status = max(known.status, status)
        known.change_ns = max(known.change_ns, when.time_ns)
        return known

    def evicted(self, when: When, fact: ContentEvicted) -> None:
        """A removal was carried out."""
        if fact.eviction_id is not None:
            self.advance(when, fact.eviction_id, COMPLETED, removal=True)

    def begin(self, when: When, fact: ReplicationStarted) -> None:
        """A new attempt opens a failed decision again, unless there is another one."""
        known = self.advance(when, fact.subject.replication_id, STARTED)
        if known is None:
            return
        again = fact.attempt > known.attempt and known.status == FAILED
        if again and self.last(known.pair) is known:
            known.status = STARTED
        known.attempt = max(known.attempt, fact.attempt)
        if fact.source_region is not None:
            known.source = self.content.hear_of(fact.source_region)

    def complete(self, when: When, fact: ReplicationCompleted) -> None:
        """The copy is there; what it took is a transfer like any other."""
        known = self.advance(when, fact.subject.replication_id, COMPLETED)
        if known is None:
            return
        took_ns = fact.transfer_duration_ns or 0
        if known.done == (0, 0, 0):
            known.done = (when.time_ns, fact.transferred_bytes, took_ns)
        if self.last(known.pair) is known:
            self.decided[known.pair].failures = 0
        if known.source and took_ns:
            moved = (fact.transferred_bytes, took_ns)
            self.use.transfer(when, known.source, when.region, moved)

    def end(
        self,
        when: When,
        fact: ReplicationFailed | ReplicationCancelled | ReplicationExpired,
    ) -> None:
        """The copy failed, was called off or expired; failures in a row count."""
        before = self.by_id.get(fact.subject.replication_id)
        was_open = before is not None and before.open
        status, cause = CANCELLED, FailureCause.UNSPECIFIED
        if isinstance(fact, ReplicationFailed):
            status = STARTED if fact.retryable else FAILED
            cause = fact.cause
        if isinstance(fact, ReplicationExpired):
            status = EXPIRED
        known = self.advance(when, fact.subject.replication_id, status)
        if known is None or not was_open or status not in {FAILED, EXPIRED}:
            return
        if status == FAILED:
            known.cause = int(cause)
        if self.last(known.pair) is known:
            self.decided[known.pair].failures += 1

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        if self.refused:
            yield ("counter", b"decision_refused", self.refused)
        for name, d in self.by_id.items():
            first_ns = d.uses[0][0] if d.uses else 0
            burst = [
                wait_ns
                for time_ns, wait_ns in d.uses
                if 0 <= time_ns - first_ns <= 60 * SECOND_NS
            ]
            waits = [wait_ns for wait_ns in burst if wait_ns is not None]
            where = (d.source, d.target, " ".join(sorted(set(d.start_regions))))
            how_far = (d.status, d.moves_bytes, d.trigger, d.time_ns, d.change_ns)
            why = (d.attempt, d.order_ns, d.kind, d.expire_ns, d.priority)
            worth = (d.millionths, d.saved_ns, d.expected_ns, *d.done[1:])
            told = (d.policy, d.reason, d.cause, d.done[0])
            outcome = (first_ns, len(burst), len(waits), sum(waits))
            about = (*d.place, *where, name, *how_far, *why)
            yield ("decision", *about, *worth, *told, *outcome)
        for pair, decided in self.decided.items():
            last = decided.last.encode() if self.last(pair) else b""
            yield ("decided", *pair, decided.trigger, last, decided.failures)
