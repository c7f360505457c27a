"""Facts about decisions: copies and removals, from request to outcome.

Defined by the comments of ``events.proto``; each class is its message there.
"""

from dataclasses import dataclass

from placement.core.facts.values import (
    DurationNs,
    Factor,
    FailureCause,
    Identifier,
    Name,
    ReplicationTrigger,
    Text,
    TimeNs,
    WithholdReason,
)
from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class ReplicationRequested:
    """Somebody wants content in a region by a time."""

    request_id: Identifier
    repository: Repository
    reference: Digest | Tag
    target_region: Region
    deadline_time_ns: TimeNs | None = None
    actor: Name = Name("")
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class ReplicationSubject:
    """What a decision is about."""

    replication_id: Identifier
    repository: Repository
    digest: Digest
    target_region: Region


@dataclass(frozen=True, slots=True)
class ReplicationPlanned:
    """A copy was decided."""

    subject: ReplicationSubject
    source_region: Region
    transfer_bytes: int = 0
    trigger: ReplicationTrigger = ReplicationTrigger.UNSPECIFIED
    trigger_sequence: int = 0
    factors: tuple[Factor, ...] = ()
    expire_time_ns: TimeNs | None = None
    policy: Name = Name("")
    request_id: Identifier | None = None
    start_regions: tuple[Region, ...] = ()
    probability: float = 0.0
    saved_duration_ns: DurationNs | None = None
    expected_duration_ns: DurationNs | None = None
    priority: int = 0
    reason: Name = Name("")
    explanation: Text = Text("")


@dataclass(frozen=True, slots=True)
class ReplicationWithheld:
    """A copy was due and withheld; *cause* says why."""

    subject: ReplicationSubject
    transfer_bytes: int = 0
    trigger: ReplicationTrigger = ReplicationTrigger.UNSPECIFIED
    trigger_sequence: int = 0
    factors: tuple[Factor, ...] = ()
    policy: Name = Name("")
    source_region: Region | None = None
    start_regions: tuple[Region, ...] = ()
    probability: float = 0.0
    saved_duration_ns: DurationNs | None = None
    expected_duration_ns: DurationNs | None = None
    cause: WithholdReason = WithholdReason.UNSPECIFIED
    reason: Name = Name("")
    explanation: Text = Text("")


@dataclass(frozen=True, slots=True)
class ReplicationStarted:
    """A decided copy began."""

    subject: ReplicationSubject
    source_region: Region | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ReplicationCompleted:
    """A decided copy is there."""

    subject: ReplicationSubject
    transferred_bytes: int = 0
    transfer_duration_ns: DurationNs | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ReplicationFailed:
    """A decided copy failed."""

    subject: ReplicationSubject
    reason: Text = Text("")
    attempt: int = 0
    retryable: bool = False
    cause: FailureCause = FailureCause.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class ReplicationCancelled:
    """A decided copy was called off."""

    subject: ReplicationSubject
    actor: Name = Name("")
    reason: Text = Text("")


@dataclass(frozen=True, slots=True)
class ReplicationExpired:
    """A decided copy is no longer worth making."""

    subject: ReplicationSubject
    reason: Text = Text("")


@dataclass(frozen=True, slots=True)
class EvictionPlanned:
    """A removal was decided."""

    eviction_id: Identifier
    repository: Repository
    digest: Digest
    target_region: Region
    reason: Text = Text("")
    reclaimed_bytes: int = 0
    factors: tuple[Factor, ...] = ()
    policy: Name = Name("")
    start_regions: tuple[Region, ...] = ()
    explanation: Text = Text("")
    trigger_sequence: int = 0
    expire_time_ns: TimeNs | None = None


@dataclass(frozen=True, slots=True)
class EvictionCancelled:
    """A decided removal was called off."""

    eviction_id: Identifier
    target_region: Region
    reason: Text = Text("")
    actor: Name = Name("")
