"""The replicators of a closed loop: they carry out decisions, and report.

A copy begins when it is decided, and takes as long as the ledger says. A share of them,
drawn by a hash of the decision, fails since the source cannot be reached; another share
is never begun by anybody, and its decision expires.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Final

from placement.core.event import (
    ContentReplicated,
    DurationNs,
    Event,
    Fact,
    FailureCause,
    Identifier,
    Name,
    ReplicationCompleted,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationStarted,
    Text,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.tables.cells import StartOutcome
from placement.simulation.blame import Blame
from placement.simulation.ledger import Copy
from placement.simulation.loop_ledger import Brought, LoopLedger
from placement.simulation.loop_log import Schedule
from placement.simulation.past import Past, Version
from placement.simulation.synthesis import SECOND_NS

REPLICATOR: Final = Name("replicator")
FAILS_NS: Final = 5 * SECOND_NS
"""It takes so long to find out that a source cannot be reached."""
_LOTS: Final = 2**32


class Mishap(Enum):
    """What becomes of a copy that does not come."""

    UNREACHABLE = "source cannot be reached"
    NEVER_BEGUN = "never begun"


@dataclass(frozen=True, slots=True)
class Mishaps:
    """How many copies do not come, as shares of 1; *seed* draws which."""

    unreachable: float = 0.0
    never_begun: float = 0.0
    seed: str = "mishap"

    def of(self, replication_id: str) -> Mishap | None:
        """Return what becomes of a decision's copy; None: it comes."""
        if not self.unreachable + self.never_begun:
            return None
        drawn = blake2b(f"{self.seed}\0{replication_id}".encode(), digest_size=4)
        lot = int.from_bytes(drawn.digest()) / _LOTS
        if lot < self.unreachable:
            return Mishap.UNREACHABLE
        never = lot < self.unreachable + self.never_begun
        return Mishap.NEVER_BEGUN if never else None


NONE_FAIL: Final = Mishaps()


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a past: of each image all of them, the manifest first."""

    past: Past
    images: Mapping[Version, tuple[Descriptor, ...]]
    carriers: Mapping[tuple[Repository, Digest], Version]
    """The first version of a repository that each content belongs to."""


class Copier:
    """Carries out what is planned; *look* is told when a decision needs a look."""

    def __init__(
        self,
        ledger: LoopLedger,
        schedule: Schedule,
        contents: Contents,
        mishaps: Mishaps,
        blame: Blame,
    ) -> None:
        """Begin with no copy."""
        self._ledger = ledger
        self._schedule = schedule
        self._contents = contents
        self._mishaps = mishaps
        self._blame = blame
        self.failed: Callable[[int], None] = lambda _: None
        """Called with the time at which a copy failed."""

    def begin(self, plans: Iterable[ReplicationPlanned], now_ns: int) -> list[Event]:
        """Begin copies, and return what is reported of that at once."""
        return [event for plan in plans for event in self._begin(plan, now_ns)]

    def _begin(self, plan: ReplicationPlanned, now_ns: int) -> list[Event]:
        mishap = self._mishaps.of(plan.subject.replication_id)
        if mishap is Mishap.NEVER_BEGUN:
            return []
        if mishap is Mishap.UNREACHABLE:
            told_ns = now_ns + FAILS_NS
            self._schedule.at(told_ns, lambda time_ns: self._fail(plan, time_ns))
            started = ReplicationStarted(plan.subject, plan.source_region, 1)
            return [_report(plan, "started", started)]
        version, copied = self._copied(plan)
        parts = self._contents.past.contents
        brought = self._ledger.bring(
            Copy(
                version,
                plan.subject.target_region,
                now_ns,
                tuple(dict.fromkeys(parts[content.digest] for content in copied)),
            )
        )
        self._schedule.at(
            brought.arrival_ns, lambda _: _completed(plan, copied, brought)
        )
        started = ReplicationStarted(plan.subject, brought.source, 1)
        return [_report(plan, "started", started)]

    def _copied(
        self, plan: ReplicationPlanned
    ) -> tuple[Version, tuple[Descriptor, ...]]:
        """Return the version that a plan is about, and which of its contents."""
        subject = plan.subject
        version = self._contents.carriers[subject.repository, subject.digest]
        image = self._contents.images[version]
        if version.digest == subject.digest:
            return version, image
        return version, tuple(x for x in image if x.digest == subject.digest)

    def _fail(self, plan: ReplicationPlanned, now_ns: int) -> list[Event]:
        failed = ReplicationFailed(
            plan.subject,
            Text(Mishap.UNREACHABLE.value),
            attempt=1,
            cause=FailureCause.SOURCE,
        )
        self._blame.ended(plan.subject.replication_id, StartOutcome.SOURCE_UNHEALTHY)
        self.failed(now_ns)
        return [_report(plan, "failed", failed)]


def _completed(
    plan: ReplicationPlanned, copied: tuple[Descriptor, ...], brought: Brought
) -> list[Event]:
    subject = plan.subject
    own_id = subject.replication_id
    arrived = ContentReplicated(
        copied, subject.repository, brought.source, replication_id=own_id
    )
    took_ns = DurationNs(round(brought.seconds * SECOND_NS))
    done = ReplicationCompleted(subject, brought.moved_bytes, took_ns, 1)
    return [_report(plan, "arrived", arrived), _report(plan, "completed", done)]


def _report(plan: ReplicationPlanned, what: str, fact: Fact) -> Event:
    own_id = Identifier(f"{plan.subject.replication_id}-{what}")
    return Event(own_id, plan.subject.target_region, fact, publisher=REPLICATOR)
