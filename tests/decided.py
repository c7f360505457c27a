"""Decisions and what came of them, as tests of reports tell them: a log and a clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from placement.core.event import (
    CacheKind,
    DurationNs,
    Event,
    Fact,
    FailureCause,
    Identifier,
    MachineStarted,
    Name,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationSubject,
    ReplicationTrigger,
    ReplicationWithheld,
    WithholdReason,
)
from placement.core.oci import Repository, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import (
    AMS,
    IAD,
    MANIFEST,
    SECOND_NS,
    START_NS,
    SYD,
    WEB,
    descriptor,
    digest,
    event,
    folded_log,
    message,
    pushed,
    seconds,
)

GIGABYTE: Final = 10**9
SAVED_S: Final = 20.0
"""What each start was to wait less."""
EXPECTED_S: Final = 30.0
"""What a copy was expected to take."""
FORECAST: Final = Name("start-forecast")


@dataclass
class Decided:
    """A log of decisions, each of a version of its own unless a test says otherwise."""

    now_ns: int = START_NS
    told: list[tuple[int, Event]] = field(default_factory=list)
    _numbers: int = 0

    def tell(self, region: Region, fact: Fact, after_s: float = 1.0) -> "Decided":
        """Let *fact* happen in a region, so long after what happened before."""
        self.now_ns += round(after_s * SECOND_NS)
        self.told.append((self.now_ns, event(region, fact)))
        return self

    def release(
        self, name: str, repository: Repository = WEB, *, layers: Sequence[str] = ()
    ) -> "Decided":
        """Push an image of some *layers*, a version of its repository."""
        region, parts = AMS, [descriptor(layer) for layer in layers]
        own = pushed(
            name,
            region,
            repository,
            references=parts,
            media_type=MANIFEST,
            tag=Tag(name),
        )
        return self.tell(region, own.fact)

    def plan(  # noqa: PLR0913 - whatever a test is about
        self,
        name: str,
        target: Region = SYD,
        repository: Repository = WEB,
        *,
        trigger: ReplicationTrigger = ReplicationTrigger.PUSH,
        reason: Name = FORECAST,
        starts: tuple[Region, ...] | None = None,
        size_bytes: int = GIGABYTE,
    ) -> ReplicationSubject:
        """Decide to copy, and return what that is about."""
        subject = self._subject(name, target, repository)
        fact = ReplicationPlanned(
            subject,
            IAD,
            size_bytes,
            trigger,
            len(self.told) + 1,
            start_regions=(target,) if starts is None else starts,
            saved_duration_ns=seconds(SAVED_S),
            expected_duration_ns=seconds(EXPECTED_S),
            priority=2,
            reason=reason,
        )
        self.tell(target, fact)
        return subject

    def withhold(  # noqa: PLR0913 - whatever a test is about
        self,
        name: str,
        target: Region = SYD,
        repository: Repository = WEB,
        *,
        cause: WithholdReason = WithholdReason.CONTROL_GROUP,
        trigger: ReplicationTrigger = ReplicationTrigger.PUSH,
        reason: Name = FORECAST,
        size_bytes: int = GIGABYTE,
    ) -> ReplicationSubject:
        """Withhold a copy, and return what that is about."""
        subject = self._subject(name, target, repository)
        fact = ReplicationWithheld(
            subject,
            size_bytes,
            trigger,
            len(self.told) + 1,
            source_region=IAD,
            start_regions=(target,),
            saved_duration_ns=seconds(SAVED_S),
            expected_duration_ns=seconds(EXPECTED_S),
            cause=cause,
            reason=reason,
        )
        self.tell(target, fact)
        return subject

    def complete(
        self, subject: ReplicationSubject, size_bytes: int = GIGABYTE
    ) -> "Decided":
        """Let the copy be there."""
        fact = ReplicationCompleted(subject, size_bytes, seconds(EXPECTED_S))
        return self.tell(subject.target_region, fact)

    def fail(self, subject: ReplicationSubject) -> "Decided":
        """Let the copy fail for good."""
        fact = ReplicationFailed(subject, cause=FailureCause.TARGET)
        return self.tell(subject.target_region, fact)

    def expire(self, subject: ReplicationSubject) -> "Decided":
        """Let nobody complete it in time."""
        return self.tell(subject.target_region, ReplicationExpired(subject))

    def cancel(self, subject: ReplicationSubject) -> "Decided":
        """Call it off."""
        return self.tell(subject.target_region, ReplicationCancelled(subject))

    def start(
        self,
        name: str,
        region: Region = SYD,
        repository: Repository = WEB,
        *,
        wait_s: float | None = 0.33,
        after_s: float = 1.0,
    ) -> "Decided":
        """Start a machine there; it fetched its image from afar if it waited a second.

        With *wait_s* None it says neither how long it waited nor from where it had it.
        """
        self._numbers += 1
        machine = Identifier(f"machine-{self._numbers}")
        fact = MachineStarted(digest(name), repository, machine)
        if wait_s is not None:
            cache = CacheKind.REMOTE if wait_s >= 1 else CacheKind.REGION
            waited = DurationNs(round(wait_s * SECOND_NS))
            fact = MachineStarted(
                digest(name), repository, machine, image_wait_ns=waited, cache=cache
            )
        return self.tell(region, fact, after_s)

    @property
    def state(self) -> State:
        """All of it, folded."""
        return folded_log(
            message(number, one, store_time_ns=time_ns)
            for number, (time_ns, one) in enumerate(self.told, 1)
        )

    def _subject(
        self, name: str, target: Region, repository: Repository
    ) -> ReplicationSubject:
        self._numbers += 1
        own = Identifier(f"copy-{self._numbers}")
        return ReplicationSubject(own, repository, digest(name), target)
